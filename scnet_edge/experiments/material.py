"""What a run learns from, besides the images themselves."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from scnet_edge.data.datasets import Sample
from scnet_edge.errors import ConfigError
from scnet_edge.models.hed import HED
from scnet_edge.models.weights import open_hed
from scnet_edge.simulation.clip import render_clip
from scnet_edge.training.images import TrainingImage

HELD_OUT = 10  # every tenth training image chooses the threshold and trains nothing
PIPE_SEED = 10_000


def split_held_out(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Split training samples into those that train and every tenth, which chooses the threshold.

    Raises:
        ConfigError: there are fewer than two.
    """
    if len(samples) < 2:
        raise ConfigError(f"expected at least 2 training images, found {len(samples)}; add some")
    fit = [s for i, s in enumerate(samples) if i % HELD_OUT]
    return fit, samples[::HELD_OUT]


def drawn_pipes(walls: int = 15, frames: int = 24) -> list[TrainingImage]:
    """Return every fourth frame of drawn clips; none is of the wall of the sample clip."""
    clips = (render_clip(frames, (384, 544), seed=PIPE_SEED + wall) for wall in range(walls))
    return [
        TrainingImage(frame, mask, None)
        for clip in clips
        for i, (frame, mask) in enumerate(clip)
        if i % 4 == 0
    ]


def write_edge_maps(samples: list[Sample], folder: Path, hed: HED | None = None) -> None:
    """Write the probability of `hed`, or of the shipped one, as 8-bit PNGs, unless they are there.

    Args:
        samples: What it looks at.
        folder: Gets `NAME.png` of every sample.
        hed: An edge detector in eval mode.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hed = (hed or open_hed()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for sample in samples:
        path = folder / f"{sample.name}.png"
        if path.exists():
            continue
        frame = torch.from_numpy(sample.read_frame().transpose(2, 0, 1)[None].astype(np.float32))
        with torch.inference_mode():
            edges = torch.sigmoid(hed(frame.contiguous(memory_format=torch.channels_last))[0])
        cv2.imwrite(str(path), (edges[0, 0].numpy() * 255).round().astype(np.uint8))
