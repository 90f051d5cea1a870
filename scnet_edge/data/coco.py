"""Masks from a COCO annotation file: polygons, and run lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec

from scnet_edge.config import NOT_JSON
from scnet_edge.data.frames import MAX_PIXELS
from scnet_edge.data.outlines import (
    OutlinedSample,
    Polygon,
    RunLengths,
    check_polygon,
    choose_categories,
    draw_mask,
    find_image,
)
from scnet_edge.errors import ConfigError, InputError, escape
from scnet_edge.files import read_file
from scnet_edge.types import Mask

MAX_BYTES = 96 * 2**20  # numbers take sixteen times their text
LONGEST_SHIFT = 40  # bits of a run: longer numbers take the square of their length
Side = Annotated[int, msgspec.Meta(gt=0)]
Pixels = Annotated[int, msgspec.Meta(ge=0)]
Shape: TypeAlias = "list[Polygon] | RunLengths"


class CocoImage(msgspec.Struct):
    """An entry of `images`."""

    id: int
    file_name: str
    height: Side
    width: Side


class CocoAnnotation(msgspec.Struct):
    """An entry of `annotations`: polygons [[x, y, x, y, ...], ...], or run lengths.

    `iscrowd` is not read: CVAT sets it for what was painted with a brush.
    """

    image_id: int
    id: int | str | None = None
    category_id: int | None = None
    segmentation: list[list[float]] | dict[str, Any] | None = None


class CocoCategory(msgspec.Struct):
    """An entry of `categories`."""

    id: int
    name: str


class CocoFile(msgspec.Struct):
    """What of a COCO file is read; the rest is ignored."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory] = []


class Lengths(msgspec.Struct):
    """Run lengths: as numbers, or as text."""

    counts: list[Pixels] | str
    size: tuple[int, int] | None = None  # (h, w)


def read_coco(path: Path, categories: frozenset[str] = frozenset()) -> Sequence[OutlinedSample]:
    """Return the images of a COCO file in its order, each with all its annotations.

    Args:
        path: The file.
        categories: The names of those that are crack; empty where there is but one.

    Raises:
        InputError: it is no COCO file, categories are to be chosen, an annotation has no outline
            or a broken one, or an image is missing; the line names the image.
    """
    samples = [
        _sample(path, image, shapes) for image, shapes in _read_shapes(path, categories, "coco")
    ]
    return _apart(samples, path)


def read_coco_masks(
    path: Path, labels: frozenset[str] = frozenset()
) -> Iterator[tuple[str, Mask | None]]:
    """Yield the name of every image of a COCO file and its mask, (H, W) bool, None without any.

    The images themselves need not be there. `labels` are crack; empty where there is but one.

    Raises:
        InputError: as `read_coco`, but for images that are missing.
    """
    for image, shapes in _read_shapes(path, labels, None):
        polygons, stored = _part(shapes)
        mask = draw_mask(polygons, stored, (image.height, image.width)) if shapes else None
        yield image.file_name, mask


def _read_shapes(
    path: Path, categories: frozenset[str], kind: str | None
) -> list[tuple[CocoImage, list[Shape]]]:
    """Return the images of a COCO file, each with the shapes of its cracks."""
    try:
        coco = msgspec.json.decode(read_file(path, MAX_BYTES), type=CocoFile)
    except (ConfigError, *NOT_JSON) as e:
        raise InputError(
            f"{escape(path)}: expected a COCO file with images and annotations ({e})"
        ) from e
    for image in coco.images:
        if image.height * image.width > MAX_PIXELS:
            raise InputError(
                f"{escape(path)}: image {image.file_name}: {image.width}x{image.height} px, "
                f"expected at most {MAX_PIXELS // 10**6} megapixels"
            )
    images = {image.id: image for image in coco.images}
    if len(images) < len(coco.images):
        raise InputError(f"{escape(path)}: two images have one id; export it again")
    names = {category.id: category.name for category in coco.categories}

    def name_of(annotation: CocoAnnotation) -> str:
        number = annotation.category_id
        return "crack" if number is None else names.get(number, f"category {number}")

    crack = choose_categories(path, map(name_of, coco.annotations), categories, kind)
    shapes: dict[int, list[Shape]] = {image.id: [] for image in coco.images}
    for annotation in coco.annotations:
        if annotation.image_id not in shapes:
            raise InputError(
                f"{escape(path)}: annotation {annotation.id} is of image {annotation.image_id}, "
                "not listed; export it again"
            )
        if name_of(annotation) in crack:
            shape = _shape(annotation, images[annotation.image_id], path)
            shapes[annotation.image_id].append(shape)
    return [(image, shapes[image.id]) for image in coco.images]


def _sample(path: Path, image: CocoImage, shapes: Sequence[Shape]) -> OutlinedSample:
    polygons, stored = _part(shapes)
    return OutlinedSample(
        find_image(path, image.file_name),
        path,
        size_hw=(image.height, image.width),
        polygons=polygons,
        filled=stored,
    )


def _part(shapes: Sequence[Shape]) -> tuple[tuple[Polygon, ...], tuple[RunLengths, ...]]:
    """Return the polygons and the run lengths."""
    polygons = tuple(p for shape in shapes if isinstance(shape, list) for p in shape)
    return polygons, tuple(shape for shape in shapes if isinstance(shape, RunLengths))


def _apart(samples: Sequence[OutlinedSample], path: Path) -> Sequence[OutlinedSample]:
    """Refuse a file whose images are one file."""
    seen: set[Path] = set()
    for sample in samples:
        if sample.image in seen:
            raise InputError(
                f"{escape(path)}: two of its images are {escape(sample.image)}; keep their folders "
                "apart, as the file names them"
            )
        seen.add(sample.image)
    return samples


def _shape(annotation: CocoAnnotation, image: CocoImage, path: Path) -> Shape:
    """Return the polygons of an annotation as they are, or its run lengths as numbers."""
    where = f"{escape(path)}: annotation {annotation.id} of {image.file_name}"
    shape, size_hw = annotation.segmentation, (image.height, image.width)
    if isinstance(shape, dict):
        return _runs(shape, size_hw, where)
    if not shape:
        raise InputError(f"{where}: no outline, perhaps a box; draw one, or leave it out")
    for polygon in shape:
        check_polygon(polygon, size_hw, where)
    return shape


def _runs(shape: dict[str, Any], size_hw: tuple[int, int], where: str) -> RunLengths:
    """Return run lengths as numbers that fill the image; `where` names them in errors."""
    try:
        lengths = msgspec.convert(shape, Lengths)
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
    runs = _unpack(counts, where) if isinstance(counts, str) else counts
    if sum(runs) != size_hw[0] * size_hw[1]:
        raise InputError(
            f"{where}: run lengths do not fill its image: expected {size_hw[0] * size_hw[1]} "
            f"pixels, found {sum(runs)}; export it again"
        )
    return RunLengths(runs)


def _unpack(text: str, where: str) -> list[int]:
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
