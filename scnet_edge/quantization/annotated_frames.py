"""Frames with known cracks, on which a quantised graph is judged against FP32."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np

from scnet_edge.config import NOT_JSON, read_text
from scnet_edge.data.datasets import open_dataset
from scnet_edge.data.masks import Truth
from scnet_edge.data.samples import Sample
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.simulation.clip import render_stills
from scnet_edge.types import Frame, Mask

STRATA_FILE = "strata.json"
THIN, DARK = "thin", "dark"  # strata of the gate's own, the thinnest and the darkest quarter
VALIDATION_EVERY = 10  # the slice of a training split that chooses, and never trains nor calibrates
DRAWN, DRAWN_FRAMES, DRAWN_SEED = "drawn", 24, 7_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated:
    """One frame and where its cracks are.

    Attributes:
        data: The data set it is from, no two of them alike.
        read: Returns the frame, (h, w, 3) uint8 BGR, and what is known of it; None where what FP32
            finds is the truth.
        tags: Strata that a user assigned, such as `wet`.
    """

    data: str
    name: str
    read: Callable[[], tuple[Frame, Truth | None]]
    tags: frozenset[str] = frozenset()


def gate_frames(data: Sequence[str], frame_hw: tuple[int, int]) -> tuple[list[Annotated], str]:
    """Return the test splits of data sets, or drawn frames where none is given, and their name."""
    if not data:
        return draw_frames(frame_hw), name_drawn()
    labels = _labels(data)
    frames: list[Annotated] = []
    for spec, label in zip(data, labels, strict=True):
        strata = _strata(spec, labels)
        own = _annotate(label, open_dataset(spec, "test"), strata)
        if unseen := strata.keys() - {tag for frame in own for tag in frame.tags}:
            raise InputError(
                f"{spec}: stratum {min(unseen)!r} of {STRATA_FILE} has no image of the test split, "
                "which is what the gate scores; name some, or leave it out"
            )
        frames += own
    return frames, ", ".join(f"{label} test" for label in labels)


def validation_frames(spec: str) -> tuple[list[Annotated], str]:
    """Return every tenth image of a training split, which never calibrates, and its name."""
    held, name = open_dataset(spec, "train")[::VALIDATION_EVERY], spec.partition(":")[0]
    return _annotate(name, held, {}), f"every tenth of {name} train"


def draw_frames(frame_hw: tuple[int, int]) -> list[Annotated]:
    """Return drawn pipe walls whose cracks are known to the pixel, a third of them underexposed."""
    stills = render_stills(DRAWN_FRAMES, frame_hw, seed=DRAWN_SEED)
    return [_in_memory(DRAWN, f"wall-{i}", frame, mask) for i, (frame, mask) in enumerate(stills)]


def name_drawn() -> str:
    """Return what drawn frames are called in records."""
    return f"{DRAWN_FRAMES} drawn pipe walls with exact truth"


def frames_without_masks(frames: Sequence[tuple[str, Frame]]) -> list[Annotated]:
    """Return frames on which a graph is judged by the masks that FP32 makes of them."""
    return [_in_memory("own frames", name, frame, None) for name, frame in frames]


def mean_width_px(mask: Mask) -> float:
    """Return the mean width of the cracks: four times the mean distance to their border."""
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return 4 * float(distance[mask].mean()) - 2 if mask.any() else 0.0


def _in_memory(data: str, name: str, frame: Frame, mask: Mask | None) -> Annotated:
    truth = None if mask is None else Truth(mask)
    return Annotated(data=data, name=name, read=lambda: (frame, truth))


def _labels(data: Sequence[str]) -> list[str]:
    """Return what data sets are called: by name, and by folder too where a name comes again."""
    repeated = sorted({spec for spec in data if data.count(spec) > 1})
    if repeated:
        raise InputError(f"data set {repeated[0]!r}: given twice; give it once")
    names = [spec.partition(":")[0] for spec in data]
    return [s if names.count(n) > 1 else n for s, n in zip(data, names, strict=True)]


def _annotate(
    label: str, samples: Sequence[Sample], strata: Mapping[str, list[str]]
) -> list[Annotated]:
    return [
        Annotated(
            data=label,
            name=sample.name,
            read=sample.read_pair,
            tags=frozenset(stratum for stratum, stems in strata.items() if sample.name in stems),
        )
        for sample in samples
    ]


def _strata(spec: str, labels: Sequence[str]) -> dict[str, list[str]]:
    """Return stratum -> names of images, from a JSON file that a user may put beside the images.

    Raises:
        InputError: it is no such file, a name fits no image of any split, or a stratum is called
            as one of the gate's own.
    """
    path = Path(spec.partition(":")[2]) / STRATA_FILE
    if not path.is_file():
        return {}
    try:
        strata = msgspec.json.decode(read_text(path), type=dict[str, list[str]])
    except (ConfigError, *NOT_JSON) as e:
        raise InputError(
            f'{path}: expected a list of image names by stratum, as {{"wet": ["a"]}} ({e})'
        ) from e
    if taken := sorted(strata.keys() & {THIN, DARK, *labels}):
        raise InputError(f"{path}: {taken[0]!r} is a stratum of the gate's own; use another word")
    images = {sample.name for sample in open_dataset(spec, "all")}
    if unknown := sorted({name for stems in strata.values() for name in stems} - images):
        raise InputError(
            f"{path}: no image is named {unknown[0]!r}; write the file's name without its ending"
        )
    return strata
