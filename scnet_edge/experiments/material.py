"""What a run learns from, besides the images themselves."""

from __future__ import annotations

from scnet_edge.data.datasets import Sample
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.simulation.clip import render_clip
from scnet_edge.training.edge_maps import MapOf
from scnet_edge.training.images import TrainingImage

HELD_OUT = 10  # every tenth training image chooses the threshold and trains nothing
PIPE_SEED = 10_000
TWIN = ("train_img", "11158.jpg")  # of DeepCrack: the wall of its test image 11216


def split_held_out(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Split training samples into those that train and every tenth, which chooses the threshold.

    DeepCrack's training image that shows a wall of its test split is in neither.

    Raises:
        ConfigError: there are fewer than two.
        InputError: no pixel of those held out is crack, or every one is, so any threshold, or the
            lowest, would be best.
    """
    if len(samples) < 2:
        raise ConfigError(f"expected at least 2 training images, found {len(samples)}; add some")
    fit = [s for i, s in enumerate(samples) if i % HELD_OUT and not _is_twin(s)]
    held = [s for s in samples[::HELD_OUT] if not _is_twin(s)]
    masks = [s.read_mask() for s in held]
    if not any(mask.any() for mask in masks):
        raise InputError(
            f"expected a crack on one of the {len(held)} held-out images, every tenth by name, "
            "found none; rename a cracked image to come first"
        )
    if all(mask.all() for mask in masks):
        raise InputError(
            f"expected background on one of the {len(held)} held-out images, every tenth by name, "
            "found crack in every pixel; crack is white, so invert the masks if they are inverted"
        )
    return fit, held


def _is_twin(sample: Sample) -> bool:
    return sample.image.parts[-2:] == TWIN


def drawn_pipes(
    map_of: MapOf | None = None, *, walls: int = 15, frames: int = 24
) -> list[TrainingImage]:
    """Return every fourth frame of drawn clips; none is of the wall of the sample clip.

    Args:
        map_of: Gives the edge map of a frame to a model that takes the prior.
        walls: How many clips.
        frames: Of each.
    """
    clips = (render_clip(frames, (384, 544), seed=PIPE_SEED + wall) for wall in range(walls))
    return [
        TrainingImage(frame, mask, map_of and map_of(frame))
        for clip in clips
        for i, (frame, mask) in enumerate(clip)
        if i % 4 == 0
    ]
