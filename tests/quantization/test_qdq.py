"""Q/DQ placement as TensorRT wants it, with PyTorch's fake quantisation as the oracle."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from small_chains import reference, session, small_chain

from scnet_edge.errors import GraphError
from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.onnx_export.trace import trace_chain
from scnet_edge.quantization.qdq import quantisable, quantise, weight_scales


@pytest.fixture(scope="module")
def fused() -> onnx.ModelProto:
    return trace_chain(exportable(small_chain()))


def one_convolution(weight: np.ndarray, bias: np.ndarray) -> onnx.ModelProto:
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], name="conv", pads=[1, 1, 1, 1])
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 8, 8])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_one_convolution_equals_fake_quantisation_in_torch() -> None:
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(4, 3, 3, 3)).astype("f"), rng.normal(size=4).astype("f")
    x = rng.normal(size=(1, 3, 8, 8)).astype("f")
    peak = 2.0  # some inputs are beyond it and saturate
    ours = session(quantise(one_convolution(weight, bias), {"conv": peak}))({"x": x})["y"]
    w = torch.from_numpy(weight)
    quantised_x = torch.fake_quantize_per_tensor_affine(
        torch.from_numpy(x), peak / 127, 0, -128, 127
    )
    quantised_w = torch.fake_quantize_per_channel_affine(
        w, w.abs().amax((1, 2, 3)) / 127, torch.zeros(4, dtype=torch.int32), 0, -128, 127
    )
    expected = F.conv2d(quantised_x, quantised_w, torch.from_numpy(bias), padding=1)
    np.testing.assert_allclose(ours, expected.numpy(), atol=1e-5)


def test_placement(fused: onnx.ModelProto) -> None:
    names = quantisable(fused)
    graph = quantise(fused, dict.fromkeys(names, 4.0)).graph
    makers = {o: n for n in graph.node for o in n.output}
    initializers = {i.name: i for i in graph.initializer}
    for conv in (n for n in graph.node if n.op_type == "Conv"):
        inputs = [makers[i].op_type for i in conv.input[:2] if i in makers]
        assert inputs.count("DequantizeLinear") == (2 if conv.name in names else 0)
        if len(conv.input) == 3:
            assert initializers[conv.input[2]].data_type == TensorProto.FLOAT
    for node in (n for n in graph.node if n.op_type == "QuantizeLinear"):
        zero = initializers[node.input[2]]
        assert zero.data_type == TensorProto.INT8
        assert not numpy_helper.to_array(zero).any()


def test_single_channel_maps_stay_in_floating_point(fused: onnx.ModelProto) -> None:
    names = quantisable(fused)
    assert "hed.blocks.0.0" in names
    assert "scnet.encoder.0.0" in names
    assert not any("sides" in n or "attend" in n or "refine" in n or "fuse" in n for n in names)


def test_weight_scales_are_per_output_channel() -> None:
    weight = np.zeros((2, 3, 1, 1), np.float32)
    weight[0, 1] = -12.7
    scales = weight_scales(weight)
    assert scales[0] == pytest.approx(0.1)
    assert 0 < scales[1] < 1e-6  # an all-zero channel still has a scale


def test_excluded_convolutions_stay(fused: onnx.ModelProto) -> None:
    ranges = dict.fromkeys(quantisable(fused), 4.0)
    graph = quantise(fused, ranges, exclude=["hed.blocks.0.0"]).graph
    conv = next(n for n in graph.node if n.name == "hed.blocks.0.0")
    assert not conv.input[1].endswith(".dq")


@pytest.mark.parametrize(
    ("ranges", "message"),
    [({"nowhere": 1.0}, "another model"), ({"hed.blocks.0.0": 0.0}, "positive"),
     ({"hed.blocks.0.0": float("nan")}, "positive")],
)  # fmt: skip
def test_bad_ranges_are_refused(
    fused: onnx.ModelProto, ranges: dict[str, float], message: str
) -> None:
    with pytest.raises(GraphError, match=message):
        quantise(fused, ranges)


def test_exclusion_of_nothing_is_refused(fused: onnx.ModelProto) -> None:
    with pytest.raises(
        GraphError, match=r"exclude: no convolution is named nowhere; .*sensitivity"
    ):
        quantise(fused, {}, exclude=["nowhere"])
    with pytest.raises(GraphError, match=r"named nowhere; the ranges are of another model"):
        quantise(fused, {"nowhere": 1.0})


def test_without_ranges_nothing_changes(fused: onnx.ModelProto, frame: np.ndarray) -> None:
    ours = session(quantise(fused, {}))({"frame": frame})["probability"]
    np.testing.assert_allclose(ours, reference(small_chain(), frame)[0], atol=1e-4)
