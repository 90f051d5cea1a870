"""How many bits the samples of a picture file use, and 8 of them for the networks."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from PIL.TiffImagePlugin import TiffImageFile

BITS = (8, 10, 12, 14, 16)  # that a camera puts into 16
SAMPLE_BITS, LARGEST_SAMPLE = 258, 281  # tags of TIFF

logger = logging.getLogger(__name__)


def sample_bits(image: Image.Image, data: bytes) -> int:
    """Return how many bits a sample of an opened file takes; 8 for lossy formats."""
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        tags = cast("TiffImageFile", image).tag_v2
        return int(max(tags.get(SAMPLE_BITS, (8,))))
    return 16 if image.mode.startswith("I") else 8


def fewest_bits(largest: int) -> int:
    """Return the fewest of `BITS` that hold a value, up to 65535."""
    return next(bits for bits in BITS if largest < 1 << bits)


def eight_bits(
    values: npt.NDArray[np.uint16], image: Image.Image, data: bytes, where: str
) -> npt.NDArray[np.uint8]:
    """Return 16-bit values as 8 bits, by the bits that they use.

    Those are what the file says (PNG's sBIT, TIFF's MaxSampleValue), else the fewest that hold the
    largest value, and a warning says so, once a folder; `where` is the file.
    """
    bits = _declared_bits(image, data)
    if bits not in BITS:
        bits = fewest_bits(int(values.max()))
        if bits < BITS[-1]:
            _say_bits(str(Path(where).parent), bits)
    return np.asarray((values >> (bits - 8)).clip(0, 255), np.uint8)


def _declared_bits(image: Image.Image, data: bytes) -> int:
    """Return how many bits the file says that its values use; 0 where it does not say."""
    if image.format == "PNG":
        at = data.find(b"sBIT", 0, 1024)
        return data[at + 4] if at > 0 else 0
    largest = getattr(image, "tag_v2", {}).get(LARGEST_SAMPLE, (0,))
    return int(max(largest) if isinstance(largest, tuple) else largest).bit_length()


@cache
def _say_bits(folder: str, bits: int) -> None:
    logger.warning(
        "%s: 16-bit pictures whose values end below %d are taken for %d bits and scaled so",
        folder,
        1 << bits,
        bits,
    )
