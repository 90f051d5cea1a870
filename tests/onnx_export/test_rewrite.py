"""The rewritten model computes what the original does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from small_chains import reference, small_chain
from torch import nn

from scnet_edge.onnx_export.rewrite import WindowPool, WindowUnpool, exportable

VARIANTS = [
    {"norm": norm, "attention": attention, "edges": edges}
    for norm, attention, edges in [
        ("batch", "scale", True),
        ("instance", "scale", False),
        ("none", "scalar", False),
        ("batch", "none", True),
    ]
] + [{"pooling": "dilated", "edges": False}, {"feed": "raw", "edges": False, "refined_channels": 2}]


@given(seed=st.integers(0, 10_000), levels=st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_pooling_is_bit_equal_to_torch_with_ties(seed: int, levels: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-levels, levels + 1, (2, 3, 8, 12), generator=generator).float()
    y = torch.rand((2, 3, 4, 6), generator=generator)
    expected, indices = F.max_pool2d(x, 2, return_indices=True)
    pooled, memory = WindowPool()(x)
    assert torch.equal(pooled, expected)
    assert torch.equal(WindowUnpool()(y, memory), F.max_unpool2d(y, indices, 2))


@pytest.mark.parametrize("config", VARIANTS, ids=str)
def test_rewritten_chain_equals_torch(config: dict[str, object], frame: np.ndarray) -> None:
    chain = small_chain(**config)
    for ours, expected in zip(
        reference(exportable(chain), frame), reference(chain, frame), strict=True
    ):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_original_is_left_alone() -> None:
    chain = small_chain()
    exportable(chain)
    assert any(isinstance(m, nn.BatchNorm2d) for m in chain.modules())


def test_no_norm_or_dead_bias_remains() -> None:
    batch = exportable(small_chain(edges=False))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in batch.modules())
    instance = exportable(small_chain(norm="instance", edges=False))
    convolutions = [m for b in instance.scnet.encoder for m in b if isinstance(m, nn.Conv2d)]
    assert convolutions
    assert all(c.bias is None for c in convolutions)
