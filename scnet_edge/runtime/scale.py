"""How a frame is brought to the model: whole and made to fit, or at its own scale in tiles.

`native` looks at every tile, `fit` at the whole frame once, its aspect ratio kept. `auto` looks at
the frame made smaller first, and then closely where that shows something, see `first_look`. What
each costs and loses is measured in docs/results/large-pictures.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from scnet_edge.data.frames import resize
from scnet_edge.errors import ConfigError
from scnet_edge.runtime.first_look import (
    WAKE_SHARE,
    Corner,
    cover,
    find_hints,
    join,
    make_smaller,
    smaller_hw,
)
from scnet_edge.runtime.tiles import Axis, Grid, Maps, Place, blend, grid_of, join_grid, pad
from scnet_edge.types import Frame, Map, Mask

ModelScale: TypeAlias = Literal["native", "fit", "auto"]
SCALES: tuple[ModelScale, ...] = ("native", "fit", "auto")
# (H, W, 3) uint8 tiles of the model's size -> their maps (k, H, W), in the same order
Run: TypeAlias = Callable[[Iterable[Frame]], Iterator[Maps]]
# (first row, first row behind) -> (h, w, 3) uint8 BGR, and (h, w) bool, True where not to look
Rows: TypeAlias = Callable[[int, int], tuple[Frame, Mask | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The maps of a frame, (h, w) each, at what scale it was looked at and in how many tiles."""

    maps: Sequence[Map]
    scale: ModelScale
    tiles: int


def check_scale(scale: str) -> ModelScale:
    """Return a scale by its name."""
    for known in SCALES:
        if scale == known:
            return known
    raise ConfigError(f"scale {scale!r}: expected one of {', '.join(SCALES)}")


def look(
    frame: Frame,
    run: Run,
    tile_hw: tuple[int, int],
    scale: ModelScale,
    *,
    threshold: float,
    ignored: Mask | None = None,
) -> Looked:
    """Return the maps of a frame; the first is the probability.

    Args:
        frame: (h, w, 3) uint8 BGR.
        run: Computes the maps of tiles.
        tile_hw: The size of these.
        scale: How to look. Tiles that `auto` leaves out have maps of 0.
        threshold: Crack where the probability is at least this.
        ignored: (h, w) bool, True where not to look, which is not everywhere; tiles that lie there
            are left out.
    """
    frame_hw = (frame.shape[0], frame.shape[1])
    if scale == "fit":
        return Looked(maps=_fit(frame, run, tile_hw), scale=scale, tiles=1)
    grid = grid_of(frame_hw, tile_hw)
    places = [p for p in grid.places if ignored is None or not _is_ignored(ignored, grid, p)]
    first = 0
    if scale == "auto":
        small_hw = smaller_hw(frame_hw, tile_hw)
        coarse = grid_of(small_hw, tile_hw)
        if 2 * len(coarse.places) < len(places):  # else the first look costs what it saves
            first = len(coarse.places)
            small = pad(make_smaller(frame, small_hw), tile_hw)
            seen = _join(coarse, coarse.places, small, run)[:, : small_hw[0], : small_hw[1]]
            hints = find_hints(seen[0] >= WAKE_SHARE * threshold, ignored)
            corners = cover(hints, frame_hw, tile_hw)
            if len(corners) < len(places):
                maps = _look_closely(frame, run, tile_hw, corners, len(seen))
                return Looked(maps=list(maps), scale=scale, tiles=first + len(corners))
    maps = _join(grid, places, pad(frame, tile_hw), run)[:, : frame_hw[0], : frame_hw[1]]
    return Looked(maps=list(maps), scale=scale, tiles=first + len(places))


def _look_closely(
    frame: Frame, run: Run, tile_hw: tuple[int, int], corners: Sequence[Corner], maps: int
) -> Maps:
    """Return the maps of a frame, (maps, h, w), from tiles of it; 0 where none lies."""
    (height, width), whole = frame.shape[:2], pad(frame, tile_hw)
    if not corners:
        return np.zeros((maps, height, width), np.float32)
    tiles = (whole[top : top + tile_hw[0], left : left + tile_hw[1]] for top, left in corners)
    return join(whole.shape[:2], tile_hw, corners, run(tiles))[:, :height, :width]


def _is_ignored(ignored: Mask, grid: Grid, place: Place) -> bool:
    top, left = grid.corner(place)
    return bool(ignored[top : top + grid.tile_hw[0], left : left + grid.tile_hw[1]].all())


def _fit(frame: Frame, run: Run, tile_hw: tuple[int, int]) -> list[Map]:
    """Return the maps of a whole frame scaled to the model; what it leaves free is mirrored."""
    frame_hw = (frame.shape[0], frame.shape[1])
    height_px, width_px = _fit_hw(frame_hw, tile_hw)
    (maps,) = run(tiles_of(frame, tile_hw, "fit"))
    return [resize(m[:height_px, :width_px], frame_hw) for m in maps]


def tiles_of(
    frame: Frame, tile_hw: tuple[int, int], scale: Literal["native", "fit"]
) -> Iterator[Frame]:
    """Yield what the model sees of a frame, (H, W, 3) uint8 BGR each."""
    if scale == "fit":
        yield pad(resize(frame, _fit_hw((frame.shape[0], frame.shape[1]), tile_hw)), tile_hw)
        return
    grid, whole = grid_of((frame.shape[0], frame.shape[1]), tile_hw), pad(frame, tile_hw)
    for place in grid.places:
        yield grid.crop(whole, place)


def _fit_hw(frame_hw: tuple[int, int], tile_hw: tuple[int, int]) -> tuple[int, int]:
    factor = min(t / f for t, f in zip(tile_hw, frame_hw, strict=True))
    height_px, width_px = (max(1, round(f * factor)) for f in frame_hw)
    return height_px, width_px


def _join(grid: Grid, places: Sequence[Place], frame: Frame, run: Run) -> Maps:
    """Return the maps of a frame from those of some of its tiles; 0 where none was looked at."""
    frame_hw = (grid.rows.length_px, grid.columns.length_px)
    tiles = (grid.crop(frame, place) for place in places)
    if frame_hw == grid.tile_hw:
        (maps,) = run(tiles)
        return maps
    return join_grid(grid, zip(places, run(tiles), strict=True))


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

    The maps are those of `look` at native scale: the same tiles, blended in the same way.

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
