"""A light HED that learns the edge maps of the full one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scnet_edge.errors import ConfigError
from scnet_edge.models.hed import HED
from scnet_edge.training.images import TrainingImage

PIXEL_SPREAD = 64.0  # of a frame in [0, 255] around its mean, roughly; first weights are that small


@dataclass(frozen=True, slots=True, kw_only=True)
class Distillation:
    """How the light HED learns: random crops, flipped, and the full one's probability on them."""

    steps: int = 600
    batch: int = 4
    crop: int = 192  # pixels, square
    lr: float = 2e-3  # of AdamW, along a cosine to 0
    warmup: int = 50
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * 0.5 * (1 + math.cos(math.pi * done))


def new_light_hed(width: float, seed: int) -> HED:
    """Return an untrained HED of a width: He's weights, the sides fused by their mean."""
    torch.manual_seed(seed)
    hed = HED(width=width)
    for block in hed.blocks:
        for conv in (module for module in block.modules() if isinstance(module, nn.Conv2d)):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.get_parameter("bias"))
            if conv.in_channels == 3:
                conv.weight.data /= PIXEL_SPREAD
    nn.init.constant_(hed.fuse.weight, 1.0 / len(hed.sides))
    nn.init.zeros_(hed.fuse.get_parameter("bias"))
    return hed


def distil_hed(
    hed: HED,
    images: Sequence[TrainingImage],
    how: Distillation,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> HED:
    """Train a HED where it is on the edge maps of `images` and return it in eval mode.

    The loss is the mean cross-entropy of the fused map and the five sides with the maps as soft
    targets: at 0.5 the student says what the teacher does, without a class weight to undo.

    Raises:
        ConfigError: an image has no edge map, or is smaller than a crop.
    """
    device = next(hed.parameters()).device
    hed.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(hed.parameters(), how.lr, weight_decay=1e-4)
    for step in range(how.steps):
        for group in optimizer.param_groups:
            group["lr"] = how.rate_at(step)
        frames, target = edge_crops(step, images, how)
        loss = distillation_loss(hed, frames.to(device), target.to(device))
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(hed.parameters(), 1.0)
        optimizer.step()
        progress(step + 1, loss.item())
    return hed.eval()


def distillation_loss(hed: HED, frames: Tensor, target: Tensor) -> Tensor:
    """Return the mean cross-entropy of all six maps with the teacher's (N, 1, H, W) in [0, 1]."""
    fused, sides = hed(frames)
    losses = [F.binary_cross_entropy_with_logits(logits, target) for logits in (fused, *sides)]
    return torch.stack(losses).mean()


def edge_crops(
    step: int, images: Sequence[TrainingImage], how: Distillation
) -> tuple[Tensor, Tensor]:
    """Return frames (N, 3, crop, crop) BGR in [0, 255] and edge maps (N, 1, crop, crop) in [0, 1].

    They depend on the seed and the step alone.
    """
    rng = np.random.default_rng([how.seed, step])
    crops = [_crop(images[int(rng.integers(len(images)))], how.crop, rng) for _ in range(how.batch)]
    both = torch.from_numpy(np.stack(crops))  # (N, 4, crop, crop) uint8
    frames = both[:, :3].float().contiguous(memory_format=torch.channels_last)
    return frames, both[:, 3:].float() / 255


def _crop(image: TrainingImage, crop: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return frame and edge map as one (4, crop, crop) uint8, flipped at random."""
    if image.edges is None:
        raise ConfigError("expected the full HED's map of every image, found none; write it first")
    h, w = image.edges.shape
    if min(h, w) < crop:
        raise ConfigError(f"crop {crop}: expected at most the image's {h}x{w}; use a smaller crop")
    y, x = int(rng.integers(h - crop + 1)), int(rng.integers(w - crop + 1))
    both = np.concatenate([image.frame, image.edges[..., None]], axis=2)[y : y + crop, x : x + crop]
    for axis in (0, 1):
        if rng.random() < 0.5:
            both = np.flip(both, axis)
    return np.ascontiguousarray(both.transpose(2, 0, 1))
