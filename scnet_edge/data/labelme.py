"""Masks from labelme's files: NAME.json with polygons and painted masks, beside its image."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import numpy as np

from scnet_edge.config import MAX_BYTES, NOT_JSON
from scnet_edge.data.frames import MAX_PIXELS
from scnet_edge.data.outlines import (
    OutlinedSample,
    Polygon,
    StoredMask,
    check_polygon,
    choose_categories,
    draw_mask,
    find_image,
)
from scnet_edge.data.picture_files import natural_key
from scnet_edge.data.pictures import has_whole_chunks
from scnet_edge.errors import ConfigError, InputError, escape
from scnet_edge.files import read_file
from scnet_edge.types import Mask

PNG = b"\x89PNG\r\n\x1a\n"
Side = Annotated[int, msgspec.Meta(gt=0)]


class LabelmeShape(msgspec.Struct):
    """One outline; `mask` is a PNG in base64, its corners are `points`."""

    label: str
    points: list[tuple[float, float]]
    shape_type: str | None = "polygon"
    mask: str | None = None


class LabelmeFile(msgspec.Struct, rename="camel"):
    """What of a labelme file is read; the rest is ignored."""

    shapes: list[LabelmeShape]
    image_path: str
    image_height: Side
    image_width: Side


def read_labelme(
    folder: Path, categories: frozenset[str] = frozenset()
) -> Sequence[OutlinedSample]:
    """Return the annotated images of a folder, by name.

    Args:
        folder: Where the `.json` files are.
        categories: The labels that are crack; empty where there is but one.

    Raises:
        InputError: a file is none of labelme's, labels are to be chosen, a shape has no area, or
            an image is missing; the line names the file.
    """
    paths = [path for path in folder.glob("*.json") if not path.name.startswith(".")]
    files = {path: _read(path) for path in sorted(paths, key=lambda p: natural_key(Path(p.name)))}
    used = [shape.label for file in files.values() for shape in file.shapes]
    crack = choose_categories(folder, used, categories, "labelme")
    return [_sample(path, file, crack) for path, file in files.items()]


def read_labelme_mask(path: Path, labels: frozenset[str] = frozenset()) -> tuple[str, Mask | None]:
    """Return the name of a file's image and the mask of its cracks, (H, W) bool; None without.

    The image itself need not be there. `labels` are crack; empty where the file has but one.

    Raises:
        InputError: as `read_labelme`, but for an image that is missing.
    """
    file = _read(path)
    used = [shape.label for shape in file.shapes]
    crack = labels or choose_categories(path, used, labels, None)
    polygons, stored = _outlines(path, file, crack)
    size_hw = (file.image_height, file.image_width)
    return file.image_path, draw_mask(polygons, stored, size_hw) if polygons or stored else None


def _read(path: Path) -> LabelmeFile:
    try:
        file = msgspec.json.decode(read_file(path, MAX_BYTES), type=LabelmeFile)
    except (ConfigError, OSError, *NOT_JSON) as e:
        raise InputError(
            f"{escape(path)}: expected a file of labelme with shapes and imagePath ({e})"
        ) from e
    if file.image_height * file.image_width > MAX_PIXELS:
        raise InputError(
            f"{escape(path)}: an image of {file.image_width}x{file.image_height} px, expected at "
            f"most {MAX_PIXELS // 10**6} megapixels"
        )
    return file


def _sample(path: Path, file: LabelmeFile, crack: frozenset[str]) -> OutlinedSample:
    polygons, stored = _outlines(path, file, crack)
    return OutlinedSample(
        find_image(path, file.image_path),
        path,
        size_hw=(file.image_height, file.image_width),
        polygons=polygons,
        filled=stored,
    )


def _outlines(
    path: Path, file: LabelmeFile, crack: frozenset[str]
) -> tuple[tuple[Polygon, ...], tuple[StoredMask, ...]]:
    """Return the polygons and the painted masks of the labels that are crack."""
    size_hw = (file.image_height, file.image_width)
    polygons: list[Polygon] = []
    stored: list[StoredMask] = []
    for shape in file.shapes:
        if shape.label not in crack:
            continue
        where = f"{escape(path)}: a {shape.shape_type} {shape.label!r} of {file.image_path}"
        if shape.shape_type == "mask" and shape.mask and shape.points:
            stored.append(_read_stored(shape, size_hw, where))
        elif shape.shape_type in ("polygon", None):
            polygon = [value for point in shape.points for value in point]
            check_polygon(polygon, size_hw, where)
            polygons.append(polygon)
        else:
            raise InputError(f"{where} is no outline; draw a polygon around the crack")
    return tuple(polygons), tuple(stored)


def _read_stored(shape: LabelmeShape, size_hw: tuple[int, int], where: str) -> StoredMask:
    try:
        data = base64.b64decode(shape.mask or "", validate=True)
    except binascii.Error:
        data = b""
    left, top = (round(value) for value in shape.points[0])
    width_px, height_px = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    fits = left + width_px <= size_hw[1] + 1 and top + height_px <= size_hw[0] + 1
    mask = None
    if data.startswith(PNG) and min(left, top) >= 0 and fits and has_whole_chunks(data):
        mask = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise InputError(f"{where}: expected a PNG in base64, inside its image; save it again")
    return StoredMask(left, top, np.asarray(mask > 0))
