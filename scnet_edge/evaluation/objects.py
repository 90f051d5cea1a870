"""Cracks as things: how many of them are found, a fine one as much as a wide one."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from scnet_edge.evaluation.alarms import LEAST_PX
from scnet_edge.evaluation.metrics import disc
from scnet_edge.types import Mask

FOUND_SHARE = 0.5  # of a crack's length
NEAR_PX = 2  # how far beside its middle a crack may be seen


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


def count_objects(
    mask: Mask, truth: Mask, *, share: float = FOUND_SHARE, near_px: int = NEAR_PX
) -> Found:
    """Return how many cracks of the truth a mask finds.

    A crack is a connected part of the truth with `LEAST_PX` pixels or more. It is found when at
    least `share` of its middle has a predicted pixel within `near_px`. So a crack of 3 px weighs
    as much as one of 30.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        truth.astype(np.uint8), connectivity=8
    )
    if count == 1:
        return Found()
    middle = middle_of(truth)
    seen = cv2.dilate(mask.astype(np.uint8), disc(near_px)) > 0
    length = np.bincount(labels[middle], minlength=count)[1:]
    covered = np.bincount(labels[middle & seen], minlength=count)[1:]
    counts = stats[1:, cv2.CC_STAT_AREA] >= LEAST_PX
    return Found(int(counts.sum()), int((counts & (covered >= share * length)).sum()))


def middle_of(truth: Mask) -> Mask:
    """Return the ridge of a mask: pixels as far from its outside as any neighbour, or further."""
    # What lies beyond the frame is unknown, so the edge of the frame is no outside.
    depth = cv2.distanceTransform(truth.astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(truth & (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8))))
