"""What a run learns from, besides the images themselves."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from scnet_edge.data.datasets import Sample
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.models.hed import HED
from scnet_edge.models.weights import open_hed
from scnet_edge.simulation.clip import render_clip
from scnet_edge.training.images import TrainingImage
from scnet_edge.types import Frame

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


def drawn_pipes(
    edges: Path | None = None, *, walls: int = 15, frames: int = 24
) -> list[TrainingImage]:
    """Return every fourth frame of drawn clips; none is of the wall of the sample clip.

    Args:
        edges: Gets the HED maps, or has them, for a model that takes the prior.
        walls: How many clips.
        frames: Of each.
    """
    clips = (render_clip(frames, (384, 544), seed=PIPE_SEED + wall) for wall in range(walls))
    drawn = [pair for clip in clips for i, pair in enumerate(clip) if i % 4 == 0]
    if not edges:
        return [TrainingImage(frame, mask, None) for frame, mask in drawn]
    hed = _ready(open_hed(), edges)
    return [
        TrainingImage(frame, mask, edge_map(frame, edges / f"{i:03}.png", hed))
        for i, (frame, mask) in enumerate(drawn)
    ]


def write_edge_maps(samples: list[Sample], folder: Path, hed: HED | None = None) -> None:
    """Write the map of `hed`, or of the shipped one, as `NAME.png` of every sample."""
    hed = _ready(hed or open_hed(), folder)
    for sample in samples:
        edge_map(sample.read_frame(), folder / f"{sample.name}.png", hed)


def edge_map(frame: Frame, path: Path, hed: HED) -> npt.NDArray[np.uint8]:
    """Return the probability of `hed` times 255, (H, W) uint8; an 8-bit PNG keeps it at `path`."""
    if path.exists():
        kept = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if kept is None:
            raise InputError(f"{path}: the HED map cannot be read; delete it")
        return np.asarray(kept, np.uint8)
    x = torch.from_numpy(frame.transpose(2, 0, 1)[None].astype(np.float32))
    with torch.inference_mode():
        edges = torch.sigmoid(hed(x.contiguous(memory_format=torch.channels_last))[0])
    drawn = (edges[0, 0].numpy() * 255).round().astype(np.uint8)
    cv2.imwrite(str(path), drawn)
    return drawn


def _ready(hed: HED, folder: Path) -> HED:
    folder.mkdir(parents=True, exist_ok=True)
    return hed.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
