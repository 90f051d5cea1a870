"""Images without a crack, weighed by what a model takes for one in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from scnet_edge.evaluation.alarms import LEAST_PX
from scnet_edge.evaluation.predict import Run
from scnet_edge.training.images import TrainingImage

ALARM = 0.3  # the probability from which on a pixel without a crack is a mistake
QUIET = 0.2  # share of an image without mistakes, relative to one with many
MANY_PX = 400


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
