"""TensorRT's own parser and builder, ahead of time for an RTX GPU that need not be there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from scnet_edge.errors import EngineError, GraphError
from scnet_edge.onnx_export.fp16 import to_fp16
from scnet_edge.onnx_export.trace import split_graphs

pytest.importorskip(
    "tensorrt_rtx",
    reason="tensorrt_rtx is not installed: TensorRT's parser and builder are not exercised",
    exc_type=ImportError,
)
from scnet_edge.engines.tensorrt import builder as trt_build
from scnet_edge.engines.tensorrt import network as trt_network
from scnet_edge.engines.tensorrt.build_progress import BuildProgress
from scnet_edge.engines.tensorrt.builder import BuildSettings, Built, build_plan, workspace_bytes
from scnet_edge.engines.tensorrt.library import capabilities, deserialise, engine_log, tensorrt
from scnet_edge.engines.tensorrt.plan_layers import Layer, summarise

if not capabilities().ahead_of_time:
    pytest.skip("this TensorRT builds only beside its GPU", allow_module_level=True)

TARGET = "SM86"
NETWORKS = ("batch", "instance", "chain")


def of_node(layers: list[Layer], node: str) -> list[Layer]:
    return [layer for layer in layers if node in layer.onnx]


@pytest.fixture(scope="module")
def built(cases: Callable[[str], Any]) -> Callable[[str, str], Built]:
    """Return what builds a network in a precision once."""
    done: dict[tuple[str, str], Built] = {}

    def build(network: str, precision: str) -> Built:
        key = (network, precision)
        if key not in done:
            graph = cases(network).graphs[precision]
            done[key] = build_plan(graph, BuildSettings(target=TARGET))
        return done[key]

    return build


def convolutions_of(graph: Path) -> list[str]:
    return [node.name for node in onnx.load(graph).graph.node if node.op_type == "Conv"]


@pytest.mark.parametrize("network", NETWORKS)
def test_a_plan_of_several_frames_computes_the_same_layers_in_int8(
    network: str, built: Callable[..., Built], cases: Callable[[str], Any]
) -> None:
    case = cases(network)
    several = build_plan(case.batched["typed"], BuildSettings(target=TARGET))
    assert several.tensors["frame"] == "3x64x64x3 uint8"
    assert several.tensors["probability"].startswith("3x64x64 ")
    assert summarise(several.layers, case.quantised).convolutions == {"INT8": len(case.quantised)}
    assert summarise(several.layers, case.quantised).lone_qdq == ()


@pytest.mark.parametrize("network", NETWORKS)
def test_fp32_stays_fp32(network: str, built: Callable[..., Built]) -> None:
    layers = built(network, "fp32").layers
    assert len(layers) > 10
    assert {dtype for layer in layers for dtype in layer.reads + layer.writes} <= {
        "FP32", "UINT8", "BOOL", "INT32"
    }  # fmt: skip


@pytest.mark.parametrize("network", NETWORKS)
def test_fp16_convolutions_read_halves(
    network: str, built: Callable[..., Built], cases: Callable[[str], Any]
) -> None:
    names = convolutions_of(cases(network).graphs["fp16"])
    found = summarise(built(network, "fp16").layers, names)
    assert found.missing == ()
    assert found.convolutions == {"FP16": len(names)}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("precision", "rest"), [("int8", "FP32"), ("typed", "FP16")])
def test_int8_convolutions_read_int8_and_a_kernel_after_each_requantises(
    network: str,
    precision: str,
    rest: str,
    built: Callable[..., Built],
    cases: Callable[[str], Any],
) -> None:
    names, quantised = convolutions_of(cases(network).graphs[precision]), cases(network).quantised
    layers = built(network, precision).layers
    assert len(quantised) >= 14
    assert summarise(layers, quantised).convolutions == {"INT8": len(quantised)}
    whole = summarise(layers, names)
    assert whole.convolutions == {"INT8": len(quantised), rest: len(names) - len(quantised)}
    assert whole.lone_qdq == ()
    assert whole.int8_writes == {"FP32": len(quantised)}  # RTX fuses nothing into them
    assert whole.requantising >= (5 if network == "instance" else 8)


def test_the_halves_of_a_chain_are_fused_as_the_whole_is(
    cases: Callable[[str], Any], tmp_path: Path
) -> None:
    whole, quantised = onnx.load(cases("chain").graphs["int8"]), 0
    for name, half in split_graphs(whole).items():
        onnx.save(to_fp16(half), tmp_path / f"{name}.onnx")
        made = build_plan(tmp_path / f"{name}.onnx", BuildSettings(target=TARGET))
        names = convolutions_of(tmp_path / f"{name}.onnx")
        assert sorted(made.convolutions) == sorted(names)
        found = summarise(made.layers, names)
        assert found.lone_qdq == found.missing == ()
        quantised += found.convolutions["INT8"]
        prior = {"hed": "1x1x64x64 float16", "scnet": "1x1x64x64 float32"}[name]
        assert made.tensors["prior"] == prior
    assert quantised == len(cases("chain").quantised)


def test_instance_norm_statistics_stay_fp32_in_an_fp16_graph(built: Callable[..., Built]) -> None:
    layers = built("instance", "fp16").layers
    means = [x for x in layers if any(n.endswith("/statistics/ReduceMean") for n in x.onnx)]
    assert len(means) >= 14
    for layer in means:
        assert "FP32" in layer.writes, layer


def test_plan_is_bytes_that_differ_by_target(cases: Callable[[str], Any]) -> None:
    graph = cases("batch").graphs["fp16"]
    plans = [
        build_plan(graph, BuildSettings(target=target, threads=1)).plan
        for target in ("SM86", "SM89")
    ]
    assert all(isinstance(plan, bytes) and len(plan) > 10_000 for plan in plans)
    assert plans[0] != plans[1]


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", "float32"), ("fp16", "float16"), ("typed", "float16")]
)
def test_maps_come_out_as_short_as_they_were_computed(
    precision: str, dtype: str, built: Callable[..., Built]
) -> None:
    assert built("chain", precision).tensors == {
        "frame": "1x64x64x3 uint8", "probability": f"1x64x64 {dtype}", "edges": f"1x64x64 {dtype}"
    }  # fmt: skip


def test_progress_rises_and_can_cancel(cases: Callable[[str], Any]) -> None:
    graph, seen = cases("batch").graphs["typed"], list[BuildProgress]()

    def watch(progress: BuildProgress) -> bool:
        seen.append(progress)
        return True

    build_plan(graph, BuildSettings(target=TARGET, progress=watch))
    shares = [moment.share for moment in seen]
    assert len(shares) > 10
    assert shares == sorted(shares)
    assert 0.5 < shares[-1] <= 1
    assert all(moment.remaining_s is not None for moment in seen if moment.share)
    assert all(moment.phase for moment in seen)
    with pytest.raises(EngineError, match="cancelled"):
        build_plan(graph, BuildSettings(target=TARGET, progress=lambda progress: False))


@pytest.mark.parametrize(
    ("free", "expected"), [(0, 64 << 20), (1 << 30, 1 << 29), (1 << 40, 2 << 30)]
)
def test_workspace_is_a_part_of_what_is_free(free: int, expected: int) -> None:
    assert workspace_bytes(free) == expected


@pytest.mark.filterwarnings("ignore:.*no-ops in TensorRT-RTX:DeprecationWarning")
def test_a_timing_cache_is_given_as_the_real_configuration_takes_it() -> None:
    """What it is worth is not to be seen here: TensorRT-RTX takes one and does nothing with it."""
    config = tensorrt().Builder(engine_log()).create_builder_config()
    assert trt_build._set_timing_cache(config, BuildSettings(timing_cache=b"of before"))
    assert len(bytes(config.get_timing_cache().serialize())) > 0


@pytest.mark.parametrize("precision", ["int8", "typed"])
def test_what_has_no_int8_kernel_runs_in_floating_point(
    precision: str, cases: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal is made up, for this TensorRT has a kernel for everything; the rest is real."""
    case = cases("batch")
    refused = case.quantised[1]
    build = trt_build._Attempt.build

    def refuses_once(attempt: Any) -> Built | None:
        if refused in attempt.quantised:
            engine_log().errors.append(
                "Error Code 10: Internal Error (Could not find any implementation for node "
                f"{refused}.weight + {refused}.weight.q_clone_1 + {refused} + PWN(/Relu_3).)"
            )
            return None
        return build(attempt)

    monkeypatch.setattr(trt_build._Attempt, "build", refuses_once)
    made = build_plan(case.graphs[precision], BuildSettings(target=TARGET))
    assert made.excluded == (refused,)
    rest = "FP32" if precision == "int8" else "FP16"
    found = summarise(made.layers, case.quantised)
    assert found.convolutions == {rest: 1, "INT8": len(case.quantised) - 1}
    assert summarise(made.layers, [refused]).convolutions == {rest: 1}


def test_a_failure_that_names_no_quantised_node_is_final(
    cases: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(attempt: Any) -> None:
        engine_log().errors.append("Error Code 2: OutOfMemory (no memory left\non the device)")

    monkeypatch.setattr(trt_build._Attempt, "build", fails)
    with pytest.raises(EngineError, match=r"cannot build it: .*no memory left on the device"):
        build_plan(cases("batch").graphs["int8"], BuildSettings(target=TARGET))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Could not find any implementation for node a.1.weight + a.1 + PWN(/Relu).", ("a.1",)),
        ("Could not find any implementation for node {ForeignNode[a.1...b.0]}.", ("a.1", "b.0")),
        ("Could not find any implementation for node a.10.", ("a.10",)),
        ("insufficient memory for a.1", ()),
    ],
)
def test_the_node_that_an_error_names(message: str, expected: tuple[str, ...]) -> None:
    assert trt_network.find_named([message], ["a.1", "a.10", "b.0"]) == expected


def save(nodes: list[Any], constants: dict[str, Any], path: Path, out: str) -> Path:
    graph = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 16, 16])],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, [1, 8, 16, 16])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def test_max_unpool_is_refused_by_name(tmp_path: Path) -> None:
    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("MaxPool", ["x"], ["p", "i"], name="pool", **window),
        helper.make_node("MaxUnpool", ["p", "i"], ["y"], name="unpool", **window),
    ]
    path = save(nodes, {}, tmp_path / "unpool.onnx", "y")
    with pytest.raises(GraphError, match=r"unpool\.onnx: .*'(pool|unpool)' \(Max(Unp|P)ool\)") as e:
        build_plan(path, BuildSettings(target=TARGET))
    assert "\n" not in str(e.value)


def test_int32_quantised_bias_is_refused_by_name(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["dq"], name="dq"),
        helper.make_node("DequantizeLinear", ["b", "s", "bz"], ["bias"], name="bias.dq"),
        helper.make_node("Conv", ["dq", "w", "bias"], ["y"], name="conv", pads=[1, 1, 1, 1]),
    ]
    constants = {
        "s": np.float32(0.1),
        "z": np.int8(0),
        "b": np.arange(8, dtype=np.int32),
        "bz": np.int32(0),
        "w": np.ones((8, 8, 3, 3), np.float32),
    }
    path = save(nodes, constants, tmp_path / "bias.onnx", "y")
    with pytest.raises(GraphError, match=r"bias\.onnx: .*'bias\.dq' \(DequantizeLinear\).*Int32"):
        build_plan(path, BuildSettings(target=TARGET))


@pytest.mark.parametrize("content", [b"not a graph\n", "truncated"])
def test_a_file_that_is_no_graph(
    content: bytes | str, tmp_path: Path, cases: Callable[[str], Any]
) -> None:
    path = tmp_path / "graph.onnx"
    whole = cases("batch").graphs["fp32"].read_bytes()
    path.write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])
    with pytest.raises(EngineError, match=r"graph\.onnx: expected an ONNX file, found"):
        build_plan(path, BuildSettings(target=TARGET))


@pytest.mark.parametrize("content", [None, b""])
def test_no_file_or_an_empty_one(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EngineError, match=r"graph\.onnx: expected an ONNX"):
        build_plan(path, BuildSettings(target=TARGET))


def test_unknown_target_names_the_known(cases: Callable[[str], Any]) -> None:
    with pytest.raises(EngineError, match=r"'SM87': expected one of .*SM86"):
        build_plan(cases("batch").graphs["fp32"], BuildSettings(target="SM87"))


def test_nothing_is_printed(cases: Callable[[str], Any], capfd: pytest.CaptureFixture[str]) -> None:
    build_plan(cases("batch").graphs["int8"], BuildSettings(target=TARGET))
    assert capfd.readouterr() == ("", "")


def test_a_damaged_plan_is_one_line(cases: Callable[[str], Any]) -> None:
    plan = build_plan(cases("batch").graphs["fp16"], BuildSettings(target=TARGET)).plan
    with pytest.raises(
        EngineError, match=r"cannot load the plan on this machine.*; build again$"
    ) as e:
        deserialise(plan[: len(plan) // 2], "build again")
    assert "\n" not in str(e.value)


class WeakLayer(SimpleNamespace):
    """A layer of a parsed network as TensorRT 8 would show it: its precision can be set."""

    def get_output(self, i: int) -> Any:
        return SimpleNamespace(dtype=self.dtypes[i])


def weak_network(graph: Path) -> SimpleNamespace:
    """Return the real parse of a graph, its layers open to a weakly typed builder's wishes."""
    trt = tensorrt()
    builder = trt.Builder(engine_log())
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, engine_log())
    assert parser.parse_from_file(str(graph))
    layers = []
    for i in range(network.num_layers):
        real = network.get_layer(i)
        dtypes = [real.get_output(j).dtype for j in range(real.num_outputs)]
        layers.append(
            WeakLayer(
                name=real.name,
                type=real.type,
                num_outputs=real.num_outputs,
                dtypes=dtypes,
                precision=None,
            )
        )
    return SimpleNamespace(num_layers=len(layers), get_layer=layers.__getitem__, layers=layers)


@pytest.mark.parametrize(
    ("precision", "flags"),
    [
        ("fp32", set()),
        ("fp16", {"FP16", "OBEY_PRECISION_CONSTRAINTS"}),
        ("int8", {"INT8", "FP16", "OBEY_PRECISION_CONSTRAINTS"}),
    ],
)
def test_weak_typing_is_permitted_what_the_graph_states(
    precision: str, flags: set[str], cases: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT 8 is not to be had here; its names are stood in for, the network is a real parse."""
    network = weak_network(cases("instance").graphs[precision])
    real = tensorrt()
    names = ("FP16", "INT8", "OBEY_PRECISION_CONSTRAINTS")
    eight = SimpleNamespace(
        LayerType=real.LayerType,
        float16=real.float16,
        float32=real.float32,
        BuilderFlag=SimpleNamespace(**{name: name for name in names}),
    )
    monkeypatch.setattr(trt_network, "tensorrt", lambda: eight)
    found: set[str] = set()
    trt_network.permit_precisions(network, SimpleNamespace(set_flag=found.add))
    assert found == flags
    held = [layer.name for layer in network.layers if layer.precision is not None]
    assert bool(held) == (precision != "fp32")
    assert all("/statistics/" in name for name in held)
