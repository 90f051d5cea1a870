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
from torch import Tensor, nn

from scnet_edge.errors import InputError
from scnet_edge.training.hardware import sum_over_processes

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
PixelLoss = Literal["focal", "cross-entropy", "balanced"]
RegionLoss = Literal["soft-iou", "pooled-iou", "dice", "lovasz", "neuro-iou", "none"]

SIDE_WEIGHTS = (0.5, 0.75, 1.0, 0.75, 0.5)  # paper, Section V-A
LEARNING_STEPS = 400


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
        return NeuroIoU.learnt()
    losses: Mapping[RegionLoss, Loss | None] = {
        "soft-iou": soft_iou,
        "pooled-iou": pooled_iou,
        "dice": dice,
        "lovasz": lovasz,
        "none": None,
    }
    return losses[name]


class NeuroIoU(nn.Module):
    """One minus the learnt IoU of the crack class, mean over images.

    Neuro-IoU (Nagendar et al., BMVC 2018) is a small net that has learnt what the IoU will be. Soft
    true positives, false positives and false negatives go in, the IoU of the thresholded map comes
    out. It learns on drawn maps, once, and is fixed while a model trains through it.

    Without a crack it lies near 0 for an empty map and near 0.9 once alarms add up to some pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh())
        self.head = nn.Linear(32, 1)

    @classmethod
    def learnt(cls, *, seed: int = 0) -> NeuroIoU:
        """Return it after learning; the same seed gives the same weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            loss = cls()
            optimizer = torch.optim.Adam(loss.parameters(), 1e-2)
            for _ in range(LEARNING_STEPS):
                logits, mask = draw_maps(32)
                error = F.mse_loss(loss.iou(logits, mask), hard_iou(logits, mask))
                optimizer.zero_grad()
                torch.autograd.backward(error)
                optimizer.step()
        return loss.requires_grad_(False)

    def iou(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the learnt IoU of each image (N,), in [0, 1]."""
        p = torch.sigmoid(logits)
        counts = torch.stack([p * mask, p * (1 - mask), (1 - p) * mask]).sum((2, 3, 4)).T  # (N, 3)
        shares = counts / (counts.sum(1, keepdim=True) + 1)
        dtype = self.head.weight.dtype
        return torch.sigmoid(self.head(self.net(shares.to(dtype)))).squeeze(1)

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the loss, a scalar."""
        return (1 - self.iou(logits, mask)).mean()


def hard_iou(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the IoU of each image (N,) with every logit above 0 taken for crack."""
    found = (logits > 0).to(mask.dtype)
    intersection = (found * mask).sum((1, 2, 3))
    union = (found + mask - found * mask).sum((1, 2, 3))
    return torch.where(union > 0, intersection / union.clamp(min=1), 1.0)


def draw_maps(n: int, side_px: int = 16) -> tuple[Tensor, Tensor]:
    """Return logits and masks (n, 1, side, side) from blind guesses to nearly perfect maps."""
    share = torch.rand(n, 1, 1, 1) * 0.5
    mask = (torch.rand(n, 1, side_px, side_px) < share).float()
    skill, bias = torch.rand(n, 1, 1, 1) * 8, torch.randn(n, 1, 1, 1)
    return skill * (2 * mask - 1) + bias + 2 * torch.randn_like(mask), mask
