"""Masks from outlines and run lengths, and how annotation files name images and categories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from scnet_edge.data.masks import Truth
from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError, escape, install_extra
from scnet_edge.types import Mask

Polygon: TypeAlias = list[float]  # x, y, x, y, ... in pixels, 0, 0 the corner of the first
MOST_STEPS = 10_000_000  # pixels along a polygon
MOST_POINTS = 100_000  # of a polygon: pycocotools takes memory for each step between them
MOST_BEYOND = 4.0  # a corner so many sides outside its image is no corner of anything in it


@dataclass(frozen=True, slots=True)
class OutlinedSample(Sample):
    """An image whose mask is drawn from outlines; `mask` is the annotation file.

    Attributes:
        size_hw: Of the image, as the file has it.
        polygons: Each is crack inside.
        filled: Masks that the file holds, not unpacked yet.
    """

    size_hw: tuple[int, int] = (0, 0)
    polygons: tuple[Polygon, ...] = ()
    filled: tuple[RunLengths | StoredMask, ...] = ()

    def _draw(self) -> Truth:
        return Truth(draw_mask(self.polygons, self.filled, self.size_hw))

    def mask_label(self) -> str:
        """Return what messages call the mask."""
        return f"in {escape(self.mask)}"


@dataclass(frozen=True, slots=True)
class RunLengths:
    """Pixels down the columns, beside a crack and of it in turns."""

    runs: list[int]

    def unpack(self, size_hw: tuple[int, int]) -> Mask:
        """Return the (h, w) mask that they fill."""
        counts = np.asarray(self.runs, np.int64)
        flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
        return flat.reshape(size_hw, order="F")


@dataclass(frozen=True, slots=True)
class StoredMask:
    """A mask of a part of an image."""

    left: int
    top: int
    mask: Mask

    def unpack(self, size_hw: tuple[int, int]) -> Mask:
        """Return the (h, w) mask of the whole image."""
        whole = np.zeros(size_hw, np.bool_)
        bottom, right = self.top + self.mask.shape[0], self.left + self.mask.shape[1]
        here = whole[self.top : bottom, self.left : right]
        here |= self.mask[: here.shape[0], : here.shape[1]]
        return whole


def draw_mask(
    polygons: Sequence[Polygon],
    filled: Sequence[RunLengths | StoredMask],
    size_hw: tuple[int, int],
) -> Mask:
    """Return (h, w) bool, True inside any polygon and any stored mask."""
    mask = np.zeros(size_hw, np.bool_)
    if polygons:
        mask |= polygon_mask(polygons, size_hw)
    for stored in filled:
        mask |= stored.unpack(size_hw)
    return mask


def polygon_mask(polygons: Sequence[Polygon], size_hw: tuple[int, int]) -> Mask:
    """Return (h, w) bool, True inside any polygon, as pycocotools draws it.

    Raises:
        InputError: pycocotools is not installed.
    """
    try:
        from pycocotools import mask as coco_mask
    except ModuleNotFoundError as e:
        raise InputError(f"outlines need pycocotools; {install_extra('train')}") from e
    height_px, width_px = size_hw
    packed = coco_mask.frPyObjects(list(polygons), height_px, width_px)
    return np.asarray(coco_mask.decode(coco_mask.merge(packed)), np.bool_)


def check_polygon(polygon: Polygon, size_hw: tuple[int, int], where: str) -> None:
    """Refuse a polygon without an area, or with corners that are nowhere near its image."""
    if len(polygon) < 6 or len(polygon) % 2:
        raise InputError(f"{where}: a polygon has under 3 points or half a point; draw it again")
    values: npt.NDArray[np.float64] = np.asarray(polygon, np.float64)
    reach = MOST_BEYOND * max(size_hw)
    if len(polygon) > 2 * MOST_POINTS:
        raise InputError(f"{where}: a polygon has over {MOST_POINTS} points; draw it again")
    if not np.isfinite(values).all() or np.abs(values).max() > reach:
        raise InputError(f"{where}: a polygon has corners far outside its image; draw it again")
    if np.abs(np.diff(values.reshape(-1, 2), axis=0)).sum() > MOST_STEPS:
        raise InputError(f"{where}: a polygon has a line without end; draw it again")


def find_image(file: Path, name: str) -> Path:
    """Return the image that an annotation file names, wherever the tool that wrote it puts images.

    Beside the file, in `images/` beside it or beside its folder (CVAT), in the folder of its split
    (`annotations/instances_train2017.json`, `train2017/`); with backslashes, escaped, or by the
    path on the machine where it was written.

    Raises:
        InputError: it is nowhere.
    """
    beside, above = file.parent, file.parent.parent
    split = file.stem.partition("_")[2]
    roots = [beside, beside / "images", above / "images", above]
    roots += [above / split, above / "images" / split] if split else []
    plain = unquote(name).replace("\\", "/").lstrip("/")
    for called in dict.fromkeys((name, name.replace("\\", "/"), plain, plain.rpartition("/")[2])):
        for root in roots:
            if called and (root / called).is_file():
                return root / called
    places = f"{escape(beside / name)} nor at {escape(beside / 'images' / name)}"
    raise InputError(f"{escape(file)}: image {name} is neither at {places}; put it there")


def choose_categories(
    file: Path, used: Iterable[str], chosen: frozenset[str], kind: str | None
) -> frozenset[str]:
    """Return the categories that are crack: those chosen, or the only one that is used.

    Args:
        file: what an error is about.
        used: the categories of all its shapes.
        chosen: those that a user has named.
        kind: how `--data` names such files; None where `--label` chooses.

    Raises:
        InputError: several are used and none was chosen, or one that was chosen is not there.
    """
    names = sorted(set(used))
    if missing := sorted(chosen - set(names)):
        raise InputError(f"{escape(file)}: no {missing[0]!r}, expected {', '.join(names)}")
    if chosen or len(names) < 2:
        return chosen or frozenset(names)
    how = f"as {kind}:{escape(file)}?categories={names[0]}"
    raise InputError(
        f"{escape(file)}: {len(names)} categories ({', '.join(names)}); say which are crack, "
        f"{f'by --label {names[0]}' if kind is None else how}"
    )
