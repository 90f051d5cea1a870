"""The models that SCNet is compared with: DeepCrack of Liu, DeepCrack of Zou, patch classification.

The fourth, HCNN (Zhu, Phung and Ha, ACRA 2019), is SCNet without attention and prior, trained with
balanced cross-entropy: `SCNetConfig(attention="none", edges=False)`. All map (N, 3, H, W) RGB in
[-1, 1] to fused logits (N, 1, H, W) and side logits, finest first, as SCNet does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scnet_edge.models.blocks import VGG, ConvBlock, Norm, PoolWithIndices, Unpool
from scnet_edge.models.scnet import DECODER, SCNet
from scnet_edge.models.sizes import CRACKED_SHARE, PATCH_PX


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedConfig:
    """What the chain has to know of a model.

    Attributes:
        stride: Height and width of an input must be multiples of this.
        edges: Whether it takes the prior; none of these does.
    """

    stride: int = 32
    edges: bool = False


class DeepCrackLiu(nn.Module):
    """DeepCrack of Liu et al. (Neurocomputing 2019): VGG-16 with a side output after each block."""

    config = ComparedConfig(stride=16)

    def __init__(self, *, norm: Norm = "batch") -> None:
        super().__init__()
        inputs = [3] + [block[-1] for block in VGG]
        self.blocks = nn.ModuleList(
            ConvBlock([inp, *block], norm=norm) for inp, block in zip(inputs, VGG, strict=False)
        )
        self.sides = nn.ModuleList(nn.Conv2d(block[-1], 1, 1, bias=False) for block in VGG)
        self.fuse = nn.Conv2d(len(VGG), 1, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return fused logits and five side logits, each (N, 1, H, W)."""
        size, sides = x.shape[-2:], []
        for i, (block, side) in enumerate(zip(self.blocks, self.sides, strict=True)):
            x = block(F.max_pool2d(x, 2) if i else x)
            sides.append(_upsample(side(x), size))
        return self.fuse(torch.cat(sides, 1)), sides


def guided_refinement(
    fused: Tensor,
    finest: Tensor,
    *,
    threshold: float = 0.31,
    radius_px: int = 5,
    eps: float = 0.01,
) -> Tensor:
    """Return Liu's refined probability (N, 1, H, W): a guided filter of the binarised map.

    Args:
        fused: Fused logits.
        finest: Logits of the first side output, the guide.
        threshold: The fused probability is crack above it. 0.31 is the best of the authors' weights
            (their tools/guided_filter.py); other weights have their own.
        radius_px: Of the filter's windows.
        eps: Added to the guide's variance, in steps of 8 bits squared; the smoother the larger. The
            authors' tool filters PNGs, so the guide is rounded to 8 bits, as theirs is.
    """
    guide = (torch.sigmoid(finest) * 255).round().double()  # float32 would lose eps
    source = (torch.sigmoid(fused) > threshold).double()
    refined = guided_filter(guide, source, radius_px=radius_px, eps=eps)
    return refined.clamp(0, 1).to(fused.dtype)


def guided_filter(guide: Tensor, source: Tensor, *, radius_px: int, eps: float) -> Tensor:
    """Return `source` with the edges of `guide` (He et al. 2010), (N, 1, H, W) each."""

    def box(x: Tensor) -> Tensor:  # the mean of what lies inside the image
        return F.avg_pool2d(x, 2 * radius_px + 1, 1, radius_px, count_include_pad=False)

    mean_guide, mean_source = box(guide), box(source)
    covariance = box(guide * source) - mean_guide * mean_source
    slope = covariance / (box(guide * guide) - mean_guide**2 + eps)
    offset = mean_source - slope * mean_guide
    return box(slope) * guide + box(offset)


class DeepCrackZou(nn.Module):
    """DeepCrack of Zou et al. (TIP 2019): a SegNet whose scales are fused pair by pair.

    Each pair of encoder and decoder maps is convolved before it is upsampled. The released code
    upsamples first, which computes nearly the same with 2.7 times the arithmetic.
    """

    config = ComparedConfig(stride=32)

    def __init__(self, *, norm: Norm = "batch") -> None:
        super().__init__()
        tops = [block[-1] for block in VGG]
        self.encoder = nn.ModuleList(
            ConvBlock([inp, *block], norm=norm) for inp, block in zip([3, *tops], VGG, strict=False)
        )
        self.decoder = nn.ModuleList(
            ConvBlock([top, *block], norm=norm) for top, block in zip(tops, DECODER, strict=True)
        )
        self.pool, self.unpool = PoolWithIndices(), Unpool()
        self.sides = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(top + block[-1], 64, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(64, 1, 3, padding=1),
            )
            for top, block in zip(tops, DECODER, strict=True)
        )
        self.fuse = nn.Conv2d(len(VGG), 1, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return fused logits and five side logits, each (N, 1, H, W)."""
        size, features, memories = x.shape[-2:], [], []
        for block in self.encoder:
            features.append(block(x))
            x, memory = self.pool(features[-1])
            memories.append(memory)
        sides: list[Tensor] = []
        for i in reversed(range(len(features))):
            x = self.decoder[i](self.unpool(x, memories[i]))
            side = self.sides[i](torch.cat([features[i], x], 1))  # (N, 1, H / 2^i, W / 2^i)
            sides.insert(0, _upsample(side, size))
        return self.fuse(torch.cat(sides, 1)), sides


class PatchNet(nn.Module):
    """A classifier of 32x32 patches (Table IV): one logit a patch, said of all its pixels.

    The paper does not describe its own; this is the encoder of VGG-16, thinner, on a whole image
    at once, so a patch sees its neighbourhood.
    """

    config = ComparedConfig(stride=PATCH_PX)

    def __init__(self, *, width: float = 0.25, norm: Norm = "batch") -> None:
        super().__init__()
        blocks = [[round(c * width) for c in block] for block in VGG]
        inputs = [3] + [block[-1] for block in blocks]
        self.blocks = nn.ModuleList(
            ConvBlock([inp, *block], norm=norm) for inp, block in zip(inputs, blocks, strict=False)
        )
        self.classify = nn.Conv2d(blocks[-1][-1], 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return logits (N, 1, H, W), constant on each patch, and no side logits."""
        for block in self.blocks:
            x = F.max_pool2d(block(x), 2)
        return F.interpolate(self.classify(x), scale_factor=float(PATCH_PX), mode="nearest"), []

    @staticmethod
    def target(mask: Tensor) -> Tensor:
        """Return 1 on every pixel of a patch with 5 % crack, else 0, (N, 1, H, W)."""
        cracked = (F.avg_pool2d(mask, PATCH_PX) >= CRACKED_SHARE).to(mask.dtype)
        return F.interpolate(cracked, scale_factor=float(PATCH_PX), mode="nearest")


CrackNet: TypeAlias = SCNet | DeepCrackLiu | DeepCrackZou | PatchNet
COMPARED: dict[str, type[DeepCrackLiu] | type[DeepCrackZou] | type[PatchNet]] = {
    "deepcrack-liu": DeepCrackLiu,
    "deepcrack-zou": DeepCrackZou,
    "patchnet": PatchNet,
}


def _upsample(x: Tensor, size: torch.Size) -> Tensor:
    if x.shape[-2:] == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
