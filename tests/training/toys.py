"""Walls, a model and a schedule so small that a test trains in a second."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from scnet_edge.data.augment import Augmentation
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.training.images import TrainingImage
from scnet_edge.training.loop import Material, train
from scnet_edge.training.schedule import Schedule
from scnet_edge.training.start import start_heads

CONFIG = SCNetConfig(width=1 / 16, levels=3, norm="batch", edges=False)
SCHEDULE = Schedule(
    steps=6, batch=2, lr=5e-3, warmup=2, checkpoint_every=3, augmentation=Augmentation(crop=32)
)


def toy_images() -> list[TrainingImage]:
    """Return noisy bright walls with a dark line each."""
    images = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        mask = np.zeros((64, 80), np.uint8)
        ends = rng.integers(0, 64, 2)
        cv2.line(mask, (0, int(ends[0])), (79, int(ends[1])), 255, 4)
        frame = np.where(mask[..., None] > 0, 40, 200) + rng.normal(0, 6, (64, 80, 3))
        images.append(TrainingImage(frame.clip(0, 255).astype(np.uint8), mask > 0, None))
    return images


def new_model() -> SCNet:
    torch.manual_seed(0)
    model = SCNet(CONFIG)
    start_heads(model, SCHEDULE.head_bias)
    return model


class Interrupted(Exception):
    """A run was cut."""


def stop_after_four(step: int, loss: float) -> None:
    """Cut a run of `SCHEDULE` one step beyond its checkpoint; that step is lost."""
    if step == 4:
        raise Interrupted


def learn(folder: Path, region: str) -> list[float]:
    """Train a net of batch norm for three steps into a folder and return the losses."""
    torch.manual_seed(0)
    model = SCNet(CONFIG)
    schedule = Schedule(
        steps=3,
        batch=4,
        optimizer="sgd",
        lr=0.005,  # a larger one makes much of the order of sums
        warmup=0,
        region=region,
        augmentation=Augmentation(crop=32),
    )
    losses: list[float] = []
    train(
        model,
        Material(images=toy_images()),
        schedule,
        folder,
        progress=lambda step, loss: losses.append(loss),
    )
    return losses
