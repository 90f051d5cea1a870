"""The pieces SCNet and its baselines are cut from."""

from __future__ import annotations

import itertools
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["instance", "batch", "none"]
Attention = Literal["scale", "scalar", "none"]

# VGG-16 without its head, HED and every encoder here: the channels of each block, finest first.
VGG = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """Return the layer after a convolution, on (N, `channels`, H, W).

    Instance norm, the paper's, has no affine part: with one, the net would have 29.48 M parameters,
    where Table VII prints 29.46 M.
    """
    match norm:
        case "instance":
            return nn.InstanceNorm2d(channels, affine=False, track_running_stats=False)
        case "batch":
            return nn.BatchNorm2d(channels)
        case "none":
            return nn.Identity()


class ConvBlock(nn.Sequential):
    """A chain of 3x3 convolution, norm and ReLU; `widths` are its channels from input to output.

    With `shrink` 2 the first convolution is one of 3x3 cells of 2x2 pixels each, with stride 2, so
    nothing that the pixels hold is lost before it is looked at.
    """

    def __init__(
        self, widths: list[int], *, norm: Norm, dilation: int = 1, shrink: int = 1
    ) -> None:
        layers: list[nn.Module] = []
        for inp, out in itertools.pairwise(widths):
            # A bias before a normalisation is dead, so only the norm-free variant has one.
            bias = norm == "none"
            if shrink == 1 or layers:
                conv = nn.Conv2d(inp, out, 3, padding=dilation, dilation=dilation, bias=bias)
            else:
                conv = nn.Conv2d(inp, out, 3 * shrink, stride=shrink, padding=shrink, bias=bias)
            layers += [conv, norm_layer(norm, out), nn.ReLU(inplace=True)]
        super().__init__(*layers)


class ScaleAttention(nn.Module):
    """Scale-wise attention of the paper (Eq. 1): F_a = sigmoid(Conv1(F)) * F, F_r = Conv2(F_a)."""

    def __init__(self, channels: int, refined: int, *, kind: Attention) -> None:
        super().__init__()
        self.kind = kind
        if kind == "scale":
            self.attend = nn.Conv2d(channels, 1, 1)
        elif kind == "scalar":
            self.weight = nn.Parameter(torch.ones(1))
        self.refine = nn.Conv2d(channels, refined, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) to the attended (N, C, H, W) and the refined (N, C', H, W)."""
        if self.kind == "scale":
            features = torch.sigmoid(self.attend(features)) * features
        elif self.kind == "scalar":
            features = self.weight * features
        return features, self.refine(features)


class PoolWithIndices(nn.Module):
    """2x2 max pooling that remembers where each maximum was; the first of equals wins."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) to the pooled (N, C, H/2, W/2) and the memory that `Unpool` takes."""
        return F.max_pool2d(x, 2, return_indices=True)


class Unpool(nn.Module):
    """Put each value back where its maximum was, zero elsewhere."""

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Map values (N, C, H/2, W/2) and the memory of the pooling to (N, C, H, W)."""
        return F.max_unpool2d(x, memory, (2, 2))
