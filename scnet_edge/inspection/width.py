"""Widths along cracks, across their centre lines: from the mask, refined on the grey image.

All lines of a frame are worked on at once, one row a point: what costs is the number of calls.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.inspection.skeleton import Bytes, Points
from scnet_edge.inspection.spine import Values, grid_across, sample
from scnet_edge.types import Map, Mask

LARGEST_SIDE_PX = 32766  # cv2.remap takes no more
_MOST_SAMPLES = 4_000_000  # at once, so that a mask that is all crack fits in memory
_SMOOTH_ALONG_PX = 5  # neighbouring normals averaged before an edge is looked for
_LEAST_CONTRAST = 12.0  # grey levels between crack and wall; below, an edge is not believed


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What lies across one line.

    Attributes:
        points_xy: (n, 2), about one pixel apart.
        across: (n, 2) unit normals.
        mask_px, image_px: (n, 2), where along the normal the crack ends to either side, in the
            mask and in the grey image; NaN where it does not, or not within the frame.
    """

    points_xy: Points
    across: Points
    mask_px: Points
    image_px: Points


def profiles(
    lines: Sequence[Points], reach_px: Sequence[float], mask: Bytes, grey: Bytes | None
) -> list[Profile]:
    """Return the profile of each line, of two points or more.

    Args:
        lines: (n, 2) xy in the frame.
        reach_px: of each line, the largest radius of its crack.
        mask: (h, w) uint8, 255 in a crack and 0 elsewhere.
        grey: (h, w) uint8; None leaves the image's edges NaN.
    """
    found: list[Profile] = []
    for batch in _batches(lines, reach_px, sides=2 if grey is None else 6):
        found += _profiles(*batch, mask, grey)
    return found


def _batches(
    lines: Sequence[Points], reach_px: Sequence[float], *, sides: int
) -> Iterator[tuple[list[Points], int]]:
    """Yield lines, evenly spaced, and how far to look, as many together as fit in memory."""
    batch: list[Points] = []
    size, furthest = 0, 0
    for line, reach in zip(lines, reach_px, strict=True):
        steps = math.ceil(1.5 * reach + sides)
        most = min(LARGEST_SIDE_PX, _MOST_SAMPLES // (2 * steps + 1)) - 2 * _SMOOTH_ALONG_PX
        even = _evenly(line, most=max(2, most))
        rows, columns = size + len(even) + 2 * _SMOOTH_ALONG_PX, 2 * max(furthest, steps) + 1
        if batch and (rows > LARGEST_SIDE_PX or rows * columns > _MOST_SAMPLES):
            yield batch, furthest
            batch, size, furthest = [], 0, 0
        batch.append(even)
        size, furthest = size + len(even) + 2 * _SMOOTH_ALONG_PX, max(furthest, steps)
    if batch:
        yield batch, furthest


def _profiles(
    lines: list[Points], steps: int, mask: Bytes, grey: Bytes | None
) -> Iterator[Profile]:
    offsets = np.arange(-steps, steps + 1, dtype=np.float64)
    # Each line's ends are held for as long as the smoothing reaches, so none bleeds into the next.
    held = _SMOOTH_ALONG_PX // 2
    index = _repeat_ends(lines, held)
    rows, across = np.concatenate(lines)[index], _normals(lines)[index]
    grid = grid_across(rows, across, offsets)
    mask_px = _edges(_along(sample(mask, grid)) / np.float32(255), offsets)
    image_px = np.full_like(mask_px, np.nan)
    if grey is not None:
        wall = sample(grey, grid, border=cv2.BORDER_REPLICATE)
        image_px = _edges(_darkness(_along(wall), offsets, mask_px), offsets)
    for edges in (mask_px, image_px):
        edges[_leaves(edges, rows, across, mask.shape)] = np.nan
    end = 0
    for line in lines:
        start, end = end + held, end + held + len(line)
        here = slice(start, end)
        yield Profile(
            points_xy=rows[here],
            across=across[here],
            mask_px=mask_px[here],
            image_px=image_px[here],
        )
        end += held


def _evenly(line: Points, *, most: int) -> Points:
    """Return the line with points one pixel apart, or further where that were more than `most`."""
    steps = np.diff(line, axis=0)
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(steps[:, 0], steps[:, 1]))])
    count = min(max(2, round(arc[-1]) + 1), most)
    at = np.linspace(0, arc[-1], count)
    return np.stack([np.interp(at, arc, line[:, axis]) for axis in (0, 1)], axis=1)


def _repeat_ends(lines: list[Points], held: int) -> npt.NDArray[np.intp]:
    """Return the rows of all lines, the first and the last of each repeated so many times more."""
    parts, start = [], 0
    for line in lines:
        at = np.arange(-held, len(line) + held)
        parts.append(start + np.clip(at, 0, len(line) - 1))
        start += len(line)
    return np.concatenate(parts)


def _normals(lines: list[Points]) -> Points:
    """Return the unit normals of lines of two points or more."""
    flat = np.concatenate(lines)
    ends = np.cumsum([len(line) for line in lines])
    along = np.empty_like(flat)
    along[1:-1] = flat[2:] - flat[:-2]
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        along[start], along[end - 1] = flat[start + 1] - flat[start], flat[end - 1] - flat[end - 2]
    across = along[:, ::-1] * (1, -1)
    across /= np.maximum(np.hypot(across[:, :1], across[:, 1:]), 1e-9)
    return np.asarray(across, np.float64)


def _along(profiles: Bytes) -> Map:
    blurred: Any = cv2.blur(
        profiles.astype(np.float32), (1, _SMOOTH_ALONG_PX), borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(blurred, np.float32)


def _edges(height: Map, offsets: Values) -> Points:
    """Return (n, 2): where each profile falls below 0.5, left and right of its ridge; NaN: nowhere.

    The ridge is the highest sample within 1.5 px of the centre line.
    """
    centre = len(offsets) // 2
    # The least slope settles ties on a plateau for the centre.
    near = height[:, centre - 1 : centre + 2] - np.float32(1e-3) * np.array([1, 0, 1], np.float32)
    ridge = centre - 1 + near.argmax(axis=1)
    rows = np.arange(len(height))
    low = height < 0.5
    column = np.arange(height.shape[1])
    right = _fall(height, low & (column > ridge[:, None]), 1, rows)
    left = _fall(height, low & (column < ridge[:, None]), -1, rows)
    both = np.stack([left, right], axis=1) + offsets[0]
    both[height[rows, ridge] < 0.5] = np.nan
    return np.asarray(both, np.float64)


def _fall(height: Map, low: Mask, step: int, rows: npt.NDArray[np.intp]) -> Values:
    """Return the fractional column where each row first is low, going by `step`, or NaN."""
    column = low.argmax(axis=1) if step > 0 else low.shape[1] - 1 - low[:, ::-1].argmax(axis=1)
    before = np.clip(column - step, 0, low.shape[1] - 1)
    above, below = height[rows, before], height[rows, column]
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = np.clip((above - 0.5) / (above - below), 0, 1)
    at = before + step * fraction
    return np.where(low[rows, column], at, np.nan)


def _darkness(grey: Map, offsets: Values, edges: Points) -> Map:
    """Return profiles that are 1 at a crack's darkest and 0 on the wall, each side by itself.

    NaN where the wall, taken 2 to 5 px outside the mask, is not brighter by the least contrast.
    """
    at = offsets.astype(np.float32)
    left, right = np.asarray(edges[:, :1], np.float32), np.asarray(edges[:, 1:], np.float32)
    walls = (
        _mean_where(grey, (at >= left - 5) & (at <= left - 2)),
        _mean_where(grey, (at >= right + 2) & (at <= right + 5)),
    )
    dark = np.where((at >= left) & (at <= right), grey, np.float32(np.inf)).min(axis=1)[:, None]
    enough = np.minimum(*walls) - dark >= _LEAST_CONTRAST
    middle = len(offsets) // 2
    depth = np.empty_like(grey)
    for wall, side in zip(walls, (slice(None, middle), slice(middle, None)), strict=True):
        fall = np.where(enough, wall - dark, np.float32(np.nan))
        depth[:, side] = (wall - grey[:, side]) / fall
    return depth


def _mean_where(values: Map, where: Mask) -> Map:
    total = np.einsum("nm,nm->n", values, where, dtype=np.float32)
    return np.asarray(total / np.maximum(np.count_nonzero(where, axis=1), 1), np.float32)[:, None]


def _leaves(edges: Points, rows: Points, across: Points, frame_hw: tuple[int, ...]) -> Mask:
    """Return where an edge is at the frame's own: the crack may go on there."""
    outside = np.asarray(np.isnan(edges).any(axis=1))
    for side in (0, 1):
        for axis, size in ((0, frame_hw[1]), (1, frame_hw[0])):
            at = rows[:, axis] + edges[:, side] * across[:, axis]
            outside |= ~((at >= 0) & (at <= size - 1))
    return outside
