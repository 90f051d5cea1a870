"""Frames with known cracks, on which a quantised graph is judged against FP32."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from scnet_edge.data.datasets import Sample, open_dataset
from scnet_edge.errors import InputError
from scnet_edge.simulation.stills import render_stills
from scnet_edge.types import Frame, Mask

STRATA_FILE = "strata.json"
VALIDATION_EVERY = 10  # the slice of a training split that chooses, and never trains nor calibrates
DRAWN_FRAMES, DRAWN_SEED = 24, 7_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated:
    """One frame and where its cracks are.

    Attributes:
        data: The data set it is from.
        read: Returns the frame, (h, w, 3) uint8 BGR, and its mask, (h, w) bool; None for the mask
            where what FP32 finds is the truth.
        tags: Strata that a user assigned, such as `wet`.
    """

    data: str
    name: str
    read: Callable[[], tuple[Frame, Mask | None]]
    tags: frozenset[str] = frozenset()


def gate_frames(data: Sequence[str], frame_hw: tuple[int, int]) -> tuple[list[Annotated], str]:
    """Return the test splits of data sets, or drawn frames where none is given, and their name."""
    if not data:
        return drawn_frames(frame_hw), drawn_name()
    frames = [frame for spec in data for frame in _annotated(spec, open_dataset(spec, "test"))]
    return frames, ", ".join(f"{spec.partition(':')[0]} test" for spec in data)


def validation_frames(spec: str) -> tuple[list[Annotated], str]:
    """Return every tenth image of a training split, which never calibrates, and its name."""
    held = open_dataset(spec, "train")[::VALIDATION_EVERY]
    return _annotated(spec, held), f"every tenth of {spec.partition(':')[0]} train"


def drawn_frames(frame_hw: tuple[int, int]) -> list[Annotated]:
    """Return drawn pipe walls whose cracks are known to the pixel, a third of them underexposed."""
    stills = render_stills(DRAWN_FRAMES, frame_hw, seed=DRAWN_SEED)
    return [_held("drawn", f"wall-{i}", frame, mask) for i, (frame, mask) in enumerate(stills)]


def drawn_name() -> str:
    """Return what drawn frames are called in records."""
    return f"{DRAWN_FRAMES} drawn pipe walls with exact truth"


def unannotated(frames: Sequence[tuple[str, Frame]]) -> list[Annotated]:
    """Return frames on which a graph is judged by the masks that FP32 makes of them."""
    return [_held("own frames", name, frame, None) for name, frame in frames]


def mean_width_px(mask: Mask) -> float:
    """Return the mean width of the cracks: four times the mean distance to their border."""
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return 4 * float(distance[mask].mean()) - 2 if mask.any() else 0.0


def _held(data: str, name: str, frame: Frame, mask: Mask | None) -> Annotated:
    return Annotated(data=data, name=name, read=lambda: (frame, mask))


def _annotated(spec: str, samples: list[Sample]) -> list[Annotated]:
    name, _, folder = spec.partition(":")
    tags = _strata(Path(folder) / STRATA_FILE)
    return [
        Annotated(
            data=name,
            name=sample.name,
            read=lambda sample=sample: (sample.read_frame(), sample.read_mask()),  # type: ignore[misc]
            tags=frozenset(stratum for stratum, stems in tags.items() if sample.name in stems),
        )
        for sample in samples
    ]


def _strata(path: Path) -> dict[str, list[str]]:
    """Return stratum -> names of images, from a JSON file that a user may put beside the images."""
    if not path.is_file():
        return {}
    try:
        strata = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise InputError(f"{path}: expected JSON, a list of image names by stratum ({e})") from e
    if not isinstance(strata, dict) or not all(isinstance(v, list) for v in strata.values()):
        raise InputError(f'{path}: expected a list of image names by stratum, as {{"wet": ["a"]}}')
    return strata
