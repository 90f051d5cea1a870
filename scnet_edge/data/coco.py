"""Masks from a COCO annotation file: polygons, and run lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.data.datasets import Sample
from scnet_edge.errors import InputError


class CocoImage(msgspec.Struct):
    """An entry of `images`."""

    id: int
    file_name: str
    height: int
    width: int


class CocoAnnotation(msgspec.Struct):
    """An entry of `annotations`: polygons [[x, y, x, y, ...], ...], or run lengths."""

    image_id: int
    segmentation: list[list[float]] | dict[str, Any] = []


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
            if isinstance(shape, dict):
                mask |= _decoded(shape, self)
                continue
            for polygon in shape:
                points = np.asarray(polygon, np.float64).reshape(-1, 2).round().astype(np.int32)
                cv2.fillPoly(mask, [points], 1)
        return mask > 0


def read_coco(path: Path) -> Iterator[CocoSample]:
    """Yield the images of a COCO file in its order, each with all its annotations.

    Raises:
        InputError: it is no COCO file, a polygon is cut, or an image is missing.
    """
    try:
        coco = msgspec.json.decode(path.read_bytes(), type=CocoFile)
    except msgspec.MsgspecError as e:
        raise InputError(f"{path}: expected a COCO file with images and annotations ({e})") from e
    shapes: dict[int, list[Any]] = {image.id: [] for image in coco.images}
    for annotation in coco.annotations:
        if annotation.image_id not in shapes:
            raise InputError(f"{path}: an annotation is of image {annotation.image_id}, not listed")
        _check(annotation, path)
        shapes[annotation.image_id].append(annotation.segmentation)
    for image in coco.images:
        size_hw, drawn = (image.height, image.width), tuple(shapes[image.id])
        yield CocoSample(_found(path, image.file_name), path, size_hw, drawn)


def _check(annotation: CocoAnnotation, path: Path) -> None:
    polygons = annotation.segmentation
    if isinstance(polygons, list) and any(len(p) < 6 or len(p) % 2 for p in polygons):
        raise InputError(
            f"{path}: a polygon of image {annotation.image_id} has under 3 points or half a point"
        )


def _found(path: Path, name: str) -> Path:
    places = [path.parent / name, path.parent / "images" / name]
    for place in places:
        if place.is_file():
            return place
    raise InputError(f"{path}: image {name} is neither at {places[0]} nor at {places[1]}")


def _decoded(lengths: dict[str, Any], sample: CocoSample) -> npt.NDArray[np.uint8]:
    """Return the (H, W) mask of run lengths, which go down the columns and begin with 0."""
    counts = lengths.get("counts")
    if isinstance(counts, str):
        return _decompressed(lengths, sample)
    runs = np.asarray(counts, np.int64)
    if runs.sum() != sample.size_hw[0] * sample.size_hw[1]:
        raise InputError(f"{sample.mask}: run lengths of {sample.name} do not fill its size")
    flat = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    return flat.reshape(sample.size_hw, order="F")


def _decompressed(lengths: dict[str, Any], sample: CocoSample) -> npt.NDArray[np.uint8]:
    try:
        from pycocotools import mask
    except ModuleNotFoundError as e:
        raise InputError(
            f"{sample.mask}: compressed run lengths need pycocotools; pip install pycocotools"
        ) from e
    return np.asarray(mask.decode(lengths), np.uint8)
