"""Widths along a crack, across its centre line: from the mask, refined on the grey image."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.inspection.skeleton import Points
from scnet_edge.inspection.spine import Spine, Values, grid_across, sample
from scnet_edge.types import Frame, Map, Mask

LARGEST_SIDE_PX = 32766  # cv2.remap takes no more
_SAMPLE_PX = 1.0  # along a normal
_MOST_SAMPLES = 4_000_000  # of one line, so that a mask that is all crack fits in memory
_SMOOTH_ALONG_PX = 5  # neighbouring normals averaged before an edge is looked for
_LEAST_CONTRAST = 12.0  # grey levels between crack and wall; below, an edge is not believed


def widths(
    spine: Spine,
    stencil: Map,
    radius_px: Map,
    origin_xy: Values,
    frame_hw: tuple[int, int],
    frame: Frame | None,
) -> tuple[Values, str]:
    """Return the widths across the centre line and where they come from: "image" or "mask"."""
    reach_px = 1.5 * float(radius_px.max()) + (2 if frame is None else 6)
    steps = math.ceil(reach_px / _SAMPLE_PX)
    offsets = np.arange(-steps, steps + 1, dtype=np.float64)
    offsets *= _SAMPLE_PX
    most = min(LARGEST_SIDE_PX, max(2, _MOST_SAMPLES // len(offsets)))
    lines = [_evenly(line, most=most) for line in spine.lines if len(line) > 1]
    from_mask, from_image = [np.empty(0)], [np.empty(0)]
    for line in lines:
        across = _normals(line)
        grid = grid_across(line, across, offsets)
        edges = _edges(_along(sample(stencil, grid)), offsets)
        from_mask.append(_inside(edges, line + origin_xy, across, frame_hw))
        if frame is not None:
            grey = _along(_grey(sample(frame, grid_across(line + origin_xy, across, offsets))))
            edges = _edges(_darkness(grey, offsets, edges), offsets)
            from_image.append(_inside(edges, line + origin_xy, across, frame_hw))
    mask_px, image_px = np.concatenate(from_mask), np.concatenate(from_image)
    seen = image_px[~np.isnan(image_px)]
    if seen.size and 2 * seen.size >= mask_px.size:
        return seen, "image"
    return mask_px[~np.isnan(mask_px)], "mask"


def _evenly(line: Points, *, most: int) -> Points:
    """Return the line with points one pixel apart, or further where that were more than `most`."""
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    count = min(max(2, round(arc[-1]) + 1), most)
    at = np.linspace(0, arc[-1], count)
    return np.stack([np.interp(at, arc, axis) for axis in line.T], axis=1)


def _normals(line: Points) -> Points:
    """Return the unit normals of a smooth line."""
    across = np.gradient(line, axis=0)[:, ::-1] * (1, -1)
    return np.asarray(across / np.maximum(np.hypot(across[:, :1], across[:, 1:]), 1e-9), float)


def _grey(colour: Frame) -> Map:
    return np.asarray(cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY), np.float32)


def _along(profiles: Map) -> Map:
    blurred: Any = cv2.blur(profiles, (1, _SMOOTH_ALONG_PX), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def _edges(height: Map, offsets: Values) -> Points:
    """Return (n, 2): where each profile falls below 0.5, left and right of its ridge; NaN: nowhere.

    The ridge is the highest sample within 1.5 px of the centre line.
    """
    near = np.flatnonzero(np.abs(offsets) <= 1.5)
    # The least slope settles ties on a plateau for the centre.
    ridge = near[0] + (height[:, near] - 1e-3 * np.abs(offsets[near])).argmax(axis=1)
    right = _fall(height, ridge)
    left = len(offsets) - 1 - _fall(height[:, ::-1], len(offsets) - 1 - ridge)
    right[height[np.arange(len(height)), ridge] < 0.5] = np.nan
    return np.asarray(offsets[0] + _SAMPLE_PX * np.stack([left, right], axis=1))


def _fall(height: Map, start: npt.NDArray[np.intp]) -> Values:
    """Return the fractional column after `start` where each row first falls below 0.5, or NaN."""
    rows = np.arange(len(height))
    low = (height < 0.5) & (np.arange(height.shape[1]) > start[:, None])
    column = low.argmax(axis=1)
    above, below = height[rows, column - 1], height[rows, column]
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = np.clip((above - 0.5) / (above - below), 0, 1)
    return np.asarray(np.where(low.any(axis=1), column - 1 + fraction, np.nan))


def _darkness(grey: Map, offsets: Values, edges: Points) -> Map:
    """Return profiles that are 1 at a crack's darkest and 0 on the wall, each side by itself.

    NaN where the wall, taken 2 to 5 px outside the mask, is not brighter by the least contrast.
    """
    left, right = edges[:, :1], edges[:, 1:]
    walls = [_mean_where(grey, (offsets >= left - 5) & (offsets <= left - 2))]
    walls.append(_mean_where(grey, (offsets >= right + 2) & (offsets <= right + 5)))
    dark = np.where((offsets >= left) & (offsets <= right), grey, np.inf).min(axis=1, keepdims=True)
    wall = np.where(offsets < 0, *walls)
    enough = np.minimum(*walls) - dark >= _LEAST_CONTRAST
    depth = np.where(enough, wall - dark, np.nan)
    return np.asarray((wall - grey) / depth, np.float32)


def _mean_where(values: Map, where: Mask) -> Values:
    total = np.einsum("nm,nm->n", values, where, dtype=float)
    return np.asarray((total / np.maximum(where.sum(axis=1), 1))[:, None])


def _inside(edges: Points, line_xy: Points, across: Points, frame_hw: tuple[int, int]) -> Values:
    """Return the widths, NaN where an edge is at the frame's own: the crack may go on there."""
    at_xy = line_xy[:, None] + edges[..., None] * across[:, None]  # (n, 2 edges, 2)
    seen = (at_xy >= 0) & (at_xy <= np.array(frame_hw[::-1]) - 1)
    return np.where(seen.all(axis=(1, 2)), edges[:, 1] - edges[:, 0], np.nan)
