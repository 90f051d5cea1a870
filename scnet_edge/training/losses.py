"""Losses on logits (N, 1, H, W) against masks (N, 1, H, W) in {0, 1}."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE_WEIGHTS = (0.5, 0.75, 1.0, 0.75, 0.5)  # paper, Section V-A


def focal(logits: Tensor, mask: Tensor, *, alpha: float = 1.0, gamma: float = 2.0) -> Tensor:
    """Return the mean binary focal loss (Lin et al. 2017); the defaults are the paper's."""
    bce = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    return (alpha * (1 - torch.exp(-bce)) ** gamma * bce).mean()


def soft_iou(logits: Tensor, mask: Tensor, *, smooth: float = 1.0) -> Tensor:
    """Return one minus the soft IoU of the crack class, mean over images (Mattyus et al. 2017).

    `smooth` keeps it defined on crops without a crack.
    """
    p = torch.sigmoid(logits)
    intersection = (p * mask).sum((1, 2, 3))
    union = (p + mask - p * mask).sum((1, 2, 3))
    return (1 - (intersection + smooth) / (union + smooth)).mean()


def scnet_loss(
    fused: Tensor, sides: Sequence[Tensor], mask: Tensor, *, focal_weight: float = 1.0
) -> Tensor:
    """Return Eq. 11: soft-IoU of the fused map plus the focal losses of all maps (Eq. 6 to 10).

    The paper sums the focal loss over pixels and this takes means, so `focal_weight` sets the
    balance.
    """
    total = focal(fused, mask)
    for weight, side in zip(SIDE_WEIGHTS, sides, strict=False):
        total = total + weight * focal(side, mask)
    return soft_iou(fused, mask) + focal_weight * total
