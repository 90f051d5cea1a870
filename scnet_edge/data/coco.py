"""Masks from a COCO annotation file: polygons, and run lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.config import NOT_JSON
from scnet_edge.data.datasets import Sample
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.files import read_file

MAX_BYTES = 96 * 2**20  # numbers take sixteen times their text
LONGEST_SHIFT = 40  # bits of a run: longer numbers take the square of their length
MAX_PIXELS = 100_000_000
MOST_POINTS = 100_000  # of a polygon; each costs the height of the image
Side = Annotated[int, msgspec.Meta(gt=0)]
Pixels = Annotated[int, msgspec.Meta(ge=0)]


class CocoImage(msgspec.Struct):
    """An entry of `images`."""

    id: int
    file_name: str
    height: Side
    width: Side


class CocoAnnotation(msgspec.Struct):
    """An entry of `annotations`: polygons [[x, y, x, y, ...], ...], or run lengths."""

    image_id: int
    id: int | str | None = None
    segmentation: list[list[float]] | dict[str, Any] = []


class RunLengths(msgspec.Struct):
    """Pixels down the columns, beside a crack and of it in turns: as numbers, or as text."""

    counts: list[Pixels] | str
    size: tuple[int, int] | None = None  # (h, w)


class CocoFile(msgspec.Struct):
    """What of a COCO file is read; the rest is ignored."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]


@dataclass(frozen=True, slots=True)
class CocoSample(Sample):
    """An image whose mask is drawn from its annotations; `mask` is the COCO file."""

    size_hw: tuple[int, int] = (0, 0)
    shapes: tuple[Any, ...] = ()

    def read_mask(self) -> npt.NDArray[np.bool_]:
        """Return (H, W) bool, True inside any annotation."""
        mask = np.zeros(self.size_hw, np.uint8)
        for shape in self.shapes:
            if isinstance(shape, RunLengths):
                mask |= _filled(shape, self.size_hw)
                continue
            for polygon in shape:
                points = np.asarray(polygon, np.float64).reshape(-1, 2).round().astype(np.int32)
                cv2.fillPoly(mask, [points], 1)
        return mask > 0


def read_coco(path: Path) -> Iterator[CocoSample]:
    """Yield the images of a COCO file in its order, each with all its annotations.

    Raises:
        InputError: it is no COCO file, a polygon is cut, run lengths do not fill their image, or
            an image is missing.
    """
    try:
        coco = msgspec.json.decode(read_file(path, MAX_BYTES), type=CocoFile)
    except (ConfigError, *NOT_JSON) as e:
        raise InputError(f"{path}: expected a COCO file with images and annotations ({e})") from e
    for image in coco.images:
        if image.height * image.width > MAX_PIXELS:
            raise InputError(
                f"{path}: image {image.file_name}: {image.width}x{image.height} px, expected at "
                f"most {MAX_PIXELS // 10**6} megapixels"
            )
    sizes_hw = {image.id: (image.height, image.width) for image in coco.images}
    shapes: dict[int, list[Any]] = {image.id: [] for image in coco.images}
    for annotation in coco.annotations:
        if annotation.image_id not in shapes:
            raise InputError(f"{path}: an annotation is of image {annotation.image_id}, not listed")
        shape = _shape(annotation, sizes_hw[annotation.image_id], path)
        shapes[annotation.image_id].append(shape)
    for image in coco.images:
        drawn = tuple(shapes[image.id])
        yield CocoSample(_found(path, image.file_name), path, sizes_hw[image.id], drawn)


def _shape(
    annotation: CocoAnnotation, size_hw: tuple[int, int], path: Path
) -> list[list[float]] | RunLengths:
    """Return the polygons of an annotation as they are, or its run lengths as numbers."""
    shape = annotation.segmentation
    if isinstance(shape, dict):
        return _runs(shape, size_hw, f"{path}: annotation {annotation.id}")
    reach = 4 * max(size_hw)
    if any(len(p) > 2 * MOST_POINTS or not all(-reach <= v <= reach for v in p) for p in shape):
        raise InputError(
            f"{path}: a polygon of image {annotation.image_id} has corners far outside it, or over "
            f"{MOST_POINTS} points; draw it again"
        )
    if any(len(p) < 6 or len(p) % 2 for p in shape):
        raise InputError(
            f"{path}: a polygon of image {annotation.image_id} has under 3 points or half a point"
        )
    return shape


def _found(path: Path, name: str) -> Path:
    places = [path.parent / name, path.parent / "images" / name]
    for place in places:
        if place.is_file():
            return place
    raise InputError(f"{path}: image {name} is neither at {places[0]} nor at {places[1]}")


def _runs(shape: dict[str, Any], size_hw: tuple[int, int], where: str) -> RunLengths:
    """Return run lengths as numbers that fill the image; `where` names them in errors."""
    try:
        lengths = msgspec.convert(shape, RunLengths)
    except msgspec.ValidationError as e:
        raise InputError(
            f"{where}: expected run lengths as counts and size, found others ({e}); export it again"
        ) from e
    if lengths.size not in (None, size_hw):
        raise InputError(
            f"{where}: expected run lengths of its image's size {size_hw}, found {lengths.size}; "
            "export it again"
        )
    counts = lengths.counts
    runs = _unpacked(counts, where) if isinstance(counts, str) else counts
    if sum(runs) != size_hw[0] * size_hw[1]:
        raise InputError(
            f"{where}: run lengths do not fill its image: expected {size_hw[0] * size_hw[1]} "
            f"pixels, found {sum(runs)}; export it again"
        )
    return RunLengths(counts=runs)


def _unpacked(text: str, where: str) -> list[int]:
    """Return the run lengths of COCO's text: five bits a character, the lowest first.

    A sixth bit says that more follow. From the fourth number on each is a difference to the last
    but one.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > LONGEST_SHIFT:
            break
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (bits & 16) << (shift - 4)  # the sign
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    else:
        if shift == 0 and min(runs, default=0) >= 0:
            return runs
    raise InputError(
        f"{where}: expected compressed run lengths, found text that is none; export it again"
    )


def _filled(lengths: RunLengths, size_hw: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return the (H, W) mask of run lengths, which go down the columns and begin with 0."""
    runs = np.asarray(lengths.counts, np.int64)
    flat = np.repeat((np.arange(len(runs)) % 2).astype(np.uint8), runs)
    return flat.reshape(size_hw, order="F")
