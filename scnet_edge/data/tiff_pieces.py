"""How far the pixels of a TIFF reach, by its own tables: what tells that a file was cut."""

from __future__ import annotations

import struct
from collections.abc import Sequence

MOST_TABLES, MOST_TAGS = 64, 2000
MOST_NUMBERS = 2**22  # of all tables together; what stands behind them is not looked at
SIZES = {3: 2, 4: 4, 13: 4}  # bytes of a number, by the kinds that hold offsets and lengths
PIECES = ((273, 279), (324, 325))  # where strips and tiles begin, and how long they are
MORE_TABLES = 330


def pieces_end(data: bytes) -> int:
    """Return how many bytes a TIFF, or DNG, must have for all of its strips and tiles."""
    order = "<" if data.startswith(b"II") else ">"
    tables, seen, end = list(_numbers(data, 4, 4, 1, order)), set[int](), 0
    left = MOST_NUMBERS
    while tables and len(seen) < MOST_TABLES:
        at = tables.pop()
        if at in seen or not 0 < at < len(data):
            continue
        seen.add(at)
        [count, *_] = [*_numbers(data, at, 3, 1, order), 0]
        values = dict[int, Sequence[int]]()
        for place in range(at + 2, at + 2 + 12 * min(count, MOST_TAGS), 12):
            tag, kind = [*_numbers(data, place, 3, 2, order), 0, 0][:2]
            [length, *_] = [*_numbers(data, place + 4, 4, 1, order), 0]
            if kind not in SIZES or tag not in (MORE_TABLES, *sum(PIECES, ())):
                continue
            if tag in values:  # a table names each tag once
                continue
            inside = SIZES[kind] * length <= 4
            [start, *_] = [place + 8] if inside else [*_numbers(data, place + 8, 4, 1, order), 0]
            end = max(end, start + SIZES[kind] * length)
            values[tag] = _numbers(data, start, kind, min(length, left), order)
            left -= len(values[tag])
        for starts, lengths in PIECES:
            pairs = zip(values.get(starts, ()), values.get(lengths, ()), strict=False)
            end = max([end, *(start + length for start, length in pairs)])
        tables += values.get(MORE_TABLES, ())
        tables += _numbers(data, at + 2 + 12 * count, 4, 1, order)
    return end


def _numbers(data: bytes, at: int, kind: int, count: int, order: str) -> Sequence[int]:
    """Return whole numbers at a place; fewer where the data end."""
    count = max(0, min(count, (len(data) - at) // SIZES[kind]))
    return struct.unpack_from(f"{order}{count}{'H' if kind == 3 else 'I'}", data, at)
