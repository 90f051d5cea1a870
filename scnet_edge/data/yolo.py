"""Masks from the labels of Ultralytics YOLO: a line of a text file is a class and a polygon.

images/train/NAME.jpg   labels/train/NAME.txt     as Ultralytics publishes its sets
train/images/NAME.jpg   train/labels/NAME.txt     as Roboflow exports them
images/NAME.jpg         labels/NAME.txt           without a split

Corners are shares of the sides of the upright image. An empty file says that nothing is there. The
classes are numbers; `data.yaml` beside them says what they stand for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scnet_edge.config import read_text
from scnet_edge.data.outlines import OutlinedSample, Polygon, check_polygon, choose_categories
from scnet_edge.data.pictures import read_size
from scnet_edge.errors import InputError, escape

VALIDATION = ("valid", "val")
BOX = 5  # numbers in a line that has a box for an outline


@dataclass(frozen=True, slots=True)
class _Shape:
    label: str
    shares: list[float]  # x, y, x, y, ...
    where: str


def yolo_parts(root: Path) -> dict[str, tuple[Path, Path]]:
    """Return the folders of images and of labels, by the split as it is called; "" without one."""
    parts = {
        name: folders
        for name in ("train", *VALIDATION, "test")
        for folders in (
            (root / name / "images", root / name / "labels"),
            (root / "images" / name, root / "labels" / name),
        )
        if folders[0].is_dir()
    }
    return parts or {"": (root / "images", root / "labels")}


def read_yolo(
    root: Path, images: Sequence[tuple[Path, Path]], categories: frozenset[str] = frozenset()
) -> list[OutlinedSample]:
    """Return images with what their labels outline.

    Args:
        root: The data set, for messages.
        images: Each with its text file.
        categories: The classes that are crack, as numbers in text; empty where there is but one.

    Raises:
        InputError: a text file is missing or none of YOLO's outlines, or classes are to be chosen;
            the line names the file.
    """
    shapes = {image: _read(labels) for image, labels in images}
    used = [shape.label for found in shapes.values() for shape in found]
    crack = choose_categories(root, used, categories, "yolo")
    return [_sample(image, labels, shapes[image], crack) for image, labels in images]


def _read(path: Path) -> list[_Shape]:
    if not path.is_file():
        raise InputError(f"{escape(path)}: missing; an image without a crack has an empty file")
    shapes = []
    for number, line in enumerate(read_text(path, InputError).splitlines(), start=1):
        label, *numbers = line.split() or [""]
        where = f"{escape(path)}, line {number}"
        if not label:
            continue
        try:
            shares = [float(text) for text in numbers]
        except ValueError as e:
            raise InputError(f"{where}: expected a class and numbers ({e})") from e
        if not label.isdecimal() or len(numbers) + 1 == BOX:
            found = "a box" if label.isdecimal() else f"class {label!r}"
            raise InputError(f"{where}: expected a class and a polygon, found {found}")
        shapes.append(_Shape(label, shares, where))
    return shapes


def _sample(
    image: Path, labels: Path, shapes: Sequence[_Shape], crack: frozenset[str]
) -> OutlinedSample:
    size_hw, _ = read_size(image)
    polygons: list[Polygon] = []
    for shape in shapes:
        if shape.label in crack:
            polygon = [share * size_hw[1 - i % 2] for i, share in enumerate(shape.shares)]
            check_polygon(polygon, size_hw, shape.where)
            polygons.append(polygon)
    return OutlinedSample(image, labels, size_hw=size_hw, polygons=tuple(polygons))
