"""One graph in every precision, INT8 with some layers in FP16 among them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto
from small_chains import minmax_ranges, reference, session, small_chain

from scnet_edge.errors import GraphError
from scnet_edge.onnx_export.fp16 import cast_layers_to_fp16
from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.onnx_export.trace import trace_chain
from scnet_edge.quantization.lowering import bias_shifts, correct_biases, equalise, lower
from scnet_edge.quantization.qdq import quantisable, quantise


@pytest.fixture(scope="module")
def fused() -> onnx.ModelProto:
    return trace_chain(exportable(small_chain(edges=False)))


def test_the_named_layers_alone_compute_in_fp16(fused: onnx.ModelProto, frame: np.ndarray) -> None:
    ranges = minmax_ranges(fused, [frame[0]], session)
    worst = quantisable(fused)[:2]
    mixed = cast_layers_to_fp16(quantise(fused, ranges, exclude=worst), worst)
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


FIRST = "scnet.encoder.0.0"


def frames() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(3)]


def test_the_shift_is_the_mean_error_of_fake_quantisation() -> None:
    chain = exportable(small_chain(edges=False))
    model = trace_chain(chain)
    ranges = minmax_ranges(model, frames(), session) | {FIRST: 0.6}  # saturates
    shifts = bias_shifts(model, ranges, frames(), session)
    conv = chain.scnet.encoder[0][0]
    expected = []
    for frame in frames():
        x = torch.from_numpy(frame[..., ::-1].copy()).permute(2, 0, 1)[None] / 127.5 - 1
        w = conv.weight.detach()
        x8 = torch.fake_quantize_per_tensor_affine(x, 0.6 / 127, 0, -128, 127)
        zeros = torch.zeros(len(w), dtype=torch.int32)
        scales = w.abs().amax((1, 2, 3)) / 127
        w8 = torch.fake_quantize_per_channel_affine(w, scales, zeros, 0, -128, 127)
        moved = F.conv2d(x8, w8, padding=1) - F.conv2d(x, w, padding=1)
        expected.append(moved.mean((0, 2, 3)).numpy())
    np.testing.assert_allclose(shifts[FIRST], np.mean(expected, 0), atol=1e-4)


def test_correcting_centres_the_error() -> None:
    model = trace_chain(exportable(small_chain(edges=False)))
    ranges = minmax_ranges(model, frames(), session) | {FIRST: 0.6}
    shifts = {FIRST: bias_shifts(model, ranges, frames(), session)[FIRST]}
    assert max(map(abs, shifts[FIRST])) > 5e-4
    again = bias_shifts(correct_biases(model, shifts), ranges, frames(), session)[FIRST]
    assert again == pytest.approx(shifts[FIRST], abs=1e-4)  # the error of a layer stays ...
    biases = {i.name: i for i in quantise(correct_biases(model, shifts), ranges).graph.initializer}
    conv = next(n for n in model.graph.node if n.name == FIRST)
    before = {i.name: i for i in model.graph.initializer}[conv.input[2]]
    from onnx import numpy_helper

    moved = numpy_helper.to_array(before) - numpy_helper.to_array(biases[conv.input[2]])
    np.testing.assert_allclose(moved, shifts[FIRST], atol=1e-5)  # ... and its bias takes it off


@pytest.mark.parametrize("edges", [True, False])
def test_the_function_stays(edges: bool, frame: np.ndarray) -> None:
    chain = exportable(small_chain(edges=edges))
    before = reference(chain, frame)
    equalise(chain)
    for old, new in zip(before[:2], reference(chain, frame)[:2], strict=True):
        assert np.abs(old - new).max() < 1e-4


def test_channels_between_two_convolutions_have_the_same_range_in_both() -> None:
    chain = exportable(small_chain(edges=False))
    first, second = chain.scnet.encoder[0][0], chain.scnet.encoder[0][3]
    first.weight.data[0] *= 50
    equalise(chain)
    down = first.weight.detach().abs().amax((1, 2, 3))
    up = second.weight.detach().abs().amax((0, 2, 3))
    assert torch.allclose(down, up, rtol=1e-4)


def test_an_instance_norm_in_between_is_left_alone() -> None:
    chain = exportable(small_chain(edges=False, norm="instance"))
    before = {k: v.clone() for k, v in chain.state_dict().items()}
    equalise(chain)
    assert all(torch.equal(v, before[k]) for k, v in chain.state_dict().items())
