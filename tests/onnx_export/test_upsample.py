"""Side maps weighed into one by matrices, against PyTorch's interpolation and convolution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_chains import small_chain

from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.onnx_export.trace import trace_chain
from scnet_edge.onnx_export.upsample import bilinear_matrix


@pytest.mark.parametrize(("size", "out"), [(1, 8), (3, 24), (12, 24), (17, 34), (5, 7), (9, 9)])
def test_the_matrix_is_pytorchs_interpolation(size: int, out: int) -> None:
    expected = F.interpolate(torch.eye(size)[None], size=out, mode="linear")[0].T
    np.testing.assert_allclose(bilinear_matrix(size, out), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("edges", [True, False])
def test_no_side_map_is_resized_or_convolved_at_full_size(edges: bool) -> None:
    model = trace_chain(exportable(small_chain(edges=edges)))
    bilinear = [
        n.name
        for n in model.graph.node
        if n.op_type == "Resize" and any(a.s == b"linear" for a in n.attribute)
    ]
    names = {n.name for n in model.graph.node if n.op_type == "Conv"}
    assert not bilinear
    assert not {"scnet.fuse", "hed.fuse"} & names
    assert sum(n.op_type == "MatMul" for n in model.graph.node) == 3 + (5 if edges else 0)


def test_a_resized_frame_stays_a_resize() -> None:
    model = trace_chain(exportable(small_chain(frame_hw=(70, 90), edges=False)))
    assert sum(n.op_type == "Resize" and "scnet" not in n.name for n in model.graph.node) == 1
