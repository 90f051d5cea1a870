"""HED (Xie and Tu, ICCV 2015), the holistically nested edge detector that gives SCNet its prior."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scnet_edge.models.blocks import VGG

MEAN_BGR = (104.00698793, 116.66876762, 122.67891434)  # the VGG training mean, range 0 to 255


class HED(nn.Module):
    """VGG-16 with a side output after each block and a weighted fusion of the five.

    `width` multiplies every channel count; 1 is the published net.
    """

    mean: Tensor

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        blocks, inp = [], 3
        shape = [[max(4, round(channels * width)) for channels in widths] for widths in VGG]
        for widths in shape:
            layers: list[nn.Module] = []
            for out in widths:
                layers += [nn.Conv2d(inp, out, 3, padding=1), nn.ReLU(inplace=True)]
                inp = out
            blocks.append(nn.Sequential(*layers))
        self.blocks = nn.ModuleList(blocks)
        self.sides = nn.ModuleList(nn.Conv2d(widths[-1], 1, 1) for widths in shape)
        self.fuse = nn.Conv2d(len(shape), 1, 1)
        self.register_buffer("mean", torch.tensor(MEAN_BGR).view(1, 3, 1, 1), persistent=False)

    def forward(self, frame: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return fused edge logits and the five side logits, each (N, 1, H, W), finest first.

        Args:
            frame: (N, 3, H, W) float, BGR in [0, 255]; any size of at least 16.
        """
        size, x, sides = frame.shape[-2:], frame - self.mean, []
        for i, (block, side) in enumerate(zip(self.blocks, self.sides, strict=True)):
            if i:
                x = F.max_pool2d(x, 2, ceil_mode=True)
            x = block(x)  # (N, C_i, ceil(H / 2^i), ceil(W / 2^i))
            logit = side(x)
            if i:
                logit = F.interpolate(logit, size=size, mode="bilinear", align_corners=False)
            sides.append(logit)
        return self.fuse(torch.cat(sides, 1)), sides
