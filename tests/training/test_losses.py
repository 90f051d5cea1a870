"""Losses against values worked by hand, other formulas and numerical gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import log_loss
from torch import Tensor

from scnet_edge.training.losses import SIDE_WEIGHTS, focal, scnet_loss, soft_iou

Loss = Callable[[Tensor, Tensor], Tensor]


def logits_and_mask(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 1, 4, 5, generator=generator, dtype=torch.double)
    return logits, (torch.rand(2, 1, 4, 5, generator=generator) > 0.6).double()


@pytest.mark.parametrize("loss", [focal, soft_iou])
def test_gradients(loss: Loss) -> None:
    logits, mask = logits_and_mask()
    assert torch.autograd.gradcheck(lambda x: loss(x, mask), logits.requires_grad_())


def test_gradient_of_the_whole_loss() -> None:
    logits, mask = logits_and_mask()
    sides = [logits * 0.3, logits + 1]
    assert torch.autograd.gradcheck(
        lambda x, a, b: scnet_loss(x, [a, b], mask, focal_weight=10.0),
        [t.clone().requires_grad_() for t in (logits, *sides)],
    )


def test_focal_by_hand() -> None:
    logits = torch.tensor([0.0, math.log(3)]).view(1, 1, 1, 2)  # p = 1/2 and 3/4
    mask = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    crack = 0.5**2 * math.log(2)  # (1 - p)^2 * -log p
    background = 0.75**2 * math.log(4)  # p^2 * -log (1 - p)
    assert focal(logits, mask).item() == pytest.approx((crack + background) / 2, rel=1e-6)
    assert focal(logits, mask, alpha=0.25).item() == pytest.approx(
        (crack + background) / 8, rel=1e-6
    )


def test_focal_without_focus_is_cross_entropy() -> None:
    logits, mask = logits_and_mask()
    expected = log_loss(mask.ravel().numpy(), torch.sigmoid(logits).ravel().numpy())
    assert focal(logits, mask, gamma=0).item() == pytest.approx(expected)


def test_focal_is_finite_on_extreme_logits() -> None:
    logits = torch.tensor([80.0, -80.0]).view(1, 1, 1, 2).requires_grad_()
    focal(logits, torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_soft_iou_by_hand() -> None:
    logits = torch.zeros(1, 1, 1, 4)  # p = 1/2 everywhere
    mask = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 1, 4)
    # intersection 1, union 2 + 2 - 1 = 3, and the smoothing of 1
    assert soft_iou(logits, mask).item() == pytest.approx(1 - 2 / 4)


def test_soft_iou_of_hard_masks_is_the_jaccard_distance() -> None:
    _, mask = logits_and_mask(1)
    _, other = logits_and_mask(2)
    logits = (other - 0.5) * 200
    jaccard = [
        np.logical_and(a, b).sum() / np.logical_or(a, b).sum()
        for a, b in zip(mask.bool().numpy(), other.bool().numpy(), strict=True)
    ]
    assert soft_iou(logits, mask, smooth=0).item() == pytest.approx(1 - np.mean(jaccard))


def test_soft_iou_without_a_crack_is_defined() -> None:
    logits = torch.full((1, 1, 8, 8), -30.0)
    assert soft_iou(logits, torch.zeros(1, 1, 8, 8)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("levels", [4, 5])
def test_whole_loss_is_equation_11(levels: int) -> None:
    fused, mask = logits_and_mask()
    sides = [logits_and_mask(i)[0] for i in range(levels)]

    def mean_focal(x: Tensor) -> Tensor:
        p = torch.where(mask > 0, torch.sigmoid(x), torch.sigmoid(-x))
        return ((1 - p) ** 2 * F.binary_cross_entropy_with_logits(x, mask, reduction="none")).mean()

    weights = (0.5, 0.75, 1.0, 0.75, 0.5)
    assert weights == SIDE_WEIGHTS
    expected = soft_iou(fused, mask) + 3 * (
        mean_focal(fused) + sum(w * mean_focal(s) for w, s in zip(weights, sides, strict=False))
    )
    torch.testing.assert_close(scnet_loss(fused, sides, mask, focal_weight=3), expected)
