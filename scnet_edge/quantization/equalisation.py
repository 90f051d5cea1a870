"""Cross-layer equalisation (Nagel et al., ICCV 2019): channels of like weight range, same function.

Between two convolutions with nothing but a ReLU in between, each channel can be scaled down in the
first and up in the second. Per-channel weight scales leave the first convolution indifferent to
that; what may gain is the tensor between them, which has one scale for all of its channels.
"""

from __future__ import annotations

import torch
from torch import nn

from scnet_edge.models.chain import Chain


def equalise(chain: Chain) -> None:
    """Equalise every such pair of a chain whose batch norms are folded, in place."""
    for parent in [m for m in chain.modules() if isinstance(m, nn.Sequential)]:
        layers = [m for m in parent.children() if not isinstance(m, nn.Identity)]
        for first, between, second in zip(layers, layers[1:], layers[2:], strict=False):
            if isinstance(between, nn.ReLU):
                _equalise_pair(first, second)


def _equalise_pair(first: nn.Module, second: nn.Module) -> None:
    if not (isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d)):
        return
    with torch.no_grad():
        down = first.weight.abs().amax((1, 2, 3))  # (C,)
        up = second.weight.abs().amax((0, 2, 3))  # (C,)
        alive = (down > 0) & (up > 0)
        scale = torch.where(alive, torch.sqrt(down / up.clamp(min=1e-12)), torch.ones_like(down))
        first.weight /= scale[:, None, None, None]
        if first.bias is not None:
            first.bias /= scale
        second.weight *= scale[None, :, None, None]
