"""Rewrite a model so that every engine can run it, changing nothing it computes.

TensorRT has neither MaxPool with indices nor MaxUnpool, and a batch norm at inference is
arithmetic that belongs into the convolution before it.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from scnet_edge.models.blocks import PoolWithIndices, ScaleAttention, Unpool
from scnet_edge.models.chain import Chain

M = TypeVar("M", bound=nn.Module)


def exportable(chain: Chain) -> Chain:
    """Return a copy in eval mode with batch norms folded and exotic layers replaced."""
    chain = copy.deepcopy(chain).eval()
    fold_batch_norms(chain)
    drop_dead_biases(chain)
    _replace(chain, PoolWithIndices, lambda _: WindowPool())
    _replace(chain, Unpool, lambda _: WindowUnpool())
    _replace(chain, nn.InstanceNorm2d, lambda norm: SinglePassInstanceNorm(norm.eps))
    _replace(chain, ScaleAttention, _join)
    return chain


def fold_batch_norms(model: nn.Module) -> None:
    """Fold every Conv2d, BatchNorm2d pair of a Sequential into the convolution, in place."""
    for parent in [m for m in model.modules() if isinstance(m, nn.Sequential)]:
        layers = list(parent.named_children())
        for (conv_name, conv), (norm_name, norm) in itertools.pairwise(layers):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, norm_name, nn.Identity())


def drop_dead_biases(model: nn.Module) -> None:
    """Drop the bias of every convolution before an instance norm, which subtracts it again."""
    for parent in [m for m in model.modules() if isinstance(m, nn.Sequential)]:
        layers = list(parent.children())
        for conv, norm in itertools.pairwise(layers):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.InstanceNorm2d):
                conv.bias = None


class WindowPool(nn.Module):
    """`PoolWithIndices` with a mask for memory: 1 where the window's first maximum is, 0 elsewhere.

    Bit-equal to torch, ties included: of the positions that equal the maximum, the one with the
    highest priority (row by row, left to right) stays.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) to the pooled (N, C, H/2, W/2) and the mask (N, C, H, W)."""
        h, w = int(x.shape[-2]), int(x.shape[-1])
        pooled = F.max_pool2d(x, 2)  # (N, C, H/2, W/2)
        priority = torch.tensor([[4.0, 3.0], [2.0, 1.0]]).repeat(h // 2, w // 2)  # (H, W)
        candidates = (x == _double(pooled)).to(x.dtype) * priority
        first = _double(F.max_pool2d(candidates, 2))
        return pooled, (candidates == first).to(x.dtype)


class WindowUnpool(nn.Module):
    """`Unpool` for the mask of `WindowPool`."""

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Map values (N, C, H/2, W/2) and mask (N, C, H, W) to (N, C, H, W)."""
        return _double(x) * memory


class JointAttention(nn.Module):
    """`ScaleAttention` of the kind `scale`, reading the features once for both convolutions.

    The gate is one number a pixel, so it can be applied behind Conv2 as well as before it:
    Conv2(g * F) = g * (W2 F) + b2.
    """

    def __init__(self, attention: ScaleAttention) -> None:
        super().__init__()
        attend, refine = attention.attend, attention.refine
        self.joint = nn.Conv2d(attend.in_channels, 1 + refine.out_channels, 1)
        self.refine_bias = nn.Parameter(_bias(refine).view(1, -1, 1, 1))
        with torch.no_grad():
            self.joint.weight.copy_(torch.cat([attend.weight, refine.weight]))
            self.joint.bias = nn.Parameter(
                torch.cat([_bias(attend), torch.zeros(refine.out_channels)])
            )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) to the attended (N, C, H, W) and the refined (N, C', H, W)."""
        both = self.joint(features)  # (N, 1 + C', H, W)
        gate = torch.sigmoid(both[:, :1])
        return gate * features, gate * both[:, 1:] + self.refine_bias


class InstanceStatistics(nn.Module):
    """Mean and reciprocal deviation over the plane, in one pass; stays FP32 in an FP16 graph."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) to two (N, C, 1, 1)."""
        mean = x.mean((2, 3), keepdim=True)
        # E[x^2] - E[x]^2 can fall below zero by rounding.
        variance = F.relu((x * x).mean((2, 3), keepdim=True) - mean * mean)
        return mean, 1 / torch.sqrt(variance + self.eps)


class SinglePassInstanceNorm(nn.Module):
    """Instance norm without affine part as reductions and arithmetic, which engines fuse."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.statistics = InstanceStatistics(eps)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape, each plane with mean 0 and deviation 1."""
        mean, scale = self.statistics(x)
        normed: Tensor = (x - mean) * scale
        return normed


def _join(attention: ScaleAttention) -> nn.Module:
    return JointAttention(attention) if attention.kind == "scale" else attention


def _bias(conv: nn.Conv2d) -> Tensor:
    return torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach()


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def _replace(model: nn.Module, kind: type[M], make: Callable[[M], nn.Module]) -> None:
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, kind):
                setattr(parent, name, make(child))
