"""One graph in every precision, INT8 with some layers in FP16 among them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from small_chains import minmax_ranges, session, small_chain

from scnet_edge.errors import GraphError
from scnet_edge.onnx_export.fp16 import half_layers
from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.onnx_export.trace import trace_chain
from scnet_edge.quantization.lowering import lower
from scnet_edge.quantization.qdq import quantisable, quantise


@pytest.fixture(scope="module")
def fused() -> onnx.ModelProto:
    return trace_chain(exportable(small_chain(edges=False)))


def test_the_named_layers_alone_compute_in_fp16(fused: onnx.ModelProto, frame: np.ndarray) -> None:
    ranges = minmax_ranges(fused, [frame[0]], session)
    worst = quantisable(fused)[:2]
    mixed = half_layers(quantise(fused, ranges, exclude=worst), worst)
    inferred = onnx.shape_inference.infer_shapes(mixed, strict_mode=True).graph.value_info
    types = {v.name: v.type.tensor_type.elem_type for v in inferred}
    convolutions = [n for n in mixed.graph.node if n.op_type == "Conv"]
    halved = [n.name for n in convolutions if types[n.output[0]] == TensorProto.FLOAT16]
    assert halved == worst
    assert sum(n.input[1].endswith(".dq") for n in convolutions) == len(ranges) - len(worst)
    assert mixed.opset_import[0].version == 17
    exact = session(quantise(fused, ranges, exclude=worst))({"frame": frame})["probability"]
    ours = session(mixed)({"frame": frame})["probability"]
    assert np.abs(ours - exact).mean() < 1e-3
    assert not np.array_equal(ours, exact)


def test_int8_without_ranges_is_refused(fused: onnx.ModelProto) -> None:
    with pytest.raises(GraphError, match="scnet-edge calibrate"):
        lower(fused, "int8", None)
