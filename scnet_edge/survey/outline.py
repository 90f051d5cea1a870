"""A mask as outlines that a person can edit, and the mask that comes of it.

A ring is the pixels along one edge of a mask, around it or around a hole. Rings are simplified so
that a hand can work with them; only what was edited changes the mask, the rest stays to the pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np

from scnet_edge.errors import InputError
from scnet_edge.types import Mask

Ring: TypeAlias = list[tuple[float, float]]  # x, y in pixels, 0, 0 the middle of the first

FINEST_PX = 1.0  # that a simplified ring may be off
MOST_POINTS = 300  # of a mask's rings together, if coarser ones will do
COARSEST_PX = 8.0
MOST_RINGS, MOST_CORNERS = 2000, 20_000  # that a page may send
SUBPIXEL_BITS = 4


def trace_outline(mask: Mask) -> list[Ring]:
    """Return the rings of a mask, (h, w) bool, as fine as some hundred points allow."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    tolerance_px = FINEST_PX
    while True:
        rings = [cv2.approxPolyDP(ring, tolerance_px, closed=True) for ring in found]
        if tolerance_px >= COARSEST_PX or sum(map(len, rings)) <= MOST_POINTS:
            return [[(float(x), float(y)) for x, y in ring[:, 0]] for ring in rings]
        tolerance_px *= 1.5


def draw(rings: Sequence[Ring], size_hw: tuple[int, int]) -> Mask:
    """Return the mask, (h, w) bool, inside the rings and on them; a ring in another is a hole."""
    canvas = np.zeros(size_hw, np.uint8)
    scale = 1 << SUBPIXEL_BITS
    corners = [np.round(np.asarray(ring) * scale).astype(np.int32) for ring in rings if ring]
    if corners:
        cv2.fillPoly(canvas, corners, 1, shift=SUBPIXEL_BITS)
    return canvas > 0


def edit(mask: Mask, rings: Sequence[Ring]) -> Mask:
    """Return a mask, (h, w) bool, as `rings` make it, instead of those of `trace_outline`.

    Raises:
        InputError: rings without end or out of the picture, or nothing is left.
    """
    check_rings(rings, mask.shape)
    before, after = draw(trace_outline(mask), mask.shape), draw(rings, mask.shape)
    changed = np.where(before != after, after, mask).astype(np.uint8)
    _, labels = cv2.connectedComponents(changed, connectivity=8)
    kept = np.isin(labels, np.unique(labels[after])) & (labels > 0)  # no crumbs of what was removed
    if not kept.any():
        raise InputError("the outline is empty; reject the record instead")
    return kept


def check_rings(rings: Sequence[Ring], size_hw: tuple[int, ...]) -> None:
    """Raise InputError where there are too many rings or corners, or one is out of the picture."""
    if len(rings) > MOST_RINGS or sum(map(len, rings)) > MOST_CORNERS:
        raise InputError(f"expected up to {MOST_RINGS} rings and {MOST_CORNERS} corners")
    if not any(rings):
        return
    corners = np.array([corner for ring in rings for corner in ring], np.float64)  # (n, 2) x, y
    inside = (corners >= -0.5) & (corners <= np.array(size_hw[1::-1]) - 0.5)
    if not inside.all():
        raise InputError("a corner lies outside of the picture")
