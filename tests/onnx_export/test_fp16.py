"""FP16 by casts: typed as promised, close to FP32, and refused where FP16 cannot hold a weight."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from small_chains import reference, session, small_chain

from scnet_edge.errors import GraphError
from scnet_edge.onnx_export.fp16 import to_fp16
from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.onnx_export.trace import split_graphs, trace_chain
from scnet_edge.quantization.qdq import quantisable, quantise


def tensor_types(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    return {v.name: v.type.tensor_type.elem_type for v in values}


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("edges", [True, False])
def test_close_to_fp32(norm: str, edges: bool, frame: np.ndarray) -> None:
    chain = small_chain(norm=norm, edges=edges)
    half = to_fp16(trace_chain(exportable(chain)))
    expected = reference(chain, frame)
    outputs = session(half)({"frame": frame})
    if edges:
        np.testing.assert_allclose(outputs["edges"], expected[1], atol=5e-3)
    # One flipped pixel of the binary prior moves the probability around it.
    assert np.abs(outputs["probability"] - expected[0]).mean() < 2e-3


def test_every_convolution_computes_in_fp16() -> None:
    half = to_fp16(trace_chain(exportable(small_chain())))
    types = tensor_types(half)
    convolutions = [n for n in half.graph.node if n.op_type == "Conv"]
    assert {types[n.output[0]] for n in convolutions} == {TensorProto.FLOAT16}
    assert types["frame"] == TensorProto.UINT8
    assert types["probability"] == types["edges"] == TensorProto.FLOAT


def test_instance_statistics_stay_fp32() -> None:
    half = to_fp16(trace_chain(exportable(small_chain(norm="instance", edges=False))))
    types = tensor_types(half)
    means = [n for n in half.graph.node if n.op_type == "ReduceMean"]
    assert means
    assert {types[n.output[0]] for n in means} == {TensorProto.FLOAT}


def test_halves_keep_fp32_at_their_borders() -> None:
    parts = split_graphs(trace_chain(exportable(small_chain())))
    assert tensor_types(to_fp16(parts["hed"]))["prior"] == TensorProto.FLOAT
    assert tensor_types(to_fp16(parts["scnet"]))["prior"] == TensorProto.FLOAT


def test_weight_beyond_fp16_is_refused() -> None:
    chain = small_chain(edges=False)
    chain.scnet.fuse.weight.data[0] = 1e6
    with pytest.raises(GraphError, match="FP16 cannot"):
        to_fp16(trace_chain(exportable(chain)))


def quantised_chain(**config: object) -> tuple[onnx.ModelProto, list[str]]:
    """Return a small chain in INT8 but for one convolution, and which convolutions are INT8."""
    fp32 = trace_chain(exportable(small_chain(**config)))
    names = quantisable(fp32)
    return quantise(fp32, dict.fromkeys(names, 8.0), exclude=names[-1:]), names[:-1]


@pytest.mark.parametrize(("norm", "edges"), [("batch", True), ("instance", False)])
def test_int8_with_fp16_elsewhere(norm: str, edges: bool, frame: np.ndarray) -> None:
    int8, names = quantised_chain(norm=norm, edges=edges)
    half = to_fp16(int8)
    assert half.opset_import[0].version == 19
    types = tensor_types(half)
    for node in half.graph.node:
        if node.op_type == "Conv":
            assert types[node.output[0]] == TensorProto.FLOAT16
            assert (node.input[0].endswith(".dq")) == (node.name in names)
    expected, found = session(int8)({"frame": frame}), session(half)({"frame": frame})
    assert found.keys() == expected.keys()
    for name, values in found.items():
        assert values.dtype == np.float32
        # The nearest of 255 steps may be the neighbouring one.
        assert np.abs(values - expected[name]).mean() < 1e-2


def test_the_weights_lie_there_as_int8_with_scales_that_do_not_saturate() -> None:
    int8, names = quantised_chain(edges=False)
    half = to_fp16(int8)
    assert len(half.SerializeToString()) < 0.6 * len(int8.SerializeToString())
    fp32 = {i.name: numpy_helper.to_array(i) for i in int8.graph.initializer}
    ours = {i.name: numpy_helper.to_array(i) for i in half.graph.initializer}
    for node in (n for n in int8.graph.node if n.name in names):
        label = node.input[1].removesuffix(".dq")
        values, scales = ours[f"{label}.q"], ours[f"{label}.scale"]
        weight = fp32[next(n.input[0] for n in int8.graph.node if n.output[0] == f"{label}.q")]
        assert values.dtype == np.int8
        assert scales.dtype == np.float16
        step = scales.astype(np.float32).reshape(-1, 1, 1, 1)
        assert (np.abs(values * step - weight) <= 0.5001 * step).all()


def test_a_scale_beyond_fp16_is_refused() -> None:
    fp32 = trace_chain(exportable(small_chain(edges=False)))
    ranges = dict.fromkeys(quantisable(fp32), 1e8)
    with pytest.raises(GraphError, match=r"\.scale: beyond 65504; calibrate again"):
        to_fp16(quantise(fp32, ranges))
