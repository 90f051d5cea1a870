"""Masks painted with a brush in Label Studio: the run lengths that its JSON holds.

The values of a picture's red, green, blue and alpha follow each other, packed by `rle-pack`: 32
bits of how many values, 5 of how wide one is, four widths of 4 bits each; then runs of one value
and rows of single ones, whose length has one of the four widths. What is painted is opaque.
"""

from __future__ import annotations

import numpy as np

from scnet_edge.errors import InputError
from scnet_edge.types import Mask

OPAQUE = 128


def unpack_brush(data: bytes, size_hw: tuple[int, int], where: str) -> Mask:
    """Return what is painted, (h, w) bool.

    Args:
        data: the run lengths.
        size_hw: of the picture.
        where: what an error is about.

    Raises:
        InputError: they end too soon, or are of a picture of another size.
    """
    bits = "".join(f"{byte:08b}" for byte in data)
    at, count = 0, 4 * size_hw[0] * size_hw[1]

    def read(width: int) -> int:
        nonlocal at
        at += width
        if at > len(bits):
            raise InputError(f"{where}: brush strokes that end too soon; export again")
        return int(bits[at - width : at], 2)

    found, width = read(32), read(5) + 1
    widths = [read(4) + 1 for _ in range(4)]
    if found != count:
        raise InputError(f"{where}: brush strokes of {found} values, expected {count}")
    values, begin = np.zeros(count, np.uint32), 0
    while begin < count:
        same = read(1)
        end = begin + 1 + read(widths[read(2)])
        if end > count:
            raise InputError(f"{where}: brush strokes beyond the picture; export again")
        values[begin:end] = read(width) if same else [read(width) for _ in range(begin, end)]
        begin = end
    return np.asarray(values[3::4].reshape(size_hw) >= OPAQUE)
