"""Scores of cracks as things and of shapes: cracks found, patches, boundaries, thin cracks.

A fine crack counts as much as a wide one.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from scnet_edge.evaluation.alarms import LEAST_PX
from scnet_edge.evaluation.metrics import BINS, Counts, Levels, at_least, count_levels, disc
from scnet_edge.models.sizes import CRACKED_SHARE, PATCH_PX
from scnet_edge.types import Mask, PixelCounts

FOUND_SHARE = 0.5  # of a crack's length
NEAR_PX = 2  # how far beside its middle a crack may be seen
FOUND_IN_PATCH = 0.5  # of its crack pixels; a crack patch with fewer found is missed (Section V-C)
THIN_PX = 4
BOUNDARY_PX = 2


class Found(NamedTuple):
    """Cracks of one or many images."""

    cracks: int = 0
    found: int = 0

    def plus(self, other: Found) -> Found:
        """Return those of both together."""
        return Found(self.cracks + other.cracks, self.found + other.found)

    @property
    def recall(self) -> float:
        """Share of the cracks that is found; 1 where there are none."""
        return self.found / self.cracks if self.cracks else 1.0


def count_objects(mask: Mask, truth: Mask) -> Found:
    """Return how many cracks of the truth a mask finds.

    A crack is a connected part of the truth with `LEAST_PX` pixels or more. It is found when at
    least `FOUND_SHARE` of its middle has a predicted pixel within `NEAR_PX`. So a crack of 3 px
    weighs as much as one of 30.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        truth.astype(np.uint8), connectivity=8
    )
    if count == 1:
        return Found()
    middle = middle_of(truth)
    seen = cv2.dilate(mask.astype(np.uint8), disc(NEAR_PX)) > 0
    length = np.bincount(labels[middle], minlength=count)[1:]
    covered = np.bincount(labels[middle & seen], minlength=count)[1:]
    counts = stats[1:, cv2.CC_STAT_AREA] >= LEAST_PX
    return Found(int(counts.sum()), int((counts & (covered >= FOUND_SHARE * length)).sum()))


def middle_of(truth: Mask) -> Mask:
    """Return the ridge of a mask: pixels as far from its outside as any neighbour, or further."""
    # What lies beyond the frame is unknown, so the edge of the frame is no outside.
    depth = cv2.distanceTransform(truth.astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(truth & (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8))))


def count_patches(reached: Levels, truth: Mask) -> Counts:
    """Return one image's counts of 32x32 patches at every threshold (Section V-C, Table IV).

    A patch is cracked when 5 % of it is crack. It is found when half of its crack pixels are
    predicted. The paper does not say when a patch without a crack is a false alarm: here, when
    5 % of it is predicted. Patches at the right and bottom may be smaller; their own area counts.
    """
    h, w = truth.shape
    rows, columns = -(-h // PATCH_PX), -(-w // PATCH_PX)
    patch = (np.arange(h) // PATCH_PX)[:, None] * columns + np.arange(w) // PATCH_PX  # (h, w)
    n = rows * columns
    key = (patch * 2 + truth) * BINS + reached
    histogram = np.bincount(key.ravel(), minlength=n * 2 * BINS).reshape(n, 2, BINS)
    area = histogram[..., 1:].sum((1, 2))  # (n,), without what is ignored
    crack = histogram[:, 1].sum(1)
    on_crack = at_least(histogram[:, 1])  # (n, 101)
    predicted = on_crack + at_least(histogram[:, 0])
    cracked = (crack >= CRACKED_SHARE * area) & (crack > 0)
    found = cracked[:, None] & (on_crack >= FOUND_IN_PATCH * crack[:, None])
    alarm = ~cracked[:, None] & (predicted >= CRACKED_SHARE * area[:, None]) & (predicted > 0)
    hits = found.sum(0).astype(np.int64)
    return Counts(
        predicted=hits + alarm.sum(0).astype(np.int64),
        right=hits,
        found=hits,
        truth=int(cracked.sum()),
    )


def select_thin(truth: Mask) -> Mask:
    """Return the pixels of cracks at most `THIN_PX` wide: those far from any wider spot."""
    spot = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (THIN_PX + 1, THIN_PX + 1))
    # What lies beyond the frame is unknown, so it makes no crack at the edge look wide.
    wide = cv2.morphologyEx(
        truth.view(np.uint8), cv2.MORPH_OPEN, spot, borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    near = cv2.dilate(wide, disc(THIN_PX // 2))
    return np.asarray(truth & (near == 0))


def count_thin(reached: Levels, truth: Mask) -> Counts:
    """Return the counts on thin crack pixels alone; only recall has a meaning."""
    return count_levels(reached, select_thin(truth))


def count_boundaries(
    mask: Mask, truth: Mask, *, ignored: Mask | None = None, tolerance_px: int = BOUNDARY_PX
) -> PixelCounts:
    """Return how well the outline of a mask follows that of the truth, within `tolerance_px`.

    Where the truth is ignored, and right beside it, nobody knows where an outline is.
    """
    ours, theirs = _boundary(mask), _boundary(truth)
    if ignored is not None:
        unknown = cv2.dilate(ignored.view(np.uint8), disc(1)) > 0
        ours, theirs = ours & ~unknown, theirs & ~unknown
    kernel = disc(tolerance_px)
    near_ours = cv2.dilate(ours.view(np.uint8), kernel) > 0
    near_theirs = cv2.dilate(theirs.view(np.uint8), kernel) > 0
    return PixelCounts(
        predicted=int(ours.sum()),
        right=int((ours & near_theirs).sum()),
        true=int(theirs.sum()),
        found=int((theirs & near_ours).sum()),
    )


def _boundary(mask: Mask) -> Mask:
    """Return the pixels of a mask with a 4-neighbour inside the frame that is not of it."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return np.asarray(mask & (cv2.erode(mask.view(np.uint8), cross) == 0))
