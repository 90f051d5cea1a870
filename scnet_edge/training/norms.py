"""Norm statistics of whole images, which those of crops are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from scnet_edge.training.images import TrainingImage, input_of

WHOLE_IMAGES = 90  # enough to settle the statistics


def estimate_norms(model: nn.Module, images: Sequence[TrainingImage]) -> None:
    """Set the norm statistics to those of whole images, evenly chosen by their shares."""
    if not any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        return
    device = next(model.parameters()).device
    update_bn(_whole(model, images, device), model)


def _whole(
    model: nn.Module, images: Sequence[TrainingImage], device: torch.device
) -> Iterator[Tensor]:
    stride = getattr(model, "config").stride  # noqa: B009  (nn.Module types it as a tensor)
    until = np.cumsum([image.share for image in images])
    count = min(WHOLE_IMAGES, len(images))
    places = until[-1] * (np.arange(count) + 0.5) / count
    for chosen in np.searchsorted(until, places, side="right"):
        x = input_of(model, images[chosen].input())
        h, w = (max(stride, side // stride * stride) for side in x.shape[-2:])
        if x.shape[-2] < h or x.shape[-1] < w:
            x = F.interpolate(x, size=(h, w), mode="bilinear", align_corners=False)
        yield x[..., :h, :w].to(device).contiguous(memory_format=torch.channels_last)
