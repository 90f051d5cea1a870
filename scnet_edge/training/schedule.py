"""How long and how hard to train."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from scnet_edge.data.augment import Augmentation
from scnet_edge.errors import ConfigError
from scnet_edge.training.losses import PixelLoss, RegionLoss

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Everything a run depends on besides the model and the images."""

    steps: int = 4000
    batch: int = 4
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    momentum: float = 0.9  # of SGD
    rate: Literal["cosine", "constant", "stable"] = "cosine"  # stable: then linearly to 0
    decay_share: float = 0.3  # of the steps, of a stable rate's fall
    # From the fall of a stable rate on, norms are fixed to the statistics of whole images, which
    # are not those of crops: the weights end on what will ship. A rate that falls from the first
    # step on keeps the norms of the model it starts from.
    settle_norms: bool = False
    warmup: int = 100
    weight_decay: float = 1e-4
    clip: float | None = 5.0  # largest norm of all gradients together; None: as large as they are
    ema_decay: float = 0.998
    pixel: PixelLoss = "focal"
    region: RegionLoss = "soft-iou"
    fine_levels: int | None = None  # only so many levels learn, the finest; None: all
    focal_weight: float = 10.0  # of the losses of pixels, against that of regions
    distil_weight: float = 2.0  # of cross-entropy with a teacher's probability, where there is one
    # Share of the weights that a run starts from in those it ends with. Their mean does well on the
    # old images and on the new ones (Wortsman 2022, Robust fine-tuning of zero-shot models).
    keep_start: float = 0.0
    head_bias: float = -2.0  # cracks are rare: start from a low probability
    pipe_share: float = 0.0  # of crops from drawn pipe walls, whose joints are no cracks
    precision: Precision = "fp32"
    checkpoint_every: int = 100
    validate_every: int = 500
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "checkpoint_every", "validate_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.fine_levels is not None and self.fine_levels < 1:
            raise ConfigError(f"fine_levels must be at least 1, got {self.fine_levels}")
        if not 0 <= self.keep_start < 1:
            raise ConfigError(f"keep_start goes from 0 to below 1, got {self.keep_start:g}")
        if self.settle_norms and self.rate != "stable":
            raise ConfigError("settle_norms begins with the fall of a stable rate; set rate too")

    @property
    def settled_from(self) -> int:
        """The step from which a stable rate falls."""
        return self.steps - round(self.steps * self.decay_share)

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        if self.rate == "constant":
            return self.lr
        if self.rate == "stable":
            left = self.steps - step
            return self.lr * min(1.0, left / max(1, self.steps - self.settled_from))
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * 0.5 * (1 + math.cos(math.pi * done))
