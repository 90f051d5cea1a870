"""What a mask file says: where crack is, and where nobody knows.

0 and 255      crack is white; soft edges and JPEG are cut at the middle
0 and 1        label numbers: 1 is crack
0, 1 and 255   the same, and 255 is ignored: it neither trains nor counts. One such mask in a folder
               says it of all: beside it, a mask of 0 and 255 has no crack.
alpha          where the visible pixels are of one colour, crack is what is opaque
palette        grey palettes are colours, all others label numbers

16 bits are read alike, with 65535 (or the largest value of 10, 12 or 14 bits) for 255. All else is
refused in one line: several labels, colours, photographs, probabilities.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import ImageOps

from scnet_edge.data.picture_files import find_pictures
from scnet_edge.data.pictures import PictureFile, read_picture
from scnet_edge.data.sample_bits import fewest_bits
from scnet_edge.errors import InputError, escape
from scnet_edge.types import Mask

Values: TypeAlias = npt.NDArray[np.uint8 | np.uint16]  # (h, w)

MOST_LABELS = 32  # smaller numbers may be labels, larger ones are shades
JPEG_NOISE = 24  # of the channels of a grey JPEG, and around the black of one
LOSSY = {"JPEG", "MPO"}
TRUE_LABEL = 1

logger = logging.getLogger(__name__)
MOST_CRACK = 0.5  # of all pixels; data sets of cracks have a few hundredths


class Truth(NamedTuple):
    """What is known of an image.

    Attributes:
        crack: (h, w) bool, True on cracks.
        ignored: (h, w) bool, True where nobody knows; None: all is known. Never both.
    """

    crack: Mask
    ignored: Mask | None = None


def read_mask(path: Path, *, exact: bool = False) -> Truth:
    """Return what a mask file says, as the top of this file lists it.

    Args:
        path: The mask.
        exact: For a measurement: of this mask alone, and without soft edges, which would be taken
            for width.

    Raises:
        InputError: unreadable, or no mask.
    """
    picture = read_picture(path)
    values = _grey(picture)
    where, lossy = picture.where, picture.image.format in LOSSY
    full = _full_scale(values)
    present = _present(values)
    if not lossy and present <= {0, TRUE_LABEL, full}:
        labels = TRUE_LABEL in present
        if full in present and not labels and not exact:
            labels = _means_labels(path.parent, where)
        ignored = values == full if labels and full in present else None
        if ignored is not None:
            _say_labels(path.parent)
        return Truth(values == TRUE_LABEL if labels else values > 0, ignored)
    if exact:
        some = ", ".join(map(str, sorted(present)[:5]))
        raise InputError(
            f"{where}: {len(present)} values ({some}, ...), expected 0 and 255 or 0 and 1; "
            "threshold it and save it without loss, as PNG"
        )
    _refuse_labels(present, full, where, lossy=lossy)
    return Truth(_light(values, full, where))


def _grey(picture: PictureFile) -> Values:
    """Return the values of a mask, (h, w), upright: label numbers, or shades."""
    image, where = picture.image, picture.where
    if image.mode == "P" and "transparency" not in image.info and not _has_grey_palette(picture):
        return picture.values()
    if image.mode in ("P", "PA", "CMYK", "YCbCr"):
        clear = "transparency" in image.info or image.mode == "PA"
        upright = ImageOps.exif_transpose(image).convert("RGBA" if clear else "RGB")
        values: npt.NDArray[Any] = np.asarray(upright)
    else:
        values = picture.values()
    if values.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{where}: expected a mask of 8 or 16 bits, found {values.dtype}")
    if values.ndim == 3 and values.shape[2] in (2, 4):
        values = _without_alpha(values, where)
    return values if values.ndim == 2 else _without_colour(values, where)


def _has_grey_palette(picture: PictureFile) -> bool:
    palette = np.reshape(picture.image.getpalette() or [], (-1, 3))
    used = [i for i in _present(picture.values()) if i < len(palette)]
    return bool((np.ptp(palette[used], axis=1) == 0).all()) if used else True


def _without_alpha(values: npt.NDArray[Any], where: str) -> npt.NDArray[Any]:
    """Return (h, w) or (h, w, 3): the colours of an opaque mask, else what is opaque, 0 and 255."""
    alpha, colours = values[..., -1], values[..., :-1]
    top = np.iinfo(values.dtype).max
    if (alpha == top).all():
        return colours[..., 0] if colours.shape[2] == 1 else colours
    seen = colours[alpha > 0]
    if len(seen) and (seen != seen[0]).any():
        raise InputError(f"{where}: colours and alpha both vary; save the mask without alpha")
    opaque: npt.NDArray[Any] = np.where(2 * alpha.astype(np.int64) > alpha.max(), 255, 0)
    return opaque.astype(np.uint8)


def _without_colour(values: npt.NDArray[Any], where: str) -> npt.NDArray[Any]:
    """Return (h, w): the grey of a mask in colours, or where it is of its one colour on black."""
    spread = values.max(axis=2).astype(np.int64) - values.min(axis=2)
    if spread.max() <= (JPEG_NOISE if values.dtype == np.uint8 else 0):
        return values[..., 1]
    lit = values.any(axis=2)
    if (values[lit] != values[lit][0]).any():
        raise InputError(
            f"{where}: a colour image, expected a mask of 0 and 255 or of 0 and 1; write 255 where "
            "crack is"
        )
    return np.where(lit, 255, 0).astype(np.uint8)


def _present(values: Values) -> set[int]:
    return set(np.flatnonzero(np.bincount(values.ravel())).tolist())


def _full_scale(values: Values) -> int:
    """Return the white of a mask: the largest value of the fewest bits that hold its values."""
    return (1 << fewest_bits(int(values.max()))) - 1


def _refuse_labels(present: set[int], full: int, where: str, *, lossy: bool) -> None:
    """Refuse numbers that a threshold at the middle would misread."""
    top = max(present)
    if top <= full // 2 and not (lossy and top < JPEG_NOISE):
        raise InputError(
            f"{where}: expected 0 and 255, found nothing above {top}, which would be no crack at "
            "all; write 255 where crack is"
        )
    labels = sorted(value for value in present if 0 < value < MOST_LABELS)
    if labels and not lossy and present <= {0, full, *labels}:
        listed = ", ".join(map(str, [0, *labels, *({full} & present)]))
        raise InputError(
            f"{where}: the label numbers {listed}; expected 1 for crack and {full} for what is "
            "ignored, or 255 for crack; write one of these"
        )


def _light(values: Values, full: int, where: str) -> Mask:
    """Return what is lighter than the middle; refuse what is mostly grey."""
    eight = values if full == 255 else values.astype(np.int64) * 255 // full
    grey, light = int(((eight > 32) & (eight < 224)).sum()), int((eight >= 224).sum())
    if grey > max(light, eight.size // 100):
        raise InputError(
            f"{where}: expected a mask of 0 and 255, found mostly grey; it looks like a photo or a "
            "probability"
        )
    return np.asarray(eight > 127)


def _means_labels(folder: Path, where: str) -> bool:
    """Return whether the masks of a folder are label numbers, so that its largest is ignored.

    Raises:
        InputError: they do not agree.
    """
    kinds = _kinds(folder)
    if "1" in kinds and "1 and 255" not in kinds:
        raise InputError(
            f"{where}: 0 and 255, but others beside it are 0 and 1, so 255 may be crack or what is "
            "ignored; write one of the two in all of them"
        )
    return "1 and 255" in kinds


@cache
def _kinds(folder: Path) -> frozenset[str]:
    """Return what numbers the masks of a folder hold beside 0."""
    kinds = set()
    for path in find_pictures(folder, below=False).pictures:
        try:
            picture = read_picture(path)
            values = _grey(picture)
        except InputError:  # named when it is read itself
            continue
        present, full = _present(values), _full_scale(values)
        if picture.image.format not in LOSSY and present <= {0, TRUE_LABEL, full}:
            both = full in present and full != TRUE_LABEL
            kinds.add(("1 and 255" if both else "1") if TRUE_LABEL in present else "255")
    return frozenset(kinds)


@cache
def _say_labels(folder: Path) -> None:
    logger.warning("%s: label numbers: 1 is crack, the largest is ignored", escape(folder))


def check_classes(crack: int, pixels: int, images: int) -> None:
    """Refuse masks of one class, and those that are inverted.

    Args:
        crack: Crack pixels of all masks.
        pixels: All pixels of them that are known.
        images: How many masks there are.

    Raises:
        InputError: no pixel is crack, or more than half of them.
    """
    if not crack:
        raise InputError(
            f"expected cracks in the masks of {images} images, found none; crack is white, "
            "and images without any are negative:DIR"
        )
    if crack == pixels:
        raise InputError(
            f"expected background in the masks of {images} images, found crack in every pixel; "
            "crack is white, so invert them if they are inverted"
        )
    if crack > MOST_CRACK * pixels:
        raise InputError(
            f"{100 * crack / pixels:.0f} % of the pixels of {images} images are crack, so their "
            "masks are inverted; crack is white: invert them"
        )
