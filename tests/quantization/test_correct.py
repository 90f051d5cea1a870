"""Bias correction against PyTorch's fake quantisation of one layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_chains import minmax_ranges, session, small_chain

from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.onnx_export.trace import trace_chain
from scnet_edge.quantization.corrections import bias_shifts, correct_biases
from scnet_edge.quantization.qdq import quantise

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
