"""Equalised layers compute what they computed before, with channels of like range."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_chains import reference, small_chain

from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.quantization.corrections import equalise


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
