"""Losses against values worked by hand, other formulas and numerical gradients."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import log_loss
from torch import Tensor

from scnet_edge.errors import InputError
from scnet_edge.training.losses import (
    SIDE_WEIGHTS,
    NeuroIoU,
    RegionLoss,
    cross_entropy,
    dice,
    draw_maps,
    focal,
    hard_iou,
    lovasz,
    median_frequency,
    pixel_loss,
    pooled_iou,
    region_loss,
    scnet_loss,
    soft_iou,
)

Loss = Callable[[Tensor, Tensor], Tensor]


def logits_and_mask(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 1, 4, 5, generator=generator, dtype=torch.double)
    return logits, (torch.rand(2, 1, 4, 5, generator=generator) > 0.6).double()


def weighted(logits: Tensor, mask: Tensor) -> Tensor:
    return cross_entropy(logits, mask, weights=(0.5, 9.0))


named = functools.cache(region_loss)  # Neuro-IoU learns once


@pytest.mark.parametrize(
    "loss", [focal, soft_iou, pooled_iou, dice, lovasz, cross_entropy, weighted]
)
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


def test_weighted_cross_entropy_is_scikit_learn() -> None:
    logits, mask = logits_and_mask()
    sample_weight = np.where(mask.ravel() > 0, 9.0, 0.5)
    expected = log_loss(
        mask.ravel().numpy(), torch.sigmoid(logits).ravel().numpy(), sample_weight=sample_weight
    )
    assert weighted(logits, mask).item() == pytest.approx(expected * sample_weight.mean())


def test_median_frequency_by_hand() -> None:
    some, none = np.zeros((10, 10), np.bool_), np.zeros((10, 10), np.bool_)
    some[0] = True  # crack: 10 of the 100 pixels of the one image that shows it
    background, crack = median_frequency([some, none])
    frequencies = np.array([190 / 200, 10 / 100])
    assert (background, crack) == pytest.approx(tuple(np.median(frequencies) / frequencies))


def test_median_frequency_without_cracks() -> None:
    with pytest.raises(InputError, match="no crack pixel"):
        median_frequency([np.zeros((4, 4), np.bool_)])


def test_dice_by_hand() -> None:
    logits = torch.zeros(1, 1, 1, 4)  # p = 1/2 everywhere
    mask = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 1, 4)
    assert dice(logits, mask).item() == pytest.approx(1 - (2 + 1) / (4 + 1))


def test_pooled_iou_is_that_of_one_large_image() -> None:
    logits, mask = logits_and_mask()
    tall = torch.cat(list(logits), 1)[None], torch.cat(list(mask), 1)[None]
    torch.testing.assert_close(pooled_iou(logits, mask), soft_iou(*tall))


def test_lovasz_of_hard_margins_is_the_jaccard_distance() -> None:
    _, mask = logits_and_mask(1)
    _, other = logits_and_mask(2)
    logits = 2 * other - 1  # right pixels have no error, wrong ones the hinge 2
    jaccard = [
        np.logical_and(a, b).sum() / np.logical_or(a, b).sum()
        for a, b in zip(mask.bool().numpy(), other.bool().numpy(), strict=True)
    ]
    assert lovasz(logits, mask).item() == pytest.approx(2 * (1 - np.mean(jaccard)))


def test_neuro_iou_has_learnt_the_iou() -> None:
    loss = NeuroIoU.learnt()
    torch.manual_seed(5)
    logits, mask = draw_maps(400)
    learnt, exact = loss.iou(logits, mask), hard_iou(logits, mask)
    assert (learnt - exact).abs().mean() < 0.06
    assert np.corrcoef(learnt.numpy(), exact.numpy())[0, 1] > 0.95
    better = loss(4 * (2 * mask - 1), mask)
    assert better < loss(torch.zeros_like(mask), mask) < loss(-4 * (2 * mask - 1), mask)
    assert torch.equal(loss.head.weight, named("neuro-iou").head.weight)


def test_neuro_iou_gradient_is_that_of_the_learnt_net() -> None:
    logits, mask = logits_and_mask()
    loss = copy.deepcopy(named("neuro-iou")).double()
    assert torch.autograd.gradcheck(lambda x: loss(x, mask), logits.requires_grad_())


def test_neuro_iou_says_of_every_pixel_which_way_is_better() -> None:
    torch.manual_seed(6)
    logits, mask = draw_maps(400)
    named("neuro-iou")(logits.requires_grad_(), mask).backward()
    assert logits.grad is not None
    assert (logits.grad[mask > 0] < 0).all()
    assert (logits.grad[mask == 0] > 0).all()


@pytest.mark.parametrize("region", ["soft-iou", "pooled-iou", "dice", "lovasz", "neuro-iou"])
def test_without_a_crack_fewer_alarms_are_better(region: RegionLoss) -> None:
    logits, mask = logits_and_mask()
    loss = named(region)(logits.requires_grad_(), torch.zeros_like(mask))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad.any()
    assert (logits.grad >= 0).all()


def test_what_losses_return_without_a_crack() -> None:
    logits, mask = logits_and_mask()
    none, p = torch.zeros_like(mask), torch.sigmoid(logits)
    alarms = p.sum((1, 2, 3))
    torch.testing.assert_close(dice(logits, none), (alarms / (alarms + 1)).mean())
    worst = logits.amax((1, 2, 3))
    torch.testing.assert_close(lovasz(logits, none), F.relu(1 + worst).mean())
    assert lovasz(torch.full_like(logits, -1.0), none) == 0
    neuro = named("neuro-iou")
    assert neuro is not None
    assert neuro(torch.full_like(logits, -30.0), none) < 0.05
    assert neuro(torch.full_like(logits, 30.0), none) > 0.8


@pytest.mark.parametrize(
    "region", ["soft-iou", "pooled-iou", "dice", "lovasz", "neuro-iou", "none"]
)
@pytest.mark.parametrize("pixel", ["focal", "cross-entropy", "balanced"])
def test_every_pair_of_table_x_falls_when_the_map_is_right(pixel: str, region: RegionLoss) -> None:
    _, mask = logits_and_mask()
    terms = {"pixel": pixel_loss(pixel, (0.5, 5.0)), "region": named(region)}
    right, wrong = 6 * (2 * mask - 1), 6 * (1 - 2 * mask)
    assert scnet_loss(right, [right], mask, **terms) < scnet_loss(wrong, [wrong], mask, **terms)
