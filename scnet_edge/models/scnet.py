"""SCNet (Sharma, Pradhan, Purushothaman, ICVGIP 2021): an hourglass with attention at every scale.

The architecture is rebuilt from the text of the paper; the parameter counts it prints,
29.46 M with five levels and 15.30 M with four, single this reading out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scnet_edge.errors import ModelError
from scnet_edge.models.blocks import (
    VGG,
    Attention,
    ConvBlock,
    Norm,
    PoolWithIndices,
    ScaleAttention,
    Unpool,
)

# What mirrors VGG in the decoder: the channels of each block, finest first.
DECODER = ((64, 64), (128, 64), (256, 256, 128), (512, 512, 256), (512, 512, 512))


@dataclass(frozen=True, slots=True, kw_only=True)
class SCNetConfig:
    """What distinguishes one SCNet from another; the defaults are the paper's."""

    levels: int = 5  # 4 is the "-1 level" net of Table VII
    width: float = 1.0  # multiplies every channel count
    norm: Norm = "instance"
    attention: Attention = "scale"
    refined_channels: int = 1  # C' of Eq. 1
    edges: bool = True  # a fourth input channel with the HED edge map
    pooling: Literal["max", "dilated"] = "max"  # Table VIII
    feed: Literal["attended", "raw"] = "attended"  # which map the next block sees
    # The edge family: features from half resolution on, and a decoder that adds what the encoder
    # saw at its scale instead of unpooling by indices. A quarter of the arithmetic.
    stem: Literal["full", "half"] = "full"
    decoder: Literal["unpool", "skip"] = "unpool"

    def __post_init__(self) -> None:
        if not 2 <= self.levels <= 5:
            raise ModelError(f"levels must be 2 to 5, got {self.levels}")
        if not 0 < self.width <= 2:
            raise ModelError(f"width must be above 0 and at most 2, got {self.width}")
        if self.decoder == "skip" and self.pooling != "max":
            raise ModelError(
                "decoder 'skip' upsamples what max pooling shrank: pooling must be 'max'"
            )

    @property
    def in_channels(self) -> int:
        """RGB and, where the model takes the prior, the edge map."""
        return 4 if self.edges else 3

    @property
    def stride(self) -> int:
        """Height and width of an input must be multiples of this."""
        pools = 0 if self.pooling != "max" else self.levels - (self.decoder == "skip")
        return int(self.shrink * 2**pools)

    @property
    def shrink(self) -> int:
        """How many pixels of the input one of the finest features spans."""
        return 2 if self.stem == "half" else 1


class SCNet(nn.Module):
    """Attention encoder, enhancement encoder, attention decoder, fused network (Section III-F)."""

    def __init__(self, config: SCNetConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or SCNetConfig()
        encoder = [[self._scale(w) for w in block] for block in VGG[: c.levels]]
        decoder = [[self._scale(w) for w in block] for block in DECODER[: c.levels]]
        dilations = [1 if c.pooling == "max" else 2**i for i in range(c.levels)]

        inputs = [c.in_channels] + [block[-1] for block in encoder]
        self.encoder = nn.ModuleList(
            ConvBlock([inp, *block], norm=c.norm, dilation=d, shrink=c.shrink if i == 0 else 1)
            for i, (inp, block, d) in enumerate(zip(inputs, encoder, dilations, strict=False))
        )
        self.encoder_attention = nn.ModuleList(self._attention(block[-1]) for block in encoder)
        self.decoder = nn.ModuleList(
            ConvBlock([above[-1], *block], norm=c.norm, dilation=d)
            for above, block, d in zip(encoder, decoder, dilations, strict=True)
        )
        self.decoder_attention = nn.ModuleList(self._attention(block[-1]) for block in decoder)
        self.pool, self.unpool = PoolWithIndices(), Unpool()
        self.sides = nn.ModuleList(
            nn.Conv2d((i + 2) * c.refined_channels, c.shrink**2, 1) for i in range(c.levels)
        )
        self.fuse = nn.Conv2d(c.levels, 1, 1)

    def _scale(self, channels: int) -> int:
        return max(4, round(channels * self.config.width))

    def _attention(self, channels: int) -> ScaleAttention:
        return ScaleAttention(channels, self.config.refined_channels, kind=self.config.attention)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the fused logits and one side logit map per scale, finest first.

        Args:
            x: (N, 3 or 4, H, W) float; RGB in [-1, 1], then the edge map in {0, 1}.
                H and W are multiples of `config.stride`.

        Returns:
            Fused logits (N, 1, H, W), Eq. 4, and side logits, each (N, 1, H, W), Eq. 2.
        """
        size = x.shape[-2:]
        enhanced, memories, x = self._encode(x)
        sides: list[Tensor] = []
        for i in reversed(range(self.config.levels)):
            x = self._rise(x, memories[i])
            features = self.decoder[i](x)
            attended, refined = self.decoder_attention[i](features)
            x = attended if self.config.feed == "attended" else features
            side = self.sides[i](torch.cat([enhanced[i], refined], 1))
            if self.config.shrink > 1:  # each cell holds the logits of its 2x2 pixels
                side = F.pixel_shuffle(side, self.config.shrink)
            sides.insert(0, self._upsample(side, size))  # (N, 1, H, W)
        return self.fuse(torch.cat(sides, 1)), sides

    def _encode(self, x: Tensor) -> tuple[list[Tensor], list[Tensor | None], Tensor]:
        """Return the enhanced maps, what the decoder needs to rise to each scale, and the last."""
        enhanced: list[Tensor] = []
        memories: list[Tensor | None] = []
        last = self.config.levels - 1
        for i, (block, attention) in enumerate(
            zip(self.encoder, self.encoder_attention, strict=True)
        ):
            features = block(x)  # (N, C_i, h / 2^i, w / 2^i), h = H / shrink
            attended, refined = attention(features)
            enhanced.append(self._enhance(enhanced[-1], refined) if i else refined)
            x = attended if self.config.feed == "attended" else features
            memory: Tensor | None = None
            if self.config.decoder == "skip" and i < last:
                x, memory = F.max_pool2d(x, 2), x
            elif self.config.decoder == "unpool" and self.config.pooling == "max":
                x, memory = self.pool(x)
            memories.append(memory)
        return enhanced, memories, x

    def _rise(self, x: Tensor, memory: Tensor | None) -> Tensor:
        """Map (N, C, h, w) of the coarser scale to (N, C, 2h, 2w) of the finer, if there is one."""
        if memory is None:
            return x
        if self.config.decoder == "unpool":
            risen: Tensor = self.unpool(x, memory)
            return risen
        return F.interpolate(x, scale_factor=2.0, mode="nearest") + memory

    def _enhance(self, finer: Tensor, refined: Tensor) -> Tensor:
        """Concatenate the halved map of the finer scale: channels grow by C' at each level."""
        if self.config.pooling == "max":
            finer = F.max_pool2d(finer, 2)
        return torch.cat([finer, refined], 1)

    @staticmethod
    def _upsample(x: Tensor, size: torch.Size) -> Tensor:
        if x.shape[-2:] == size:
            return x
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
