"""Losses on logits (N, 1, H, W) against masks (N, 1, H, W) in {0, 1}.

The paper sums a loss of pixels over all maps and adds one of regions on the fused map (Eq. 11);
Tables VII and X exchange the two, so each is a name: `PIXEL` and `REGION`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from scnet_edge.errors import InputError
from scnet_edge.training.several import sum_over_processes

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
PixelLoss = Literal["focal", "cross-entropy", "balanced"]
RegionLoss = Literal["soft-iou", "pooled-iou", "dice", "lovasz", "neuro-iou", "none"]

SIDE_WEIGHTS = (0.5, 0.75, 1.0, 0.75, 0.5)  # paper, Section V-A


def focal(logits: Tensor, mask: Tensor, *, alpha: float = 1.0, gamma: float = 2.0) -> Tensor:
    """Return the mean binary focal loss (Lin et al. 2017); the defaults are the paper's."""
    bce = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    return (alpha * (1 - torch.exp(-bce)) ** gamma * bce).mean()


def cross_entropy(logits: Tensor, mask: Tensor, *, weights: tuple[float, float] = (1, 1)) -> Tensor:
    """Return the mean binary cross-entropy; `weights` are those of background and crack pixels."""
    background, crack = weights
    bce = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    return (torch.where(mask > 0.5, crack, background) * bce).mean()


def median_frequency(masks: Iterable[npt.NDArray[np.bool_]]) -> tuple[float, float]:
    """Return the weights of background and crack of median frequency balancing (Eigen 2015).

    A class weighs the median of the class frequencies over its own, its frequency taken over the
    images that show it.

    Raises:
        InputError: a class is on no image.
    """
    pixels, present = np.zeros(2), np.zeros(2)
    for mask in masks:
        counts = np.array([mask.size - mask.sum(), mask.sum()])
        pixels += counts
        present += mask.size * (counts > 0)
    if not pixels.all():
        missing = ("background", "crack")[int(np.argmin(pixels))]
        raise InputError(f"expected both classes in the masks, found no {missing} pixel at all")
    frequency = pixels / present
    background, crack = np.median(frequency) / frequency
    return float(background), float(crack)


def soft_iou(logits: Tensor, mask: Tensor, *, smooth: float = 1.0) -> Tensor:
    """Return one minus the soft IoU of the crack class, mean over images (Mattyus et al. 2017).

    `smooth` keeps it defined on crops without a crack.
    """
    p = torch.sigmoid(logits)
    intersection = (p * mask).sum((1, 2, 3))
    union = (p + mask - p * mask).sum((1, 2, 3))
    return (1 - (intersection + smooth) / (union + smooth)).mean()


def pooled_iou(logits: Tensor, mask: Tensor, *, smooth: float = 1.0) -> Tensor:
    """Return one minus the soft IoU over all pixels of the batch, as data set scores pool them.

    Of several processes, each returns that of the whole batch.
    """
    p = torch.sigmoid(logits)
    sums = torch.stack([(p * mask).sum(), (p + mask - p * mask).sum()])
    intersection, union = sum_over_processes(sums)
    loss: Tensor = 1 - (intersection + smooth) / (union + smooth)
    return loss


def dice(logits: Tensor, mask: Tensor, *, smooth: float = 1.0) -> Tensor:
    """Return one minus the soft Dice of the crack class, mean over images.

    That is the crack's half of the two-class loss in Sudre et al. 2017, whom the paper cites: no
    squares (Milletari 2016 has them), no class weights. Without a crack: alarms / (alarms + 1), of
    probabilities summed, for a `smooth` of 1.
    """
    p = torch.sigmoid(logits)
    overlap = 2 * (p * mask).sum((1, 2, 3))
    return (1 - (overlap + smooth) / ((p + mask).sum((1, 2, 3)) + smooth)).mean()


def lovasz(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the Lovasz hinge of the crack IoU, mean over images (Berman et al. 2018).

    Without a crack it is the hinge of the worst pixel, max(0, 1 + its logit).
    """
    return torch.stack(
        [_lovasz_image(x.flatten(), y.flatten()) for x, y in zip(logits, mask, strict=True)]
    ).mean()


def _lovasz_image(logits: Tensor, mask: Tensor) -> Tensor:
    errors, order = torch.sort(1 - logits * (2 * mask - 1), descending=True)
    sorted_mask = mask[order]
    intersection = sorted_mask.sum() - sorted_mask.cumsum(0)
    union = sorted_mask.sum() + (1 - sorted_mask).cumsum(0)
    jaccard = 1 - intersection / union  # of calling the i + 1 worst pixels wrong
    steps = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
    return torch.dot(F.relu(errors), steps)


def scnet_loss(
    fused: Tensor,
    sides: Sequence[Tensor],
    mask: Tensor,
    *,
    focal_weight: float = 1.0,
    pixel: Loss = focal,
    region: Loss | None = soft_iou,
) -> Tensor:
    """Return Eq. 11: soft-IoU of the fused map plus the focal losses of all maps (Eq. 6 to 10).

    Args:
        fused: Logits of the fused map.
        sides: Logits of the side maps, finest first.
        mask: The truth.
        focal_weight: Of the sum of pixel losses. The paper sums over pixels and this takes means,
            so it sets the balance.
        pixel: The loss of every map.
        region: The loss of the fused map alone, or none.
    """
    total = pixel(fused, mask)
    for weight, side in zip(SIDE_WEIGHTS, sides, strict=False):
        total = total + weight * pixel(side, mask)
    total = focal_weight * total
    return total if region is None else region(fused, mask) + total


def pixel_loss(name: PixelLoss, weights: tuple[float, float]) -> Loss:
    """Return a loss of pixels by name; `weights` are those of `balanced` cross-entropy."""
    losses: Mapping[PixelLoss, Loss] = {
        "focal": focal,
        "cross-entropy": cross_entropy,
        "balanced": lambda logits, mask: cross_entropy(logits, mask, weights=weights),
    }
    return losses[name]


def region_loss(name: RegionLoss) -> Loss | None:
    """Return a loss of regions by name."""
    if name == "neuro-iou":
        from scnet_edge.training.neuro_iou import NeuroIoU

        return NeuroIoU.learnt()
    losses: Mapping[RegionLoss, Loss | None] = {
        "soft-iou": soft_iou,
        "pooled-iou": pooled_iou,
        "dice": dice,
        "lovasz": lovasz,
        "none": None,
    }
    return losses[name]
