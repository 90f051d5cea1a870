"""The first look of `auto`: a frame made smaller, and few tiles that hold all that it shows.

A crack is darker than the wall, so a pixel of the smaller frame is the darkest of its surroundings:
an average would pale a thin crack. Measured on 1080p and 4K frames of concrete with cracks put in:
of those that one look or the other shows faintly, the darkest pixels show the faintest with 0.6 of
the threshold, the average with 0.2. A pixel counts from a tenth of the threshold on. The tiles lie
where the frame needs them, not on a grid, so a crack that one tile can hold takes one. Where they
overlap they are blended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.data.frames import resize
from scnet_edge.runtime.tiles import BLIND_PX, Maps, Share, grid_of, overlap_of, ramp
from scnet_edge.types import Frame, Mask

Corner: TypeAlias = tuple[int, int]  # first row and column of a tile
Points: TypeAlias = npt.NDArray[np.intp]  # (n, 2) rows and columns

SHRINK = 3.65  # at most so many times smaller
WAKE_SHARE = 0.1  # of the threshold, from which on a pixel counts
MARGIN_PX = 16  # of the frame, around a pixel that counts, which its tile holds, too


def smaller_hw(frame_hw: tuple[int, int], tile_hw: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the first look: what the tiles hold that `SHRINK` times smaller needs."""
    grid = grid_of((ceil(frame_hw[0] / SHRINK), ceil(frame_hw[1] / SHRINK)), tile_hw)
    factor = max(
        f / (t + (len(axis.starts_px) - 1) * (t - overlap_of(t)))
        for f, t, axis in zip(frame_hw, tile_hw, (grid.rows, grid.columns), strict=True)
    )
    height_px, width_px = (max(1, int(f / factor)) for f in frame_hw)
    return height_px, width_px


def make_smaller(frame: Frame, size_hw: tuple[int, int]) -> Frame:
    """Return a frame at a smaller size, each pixel the darkest of 2x2 of it, or of its half."""
    half_hw = frame.shape[0] // 2, frame.shape[1] // 2
    if min(np.subtract(half_hw, size_hw)) >= 0:
        frame = resize(frame, half_hw)  # without noise; a pixel is now that of 2x2
    darkest = cv2.erode(frame, np.ones((2, 2), np.uint8))
    return np.asarray(cv2.resize(darkest, size_hw[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)


def find_hints(small: Mask, ignored: Mask | None) -> Mask:
    """Return where a smaller look shows something, leaving out what is ignored of the frame."""
    if ignored is None:
        return small
    size_wh = small.shape[::-1]
    left_out = cv2.resize(ignored.view(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST)
    return np.asarray(small & (left_out == 0))


def cover(hints: Mask, frame_hw: tuple[int, int], tile_hw: tuple[int, int]) -> list[Corner]:
    """Return few tiles of a frame that hold every pixel of a smaller look, and what is around it.

    Args:
        hints: (h, w) bool, the smaller look.
        frame_hw: The size of the frame.
        tile_hw: The size of the tiles.
    """
    pixels = np.argwhere(hints)  # (n, 2)
    if not len(pixels):
        return []
    factor = np.divide(frame_hw, hints.shape)
    margin_px = np.minimum(MARGIN_PX, np.floor_divide(tile_hw, 4))
    low = np.floor(pixels * factor).astype(np.intp) - margin_px
    high = np.ceil((pixels + 1) * factor).astype(np.intp) + margin_px
    low, high = np.maximum(low, 0), np.minimum(high, frame_hw)
    corners = min((_shelves(low, high, tile_hw, axis) for axis in (0, 1)), key=len)
    last = np.maximum(0, np.subtract(frame_hw, tile_hw))
    return [(int(top), int(left)) for top, left in np.clip(corners, 0, last)]


def _shelves(low: Points, high: Points, tile_hw: tuple[int, int], axis: int) -> list[Points]:
    """Return corners of tiles that hold every box, on shelves along an axis, each in the middle.

    A shelf begins at the first box that no shelf holds, a tile at the first box of the shelf that
    no tile holds.
    """
    corners, left = [], np.arange(len(low))
    while left.size:
        fits = high[left, axis] <= low[left, axis].min() + tile_hw[axis]
        shelf, left = left[fits], left[~fits]
        while shelf.size:
            across = 1 - axis
            fits = high[shelf, across] <= low[shelf, across].min() + tile_hw[across]
            held, shelf = shelf[fits], shelf[~fits]
            corners.append((low[held].min(0) + high[held].max(0) - tile_hw) // 2)
    return corners


def join(
    frame_hw: tuple[int, int],
    tile_hw: tuple[int, int],
    corners: Sequence[Corner],
    maps: Iterable[Maps],
) -> Maps:
    """Return the maps (k, h, w) of a frame from those of tiles anywhere in it; 0 where none is.

    Args:
        frame_hw: The size of the frame, at least that of a tile.
        tile_hw: The size of the tiles.
        corners: Where they lie, one at least.
        maps: Theirs, (k, H, W) float32 each, in the same order.
    """
    places = [
        (slice(top, top + tile_hw[0]), slice(left, left + tile_hw[1])) for top, left in corners
    ]
    total, weight = np.zeros(0, np.float32), np.zeros(frame_hw, np.float32)
    for (top, left), (rows, columns), values in zip(corners, places, maps, strict=True):
        if not total.size:
            total = np.zeros((len(values), *frame_hw), np.float32)
        down = _share(top, tile_hw[0], frame_hw[0])
        share = down[:, None] * _share(left, tile_hw[1], frame_hw[1])  # (H, W)
        total[:, rows, columns] += values * share
        weight[rows, columns] += share
    for rows, columns in places:
        total[:, rows, columns] /= weight[rows, columns]
        weight[rows, columns] = 1  # so that a pixel of two tiles is divided once
    return total


def _share(start_px: int, tile_px: int, frame_px: int) -> Share:
    """Return what each pixel of a tile counts along an axis: little at a border in the frame."""
    share = np.ones(tile_px, np.float32)
    overlap_px = overlap_of(tile_px)
    rise = ramp(np.arange(overlap_px) + 0.5, BLIND_PX, overlap_px - BLIND_PX)
    if start_px > 0:
        share[:overlap_px] *= rise
    if start_px + tile_px < frame_px:
        share[-overlap_px:] *= rise[::-1]
    return share
