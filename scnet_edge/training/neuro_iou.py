"""Neuro-IoU (Nagendar et al., BMVC 2018): a small net that has learnt what the IoU will be.

Soft true positives, false positives and false negatives go in, the IoU of the thresholded map
comes out. It learns on drawn maps, once, and is fixed while a model trains through it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEARNING_STEPS = 400


class NeuroIoU(nn.Module):
    """One minus the learnt IoU of the crack class, mean over images.

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
