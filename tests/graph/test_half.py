"""FP16 by casts: typed as promised, close to FP32, and refused where FP16 cannot hold a weight."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from small_chains import reference, session, small_chain

from scnet_edge.errors import GraphError
from scnet_edge.graph.half import to_half
from scnet_edge.graph.rewrite import exportable
from scnet_edge.graph.trace import halves, trace_chain


def tensor_types(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    return {v.name: v.type.tensor_type.elem_type for v in values}


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("edges", [True, False])
def test_close_to_fp32(norm: str, edges: bool, frame: np.ndarray) -> None:
    chain = small_chain(norm=norm, edges=edges)
    half = to_half(trace_chain(exportable(chain)))
    expected = reference(chain, frame)
    outputs = session(half)({"frame": frame})
    if edges:
        np.testing.assert_allclose(outputs["edges"], expected[1], atol=5e-3)
    # One flipped pixel of the binary prior moves the probability around it.
    assert np.abs(outputs["probability"] - expected[0]).mean() < 2e-3


def test_every_convolution_computes_in_fp16() -> None:
    half = to_half(trace_chain(exportable(small_chain())))
    types = tensor_types(half)
    convolutions = [n for n in half.graph.node if n.op_type == "Conv"]
    assert {types[n.output[0]] for n in convolutions} == {TensorProto.FLOAT16}
    assert types["frame"] == TensorProto.UINT8
    assert types["probability"] == types["edges"] == TensorProto.FLOAT


def test_instance_statistics_stay_fp32() -> None:
    half = to_half(trace_chain(exportable(small_chain(norm="instance", edges=False))))
    types = tensor_types(half)
    means = [n for n in half.graph.node if n.op_type == "ReduceMean"]
    assert means
    assert {types[n.output[0]] for n in means} == {TensorProto.FLOAT}


def test_halves_keep_fp32_at_their_borders() -> None:
    parts = halves(trace_chain(exportable(small_chain())))
    assert tensor_types(to_half(parts["hed"]))["prior"] == TensorProto.FLOAT
    assert tensor_types(to_half(parts["scnet"]))["prior"] == TensorProto.FLOAT


def test_weight_beyond_fp16_is_refused() -> None:
    chain = small_chain(edges=False)
    chain.scnet.fuse.weight.data[0] = 1e6
    with pytest.raises(GraphError, match="FP16 cannot"):
        to_half(trace_chain(exportable(chain)))
