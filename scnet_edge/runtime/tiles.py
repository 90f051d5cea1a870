"""A picture larger than the model as overlapping tiles, their maps blended so that no seam shows.

Where two tiles overlap, the share of one falls to 0 as that of the other rises to 1, so a tile
counts for nothing at its border, where the network saw no further. At the border of the picture a
tile counts in full. A picture smaller than the model is mirrored at its right and lower border.

A side that is a whole multiple of the tile's is cut without overlap, and further tiles lie across
the cuts, of which only the pixels along the cut count: so a mosaic of pictures of the model's size
is seen picture by picture. (Measured: 4x4 of DeepCrack's lose .003 of F1 this way; evenly
overlapping tiles, each of which sees parts of several pictures, lose .016.)

Only as many rows of the picture's maps are held as one tile is high.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.types import Frame

Maps: TypeAlias = npt.NDArray[np.float32]  # (k, h, w), k maps of one place
Place: TypeAlias = tuple[int, int]  # row and column in the grid
Share: TypeAlias = npt.NDArray[np.float32]  # (tile,), what a tile counts along one axis

OVERLAP_PX = 24  # at least; from 16 on, a seam is no steeper than what lies beside it
BLIND_PX = 4  # at a tile's inner border, where the padding of the convolutions shows
CUT_PX = 12  # to either side of a cut, how far the tile across it counts
LEAST_SHARE = 1e-3  # at its border, so that a tile without neighbours is seen there, too


@dataclass(frozen=True, slots=True)
class Axis:
    """Tiles along one axis.

    Attributes:
        starts_px: Where each starts.
        shares: What each of its pixels counts beside other tiles; at a pixel that sums up to 1.
        parts: Of each, where it counts at all: before it counts in full, there, and behind.
        length_px: Of the axis.
    """

    starts_px: tuple[int, ...]
    shares: tuple[Share, ...]
    parts: tuple[tuple[slice, ...], ...]
    length_px: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the tiles of a picture lie: every row of tiles on every column."""

    rows: Axis
    columns: Axis
    tile_hw: tuple[int, int]

    @property
    def places(self) -> list[Place]:
        """Every tile, row by row."""
        return list(np.ndindex(len(self.rows.starts_px), len(self.columns.starts_px)))

    def crop(self, frame: Frame, place: Place) -> Frame:
        """Return a tile of a picture that is at least as large as one, (H, W, 3), as a view."""
        top, left = self.corner(place)
        return frame[top : top + self.tile_hw[0], left : left + self.tile_hw[1]]

    def corner(self, place: Place) -> tuple[int, int]:
        """Return the first row and column of a tile."""
        return self.rows.starts_px[place[0]], self.columns.starts_px[place[1]]


def grid_of(frame_hw: tuple[int, int], tile_hw: tuple[int, int]) -> Grid:
    """Return the tiles that cover a picture, padded where it is smaller than one."""
    rows, columns = (_axis(max(f, t), t) for f, t in zip(frame_hw, tile_hw, strict=True))
    return Grid(rows=rows, columns=columns, tile_hw=tile_hw)


def overlap_of(tile_px: int) -> int:
    """Return by how many pixels two tiles overlap at least, along an axis."""
    return min(OVERLAP_PX, tile_px // 2)


def pad(frame: Frame, least_hw: tuple[int, int]) -> Frame:
    """Return a picture mirrored at its right and lower border until it is at least `least_hw`."""
    down, right = (max(0, t - f) for t, f in zip(least_hw, frame.shape, strict=False))
    if not down and not right:
        return frame
    mirrored = cv2.copyMakeBorder(frame, 0, down, 0, right, cv2.BORDER_REFLECT_101)
    return np.asarray(mirrored, np.uint8)


def join_grid(grid: Grid, maps: Iterable[tuple[Place, Maps]]) -> Maps:
    """Return the maps (k, h, w) of a picture in one piece; arguments as `blend`, one tile at least.

    The picture is the sum of its tiles, made in its place: `blend` would copy every strip twice.
    """
    whole = np.zeros(0, np.float32)
    for place, values in maps:
        if not whole.size:
            size_hw = (grid.rows.length_px, grid.columns.length_px)
            whole = np.zeros((len(values), *size_hw), np.float32)
        _add(grid, place, values, whole, 0)
    return whole


def blend(grid: Grid, maps: Iterable[tuple[Place, Maps]]) -> Iterator[tuple[int, Maps]]:
    """Yield the first row and the maps (k, h, w) of each strip, from top to bottom.

    Args:
        grid: Where the tiles lie.
        maps: (k, H, W) float32 in [0, 1] of the tiles that were looked at, row by row. One that
            was left out counts as 0, where its neighbours overlap it, too.
    """
    total = np.zeros(0, np.float32)
    row = 0
    for (i, j), values in maps:
        if not total.size:
            total = np.zeros((len(values), grid.tile_hw[0], grid.columns.length_px), np.float32)
        while row < i:
            yield _finish(grid, row, total)
            row += 1
        _add(grid, (i, j), values, total, grid.rows.starts_px[i])
    while total.size and row < len(grid.rows.starts_px):
        yield _finish(grid, row, total)
        row += 1


def _add(grid: Grid, place: Place, values: Maps, total: Maps, above_px: int) -> None:
    """Add a tile to the maps of rows `above_px` and on, in place.

    Most of a tile lies in no other: it counts in full there, and is copied.
    """
    (i, j), (top, left) = place, grid.corner(place)
    down, across = grid.rows.shares[i], grid.columns.shares[j]
    for rows in grid.rows.parts[i]:
        for columns in grid.columns.parts[j]:
            here = total[
                :,
                top - above_px + rows.start : top - above_px + rows.stop,
                left + columns.start : left + columns.stop,
            ]
            part = values[:, rows, columns]
            if down[rows.start] == 1 == across[columns.start]:
                here[...] = part
            else:
                here += part * (down[rows, None] * across[columns])
                np.minimum(here, 1, out=here)  # shares that sum up to 1 are rounded


def _finish(grid: Grid, row: int, total: Maps) -> tuple[int, Maps]:
    """Return the strip down to the next row of tiles, and move what is under way up to it."""
    top, *below = (*grid.rows.starts_px[row:], grid.rows.length_px)
    done = below[0] - top
    strip = total[:, :done].copy()
    kept = total.shape[1] - done
    total[:, :kept] = total[:, done:].copy()
    total[:, kept:] = 0
    return top, strip


def _axis(length_px: int, tile_px: int) -> Axis:
    if length_px > tile_px and length_px % tile_px == 0:
        return _cut(length_px, tile_px)
    step_px = tile_px - overlap_of(tile_px)
    count = 1 + -(-(length_px - tile_px) // step_px)
    starts = [round(k * (length_px - tile_px) / max(1, count - 1)) for k in range(count)]
    shares = [np.ones(tile_px, np.float32) for _ in starts]
    for k, (one, two) in enumerate(pairwise(starts)):
        overlap = one + tile_px - two
        rise = ramp(np.arange(overlap) + 0.5, BLIND_PX, overlap - BLIND_PX)
        shares[k][tile_px - overlap :] *= 1 - rise
        shares[k + 1][:overlap] *= rise
    total = np.zeros(length_px, np.float32)  # not 1 where three tiles overlap
    for start, share in zip(starts, shares, strict=True):
        total[start : start + tile_px] += share
    for start, share in zip(starts, shares, strict=True):
        share /= total[start : start + tile_px]
    return Axis(tuple(starts), tuple(shares), tuple(map(_parts, shares)), length_px)


def _cut(length_px: int, tile_px: int) -> Axis:
    """Return tiles side by side, and between each two of them one across the cut."""
    starts = [0, *(at for cut in range(tile_px, length_px, tile_px) for at in (cut, cut))]
    starts[1::2] = [cut - tile_px // 2 for cut in starts[1::2]]
    shares = []
    for k, start in enumerate(starts):
        at = start + np.arange(tile_px) + 0.5
        to_cut = np.abs(at - tile_px * np.clip(np.rint(at / tile_px), 1, length_px // tile_px - 1))
        beside = np.where(to_cut < CUT_PX, ramp(to_cut, CUT_PX / 2, CUT_PX), np.float32(1))
        shares.append(1 - beside if k % 2 else beside)
    return Axis(tuple(starts), tuple(shares), tuple(map(_parts, shares)), length_px)


def _parts(share: Share) -> tuple[slice, ...]:
    counts, full = np.flatnonzero(share), np.flatnonzero(share == 1)
    begin, end = int(counts[0]), int(counts[-1]) + 1
    inner = (int(full[0]), int(full[-1]) + 1) if full.size else (begin, begin)
    bounds = (begin, *inner, end)
    return tuple(slice(one, two) for one, two in pairwise(bounds) if one < two)


def ramp(at: npt.NDArray[np.floating], low: float, high: float) -> Share:
    """Return what rises from nearly 0 at `low` to nearly 1 at `high`."""
    rise = np.clip((at - low) / (high - low), LEAST_SHARE, 1 - LEAST_SHARE)
    return np.asarray(rise, np.float32)
