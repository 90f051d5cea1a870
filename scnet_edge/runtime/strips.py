"""A picture too large to hold, looked at in tiles, strip by strip from its top to its bottom.

The maps are those of `scale.look` at native scale: the same tiles, blended in the same way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from scnet_edge.runtime.scale import Run
from scnet_edge.runtime.tiles import Axis, Place, blend, grid_of, pad
from scnet_edge.types import Frame, Map, Mask

# (first row, first row behind) -> (h, w, 3) uint8 BGR, and (h, w) bool, True where not to look
Rows: TypeAlias = Callable[[int, int], tuple[Frame, Mask | None]]


def strip_tops(frame_hw: tuple[int, int], tile_hw: tuple[int, int]) -> list[int]:
    """Return the first row of each strip; one ends where the next begins."""
    return list(grid_of(frame_hw, tile_hw).rows.starts_px)


def look_in_strips(
    frame_hw: tuple[int, int],
    rows: Rows,
    run: Run,
    tile_hw: tuple[int, int],
    *,
    begin: int = 0,
) -> Iterator[Map]:
    """Yield the probability of each strip, (h, w) float32, from number `begin` on.

    Args:
        frame_hw: The size of the whole picture.
        rows: Gives its rows; called from top to bottom, neighbours overlap by a few rows.
        run: Computes the maps of tiles.
        tile_hw: The size of these. Tiles that are ignored throughout are left out and count as 0.
        begin: The first strip that is wanted; those before it are not computed.
    """
    grid = grid_of(frame_hw, tile_hw)
    tops = grid.rows.starts_px
    places: deque[Place] = deque()

    def tiles() -> Iterator[Frame]:
        for i in range(_first_row_of(begin, grid.rows, tile_hw[0]), len(tops)):
            frame, ignored = rows(tops[i], min(tops[i] + tile_hw[0], frame_hw[0]))
            frame = pad(frame, tile_hw)
            for j, left in enumerate(grid.columns.starts_px):
                here = slice(left, left + tile_hw[1])
                if ignored is None or not ignored[:, here].all():
                    places.append((i, j))
                    yield frame[:, here]

    following = begin
    maps = ((places.popleft(), values[:1]) for values in run(tiles()))
    for top, strip in blend(grid, maps):
        if top >= tops[begin]:
            height_px = min(top + strip.shape[1], frame_hw[0]) - top
            yield strip[0, :height_px, : frame_hw[1]]
            following += 1
    for number in range(following, len(tops)):  # nothing of them was looked at
        bottom = tops[number + 1] if number + 1 < len(tops) else frame_hw[0]
        yield np.zeros((bottom - tops[number], frame_hw[1]), np.float32)


def _first_row_of(strip: int, rows: Axis, tile_px: int) -> int:
    """Return the first row of tiles that reaches into a strip."""
    top = rows.starts_px[strip]
    return next(i for i, start in enumerate(rows.starts_px) if start + tile_px > top)
