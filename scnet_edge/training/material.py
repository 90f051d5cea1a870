"""What a run learns from, besides the images themselves: held-out images, drawn pipes, mistakes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import islice

import numpy as np

from scnet_edge.data.samples import Sample
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.evaluation.alarms import LEAST_PX
from scnet_edge.evaluation.predict import Run
from scnet_edge.simulation.clip import render_clip
from scnet_edge.simulation.optics import MODES
from scnet_edge.simulation.render import render_frames
from scnet_edge.simulation.scene import ScenePlan, make_scene
from scnet_edge.simulation.walls import MATERIALS
from scnet_edge.training.edge_maps import MapOf
from scnet_edge.training.images import TrainingImage

HELD_OUT = 10  # every tenth training image chooses the threshold and trains nothing
PIPE_SEED = 10_000
TWIN = ("train_img", "11158.jpg")  # of DeepCrack: the wall of its test image 11216
ALARM = 0.3  # the probability from which on a pixel without a crack is a mistake
QUIET = 0.2  # share of an image without mistakes, relative to one with many
MANY_PX = 400


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
    fit = [s for i, s in enumerate(samples) if i % HELD_OUT and not is_twin(s)]
    held = [s for s in samples[::HELD_OUT] if not is_twin(s)]
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


def is_twin(sample: Sample) -> bool:
    """Return whether a sample is the training image that shows a wall of DeepCrack's test."""
    return sample.image.parts[-2:] == TWIN


def draw_pipes(
    map_of: MapOf | None = None,
    *,
    walls: int = 15,
    frames: int = 24,
    rides: int = 12,
    seed: int = 0,
) -> list[TrainingImage]:
    """Return frames of drawn pipes, none of the wall of the sample clip or of a ride that scores.

    Args:
        map_of: Gives the edge map of a frame to a model that takes the prior.
        walls: How many clips, of which every fourth frame is taken.
        frames: Of each clip.
        rides: How many rides of 3 m, which have what is taken for cracks: roots, drips, courses of
            brick, and looking forward the edge of the water. Their frames are 0.3 m apart.
        seed: Draws others.
    """
    first = PIPE_SEED + 100 * seed
    clips = (render_clip(frames, (384, 544), seed=first + wall) for wall in range(walls))
    drawn = [pair for clip in clips for pair in islice(clip, None, None, 4)]
    for ride in range(rides):
        scene = make_scene(ride_plan(ride, first))
        drawn += [(frame, mask) for _, frame, mask in render_frames(scene)]
    return [TrainingImage(frame, mask, map_of and map_of(frame)) for frame, mask in drawn]


def ride_plan(number: int, first: int = PIPE_SEED) -> ScenePlan:
    """Return the plan of a ride to train on: both cameras, three materials, three diameters."""
    return ScenePlan(
        seed=first + number,
        mode=MODES[number % 2],
        material=MATERIALS[number // 2 % 3],
        diameter_mm=(300.0, 200.0, 500.0)[number // 4 % 3],
        metres=3.0,
        cracks=8,
        speed_mps=0.3,
        fps=1.0,
    )


def mine(images: Sequence[TrainingImage], run: Run) -> list[TrainingImage]:
    """Return the images, those without a crack weighed and focused by the mistakes of a model.

    All images without a crack keep the share that they have together.

    Args:
        images: Of a corpus.
        run: The model, as a function of frames.
    """
    sound = [i for i, image in enumerate(images) if not (image.mask.any() or image.cracks)]
    out = list(images)
    weights: list[float] = []
    for place in sound:
        image = images[place]
        mistaken = run(image.frame) >= ALARM
        area = int(mistaken.sum())
        weights.append(image.share * (QUIET + min(1.0, area / MANY_PX)))
        out[place] = dataclasses.replace(image, focus=mistaken if area >= LEAST_PX else None)
    total = sum(images[place].share for place in sound)
    scale = total / max(float(np.sum(weights)), 1e-12)
    for place, weight in zip(sound, weights, strict=True):
        out[place] = dataclasses.replace(out[place], share=weight * scale)
    return out
