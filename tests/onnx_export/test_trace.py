"""The traced graph computes what PyTorch does, with ops that every TensorRT since 8.5 reads."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from small_chains import reference, session, small_chain

from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.onnx_export.trace import (
    OPSET,
    bilinear_matrix,
    split_graphs,
    static_shapes,
    trace_chain,
)


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("edges", [True, False])
def test_onnx_equals_torch(norm: str, edges: bool, frame: np.ndarray) -> None:
    chain = small_chain(norm=norm, edges=edges)
    outputs = session(trace_chain(exportable(chain)))({"frame": frame})
    expected = reference(chain, frame)
    assert list(outputs) == (["probability", "edges"] if edges else ["probability"])
    for ours, theirs in zip(outputs.values(), expected, strict=False):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_resize_inside_the_graph_equals_torch() -> None:
    chain = small_chain(frame_hw=(70, 90), edges=False)
    frame = np.random.default_rng(1).integers(0, 256, (1, 70, 90, 3), dtype=np.uint8)
    outputs = session(trace_chain(exportable(chain)))({"frame": frame})
    np.testing.assert_allclose(outputs["probability"], reference(chain, frame)[0], atol=1e-4)


def test_graph_is_what_tensorrt_reads() -> None:
    model = trace_chain(exportable(small_chain()))
    ops = {n.op_type for n in model.graph.node}
    assert model.opset_import[0].version == OPSET
    assert not ops & {"MaxUnpool", "BatchNormalization", "NonZero", "Loop", "If", "Shape"}
    assert all(len(n.output) == 1 for n in model.graph.node if n.op_type == "MaxPool")
    assert all(all(dims) for dims in static_shapes(model).values())
    # A uint8 input may only go into a Cast.
    assert {n.op_type for n in model.graph.node if "frame" in n.input} == {"Cast"}


def test_convolutions_are_named_after_modules() -> None:
    chain = exportable(small_chain())
    modules = dict(chain.named_modules())
    names = [n.name for n in trace_chain(chain).graph.node if n.op_type == "Conv"]
    assert len(names) == len(set(names))
    assert all(name in modules for name in names)


def test_halves_in_a_row_equal_the_fused_graph(frame: np.ndarray) -> None:
    fused = trace_chain(exportable(small_chain()))
    parts = split_graphs(fused)
    for part in parts.values():
        onnx.checker.check_model(part, full_check=True)
    edges = session(parts["hed"])({"frame": frame})
    assert set(np.unique(edges["prior"])) <= {0.0, 1.0}
    masks = session(parts["scnet"])({"frame": frame, "prior": edges["prior"]})
    expected = session(fused)({"frame": frame})
    np.testing.assert_array_equal(masks["probability"], expected["probability"])
    np.testing.assert_array_equal(edges["edges"], expected["edges"])


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
