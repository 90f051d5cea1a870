"""TensorRT's own parser and builder, ahead of time for an RTX GPU that need not be there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from scnet_edge.errors import EngineError, GraphError

pytest.importorskip(
    "tensorrt_rtx",
    reason="tensorrt_rtx is not installed: TensorRT's parser and builder are not exercised",
    exc_type=ImportError,
)
from scnet_edge.backends import trt_build
from scnet_edge.backends.trt_build import (
    capabilities,
    inspect_plan,
    layers_from_onnx,
    plan_from_onnx,
    tensorrt,
)

if not capabilities().ahead_of_time:
    pytest.skip("this TensorRT builds only beside its GPU", allow_module_level=True)

TARGET = "SM86"
NETWORKS = ("batch", "instance", "chain")


def reads(layer: str, dtype: str) -> bool:
    return f"Datatype: {dtype}" in layer.split("Outputs:")[0]


def of_node(layers: list[str], node: str) -> list[str]:
    return [layer for layer in layers if f"[ONNX Layer: {node}]" in layer]


@pytest.fixture(scope="module")
def layers(cases: Callable[[str], Any]) -> Callable[[str, str], list[str]]:
    done: dict[tuple[str, str], list[str]] = {}

    def built(network: str, precision: str) -> list[str]:
        key = (network, precision)
        if key not in done:
            done[key] = layers_from_onnx(cases(network).graphs[precision], target=TARGET)
        return done[key]

    return built


@pytest.mark.parametrize("network", NETWORKS)
def test_fp32_stays_fp32(network: str, layers: Callable[..., list[str]]) -> None:
    report = layers(network, "fp32")
    assert len(report) > 10
    assert all(layer.startswith("Name: ") for layer in report)
    assert not [x for x in report if "Datatype: Half" in x or "Datatype: Int8" in x]


@pytest.mark.parametrize("network", NETWORKS)
def test_fp16_convolutions_read_halves(
    network: str, layers: Callable[..., list[str]], cases: Callable[[str], Any]
) -> None:
    report = layers(network, "fp16")
    for convolution in cases(network).quantised:
        mine = of_node(report, convolution)
        assert mine
        assert any(reads(layer, "Half") for layer in mine), convolution


@pytest.mark.parametrize("network", NETWORKS)
def test_int8_convolutions_read_int8(
    network: str, layers: Callable[..., list[str]], cases: Callable[[str], Any]
) -> None:
    report, quantised = layers(network, "int8"), cases(network).quantised
    assert len(quantised) >= 14
    for convolution in quantised:
        assert any(reads(layer, "Int8") for layer in of_node(report, convolution)), convolution


def test_instance_norm_statistics_stay_fp32_in_an_fp16_graph(
    layers: Callable[..., list[str]],
) -> None:
    means = [x for x in layers("instance", "fp16") if "/statistics/ReduceMean]" in x]
    assert len(means) >= 14
    for layer in means:
        assert re.search(r"Outputs:.*Datatype: Float", layer), layer


def test_plan_is_bytes_that_differ_by_target(cases: Callable[[str], Any]) -> None:
    graph = cases("batch").graphs["fp16"]
    plans = [plan_from_onnx(graph, target=target, threads=1) for target in ("SM86", "SM89")]
    assert all(isinstance(plan, bytes) and len(plan) > 10_000 for plan in plans)
    assert plans[0] != plans[1]


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
    halves = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("MaxPool", ["x"], ["p", "i"], name="pool", **halves),
        helper.make_node("MaxUnpool", ["p", "i"], ["y"], name="unpool", **halves),
    ]
    path = save(nodes, {}, tmp_path / "unpool.onnx", "y")
    with pytest.raises(GraphError, match=r"unpool\.onnx: .*'(pool|unpool)' \(Max(Unp|P)ool\)") as e:
        plan_from_onnx(path, target=TARGET)
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
        plan_from_onnx(path, target=TARGET)


@pytest.mark.parametrize("content", [b"not a graph\n", "truncated"])
def test_a_file_that_is_no_graph(
    content: bytes | str, tmp_path: Path, cases: Callable[[str], Any]
) -> None:
    path = tmp_path / "graph.onnx"
    whole = cases("batch").graphs["fp32"].read_bytes()
    path.write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])
    with pytest.raises(EngineError, match=r"graph\.onnx: expected an ONNX file, found"):
        plan_from_onnx(path, target=TARGET)


@pytest.mark.parametrize("content", [None, b""])
def test_no_file_or_an_empty_one(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EngineError, match=r"graph\.onnx: expected an ONNX"):
        plan_from_onnx(path, target=TARGET)


def test_unknown_target_names_the_known(cases: Callable[[str], Any]) -> None:
    with pytest.raises(EngineError, match=r"'SM87': expected one of .*SM86"):
        plan_from_onnx(cases("batch").graphs["fp32"], target="SM87")


def test_nothing_is_printed(cases: Callable[[str], Any], capfd: pytest.CaptureFixture[str]) -> None:
    plan_from_onnx(cases("batch").graphs["int8"], target=TARGET)
    assert capfd.readouterr() == ("", "")


def test_a_damaged_plan_is_one_line(cases: Callable[[str], Any]) -> None:
    plan = plan_from_onnx(cases("batch").graphs["fp16"], target=TARGET)
    with pytest.raises(EngineError, match="cannot load the plan on this machine") as e:
        inspect_plan(plan[: len(plan) // 2])
    assert "\n" not in str(e.value)


class WeakLayer(SimpleNamespace):
    """A layer of a parsed network as TensorRT 8 would show it: its precision can be set."""

    def get_output(self, i: int) -> Any:
        return SimpleNamespace(dtype=self.dtypes[i])


def weak_network(graph: Path) -> SimpleNamespace:
    """Return the real parse of a graph, its layers open to a weakly typed builder's wishes."""
    trt = tensorrt()
    builder = trt.Builder(trt_build.engine_log())
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, trt_build.engine_log())
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
    [("fp32", set()), ("fp16", {"FP16", "OBEY_PRECISION_CONSTRAINTS"}), ("int8", {"INT8"})],
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
    monkeypatch.setattr(trt_build, "tensorrt", lambda: eight)
    found: set[str] = set()
    trt_build._permit_precisions(network, SimpleNamespace(set_flag=found.add))
    assert found == flags
    held = [layer.name for layer in network.layers if layer.precision is not None]
    assert bool(held) == (precision == "fp16")
    assert all("/statistics/" in name for name in held)
