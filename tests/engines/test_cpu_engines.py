from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

from scnet_edge.engines.base import Streaming, open_backend, run_all
from scnet_edge.errors import EngineError

Array = npt.NDArray[Any]
ENGINES = ("openvino", "onnxruntime")
NETWORKS = ("batch", "instance", "chain")


def run(engine: str, graph: Path, frame: Array) -> dict[str, Array]:
    backend = open_backend(engine, graph, threads=1, arithmetic="fp32")
    outputs = backend.run({"frame": frame})
    backend.close()
    return outputs


def run_node_by_node(graph: Path, frame: Array) -> dict[str, Array]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(graph), options, ["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, {"frame": frame}), strict=True))


@pytest.fixture(scope="module")
def results(cases: Callable[[str], Any]) -> Callable[[str, str, str], dict[str, Array]]:
    done: dict[tuple[str, str, str], dict[str, Array]] = {}

    def result(network: str, precision: str, engine: str) -> dict[str, Array]:
        key = (network, precision, engine)
        if key not in done:
            case = cases(network)
            done[key] = run(engine, case.graphs[precision], case.frame)
        return done[key]

    return result


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("network", NETWORKS)
def test_fp32_is_what_torch_computes(
    network: str, engine: str, cases: Callable[[str], Any], results: Callable[..., Any]
) -> None:
    reference, outputs = cases(network).reference, results(network, "fp32", engine)
    assert list(outputs) == list(reference)[: len(outputs)]
    for name, values in outputs.items():
        assert values.dtype == np.float32
        assert np.ptp(reference[name]) > 0.2  # a flat map would agree with anything
        np.testing.assert_allclose(values, reference[name], rtol=0, atol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("precision", "agreement"), [("fp16", 0.94), ("int8", 0.75)])
def test_lower_precisions_stay_near_torch(
    network: str,
    engine: str,
    precision: str,
    agreement: float,
    cases: Callable[[str], Any],
    results: Callable[..., Any],
) -> None:
    """Loosely: in random nets a few channels wide, rounding flips many pooled maxima."""
    for name, values in results(network, precision, engine).items():
        reference = cases(network).reference[name]
        assert ((values > 0.5) == (reference > 0.5)).mean() > agreement
        assert np.corrcoef(values.ravel(), reference.ravel())[0, 1] > agreement


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("network", NETWORKS)
def test_int8_is_the_arithmetic_that_the_graph_states(
    network: str, engine: str, cases: Callable[[str], Any], results: Callable[..., Any]
) -> None:
    """The oracle runs each node by itself; one sum that rounds otherwise moves single values."""
    exact = run_node_by_node(cases(network).graphs["int8"], cases(network).frame)
    for name, values in results(network, "int8", engine).items():
        assert np.abs(values - exact[name]).mean() < 5e-3


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("channels", [2, 4, 16])
@pytest.mark.parametrize("half", [False, True], ids=["fp32", "fp16"])
def test_quantised_convolution_behind_a_concat(
    engine: str, channels: int, half: bool, tmp_path: Path
) -> None:
    """Signed values in two branches, as image and prior are: OpenVINO alone gets this wrong."""
    rng = np.random.default_rng(channels)
    path = tmp_path / "concat.onnx"
    onnx.save(concat_quantised_convolution(channels, rng, half=half), path)
    image = rng.uniform(-1, 1, (1, channels - 1, 16, 16)).astype(np.float16)  # exact in both
    feeds = {
        "image": image.astype(np.float32),
        "prior": rng.integers(0, 2, (1, 1, 16, 16)).astype(np.float32),
    }
    backend = open_backend(engine, path, threads=1, arithmetic="fp32")
    found = backend.run(feeds)["features"]
    backend.close()
    stacked = np.concatenate([feeds["image"], feeds["prior"]], 1)
    quantised = torch.fake_quantize_per_tensor_affine(
        torch.from_numpy(stacked), 1 / 127, 0, -128, 127
    )
    weight = numpy_helper.to_array(onnx.load(path).graph.initializer[0])
    expected = F.conv2d(
        quantised, torch.from_numpy(weight.astype(np.float32) / 64), padding=1
    ).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def concat_quantised_convolution(
    channels: int, rng: np.random.Generator, *, half: bool
) -> onnx.ModelProto:
    """Return image, prior -> Concat -> Q/DQ -> convolution with int8 weights of scale 1/64.

    With `half`, the Concat is of FP16 and its result is cast back, as in a typed graph.
    """
    weight = rng.integers(-127, 128, (8, channels, 3, 3)).astype(np.int8)
    joined = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    constants = {
        "weight": weight,
        "scale": np.float32(1 / 127),
        "zero": np.int8(0),
        "weight_scale": np.full(8, 1 / 64, np.float32),
        "weight_zero": np.zeros(8, np.int8),
    }
    nodes = [
        *(
            helper.make_node("Cast", [name], [f"{name}.cast"], to=joined)
            for name in ("image", "prior")
        ),
        helper.make_node("Concat", ["image.cast", "prior.cast"], ["both"], axis=1),
        helper.make_node("Cast", ["both"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["dq"]),
        helper.make_node(
            "DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["w"], axis=0
        ),
        helper.make_node("Conv", ["dq", "w"], ["features"], pads=[1, 1, 1, 1]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "concat",
        [
            value("image", TensorProto.FLOAT, [1, channels - 1, 16, 16]),
            value("prior", TensorProto.FLOAT, [1, 1, 16, 16]),
        ],
        [value("features", TensorProto.FLOAT, [1, 8, 16, 16])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("precision", "mean_error"), [("fp32", 1e-5), ("fp16", 1e-2), ("int8", 5e-3)]
)
def test_engines_agree_on_one_graph(
    network: str, precision: str, mean_error: float, results: Callable[..., Any]
) -> None:
    ours, theirs = (results(network, precision, engine) for engine in ENGINES)
    for name in ours:
        assert np.abs(ours[name] - theirs[name]).mean() < mean_error


@pytest.mark.parametrize("engine", ENGINES)
def test_outputs_are_the_callers_to_keep(engine: str, cases: Callable[[str], Any]) -> None:
    case = cases("batch")
    backend = open_backend(engine, case.graphs["fp32"], threads=1)
    first = backend.run({"frame": case.frame})["probability"]
    kept = first.copy()
    assert not np.array_equal(backend.run({"frame": 255 - case.frame})["probability"], kept)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(backend.run({"frame": case.frame})["probability"], kept)
    backend.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_frames_need_be_neither_contiguous_nor_writeable(
    engine: str, cases: Callable[[str], Any]
) -> None:
    case = cases("batch")
    backend = open_backend(engine, case.graphs["fp32"], threads=1)
    expected = backend.run({"frame": case.frame})["probability"]
    wide = np.repeat(case.frame, 2, axis=2)[:, :, ::2]
    wide.flags.writeable = False
    np.testing.assert_array_equal(backend.run({"frame": wide})["probability"], expected)
    backend.close()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("feeds", "said"),
    [
        ({}, r"expected the inputs \['frame'\]"),
        ({"image": np.zeros((1, 64, 64, 3), np.uint8)}, r"found \['image'\]"),
        ({"frame": np.zeros((1, 64, 32, 3), np.uint8)}, r"found \(1, 64, 32, 3\)"),
        ({"frame": np.zeros((1, 64, 64, 3), np.float32)}, "found .* float32"),
    ],
)
def test_wrong_feeds_are_refused(
    engine: str, feeds: dict[str, Array], said: str, cases: Callable[[str], Any]
) -> None:
    backend = open_backend(engine, cases("batch").graphs["fp32"], threads=1)
    with pytest.raises(EngineError, match=said):
        backend.run(feeds)
    backend.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_closed_twice_and_silent_after(engine: str, cases: Callable[[str], Any]) -> None:
    case = cases("batch")
    backend = open_backend(engine, case.graphs["fp32"], threads=1)
    backend.close()
    backend.close()
    with pytest.raises(EngineError, match="closed"):
        backend.run({"frame": case.frame})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("content", [None, b"", b"not a graph\n", "truncated"])
def test_files_that_are_no_graph(
    engine: str,
    content: bytes | str | None,
    tmp_path: Path,
    cases: Callable[[str], Any],
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "graph.onnx"
    if content == "truncated":
        content = cases("batch").graphs["fp32"].read_bytes()[:50_000]
    if isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(EngineError, match=r"graph\.onnx") as raised:
        open_backend(engine, path)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("engine", ENGINES)
def test_dynamic_shapes_are_refused(engine: str, tmp_path: Path) -> None:
    frame = helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, "h", "w", 3])
    out = helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1, "h", "w", 3])
    cast = helper.make_node("Cast", ["frame"], ["probability"], to=TensorProto.FLOAT)
    graph = helper.make_graph([cast], "dynamic", [frame], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "dynamic.onnx")
    with pytest.raises(EngineError, match="static shape"):
        open_backend(engine, tmp_path / "dynamic.onnx")


def test_openvino_keeps_compiled_code_in_the_cache(
    cases: Callable[[str], Any], tmp_path: Path
) -> None:
    case, cache = cases("batch"), tmp_path / "cache"
    graph = case.graphs["fp32"]
    for _ in range(2):  # compiled, then read back
        backend = open_backend("openvino", graph, threads=1, cache=cache)
        probability = backend.run({"frame": case.frame})["probability"]
        backend.close()
        np.testing.assert_allclose(probability, case.reference["probability"], rtol=0, atol=1e-4)
    assert len(list(cache.glob("*.blob"))) == 1


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_openvino_runs_fp32_and_not_what_the_cpu_would_rather(
    precision: str, cases: Callable[[str], Any]
) -> None:
    """On a CPU with BF16 units OpenVINO would choose them; the property says what it chose."""
    from scnet_edge.engines.openvino.cpu import compile_graph

    model = compile_graph(cases("batch").graphs[precision], threads=1, cache=None)
    assert model.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    assert model.get_property("INFERENCE_NUM_THREADS") == 1


@pytest.mark.parametrize("network", NETWORKS)
def test_bf16_for_the_rest_stays_near_fp32(network: str, cases: Callable[[str], Any]) -> None:
    """On a CPU without BF16 units the engine rounds as they would, only slower."""
    case = cases(network)
    found = []
    for arithmetic in ("fp32", "bf16"):
        backend = open_backend("openvino", case.graphs["int8"], threads=1, arithmetic=arithmetic)
        found.append(backend.run({"frame": case.frame}))
        backend.close()
    for name in found[0]:
        assert (
            np.corrcoef(found[0][name].ravel(), found[1][name].ravel())[0, 1] > 0.75
        )  # random nets


def test_only_openvino_takes_bf16(cases: Callable[[str], Any]) -> None:
    with pytest.raises(EngineError, match="computes what the graph states"):
        open_backend("onnxruntime", cases("batch").graphs["fp32"], arithmetic="bf16")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_a_row_of_frames_comes_out_in_order(
    count: int, engine: str, cases: Callable[[str], Any]
) -> None:
    case = cases("batch")
    frames = [np.roll(case.frame, shift, axis=2) for shift in range(count)]
    backend = open_backend(engine, case.graphs["int8"], threads=2)
    one_by_one = [backend.run({"frame": frame})["probability"] for frame in frames]
    # each frame's memory may be written over as soon as its result is there
    in_a_row = list(run_all(backend, ({"frame": frame.copy()} for frame in frames)))
    backend.close()
    assert len(in_a_row) == count
    for found, expected in zip(in_a_row, one_by_one, strict=True):
        np.testing.assert_array_equal(found["probability"], expected)


def test_openvino_has_as_many_frames_under_way_as_threads(cases: Callable[[str], Any]) -> None:
    case, taken = cases("batch"), 0

    def feeds() -> Iterator[dict[str, Array]]:
        nonlocal taken
        while True:
            taken += 1
            yield {"frame": case.frame}

    backend = open_backend("openvino", case.graphs["int8"], threads=3)
    assert isinstance(backend, Streaming)
    outputs = run_all(backend, feeds())
    for k in range(4):
        next(outputs)
        assert taken <= k + 4
    outputs.close()  # a row that is left waits for the frames under way
    backend.close()
    with pytest.raises(EngineError, match="closed"):
        next(backend.stream([{"frame": case.frame}] * 2))


def test_a_row_with_a_wrong_frame_is_one_line(cases: Callable[[str], Any]) -> None:
    case = cases("batch")
    backend = open_backend("openvino", case.graphs["int8"], threads=2)
    feeds = [{"frame": case.frame}, {"frame": case.frame[:, :-1]}, {"frame": case.frame}]
    with pytest.raises(EngineError, match="expected"):
        list(run_all(backend, feeds))
    backend.close()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_frames_at_once_are_the_frames_one_by_one(
    precision: str, network: str, engine: str, cases: Callable[[str], Any]
) -> None:
    """Instance norms included: each frame has its own statistics."""
    case = cases(network)
    frames = np.concatenate([np.roll(case.frame, 9 * k, axis=1) // (k + 1) for k in range(3)])
    at_once = run(engine, case.batched[precision], frames)
    ones = [run(engine, case.graphs[precision], frame[None]) for frame in frames]
    for name, found in at_once.items():
        assert found.shape[0] == 3
        expected = np.concatenate([one[name] for one in ones])
        assert np.abs(found - expected).mean() < 1e-5
        assert np.mean((found > 0.5) != (expected > 0.5)) < 1e-3
