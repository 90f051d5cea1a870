"""How far a camera has moved along a wall, from what its frames share: for want of an odometer.

Neighbouring frames are compared by phase correlation, and the steps add up; so do their errors.
"""

from __future__ import annotations

import cv2
import numpy as np

from scnet_edge.inspection.geometry import axes_of
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.setup import Setup
from scnet_edge.inspection.spine import Values
from scnet_edge.types import Captured, Frame, Map

_WIDTH_PX = 256  # frames are compared at about this width
_LEAST_PEAK = 0.04  # of the correlation; below, two frames share too little
_STEP_SIGMA_PX = 0.5  # of one step, at full size
_WAY_SIGMA = 0.03  # of the way, for a camera that is not held quite square


class VisualOdometry:
    """Poses from the frames themselves, for a camera that looks at a wall.

    Every pose says `visual_odometry`. Where two frames share too little a new segment begins, and
    its first pose says `odometry_lost` as well. Without a scale there is no chainage, only
    `drift_px`.
    """

    def __init__(self, setup: Setup, *, first_segment: int = 0) -> None:
        self._setup, self._segment = setup, first_segment
        self._along, self._across = axes_of(setup)
        self._before: Map | None = None
        self._pose = Pose(segment=first_segment)
        self._moved_px, self._way_px, self._steps = np.zeros(2), 0.0, 0

    def at(self, captured: Captured) -> Pose:
        """Return the pose of the next frame; frames come in order."""
        small, shrink = _small(captured.frame)
        flags: tuple[str, ...] = ("visual_odometry",)
        if self._before is not None and self._before.shape == small.shape:
            step_px = _step(self._before, small)
            if step_px is None:
                flags = ("visual_odometry", "odometry_lost")
                self._segment += 1
                self._moved_px, self._way_px, self._steps = np.zeros(2), 0.0, 0
            else:
                self._moved_px = self._moved_px + shrink * step_px
                self._way_px += shrink * float(np.hypot(*step_px))
                self._steps += 1
        self._before = small
        return self._now(flags)

    def _now(self, flags: tuple[str, ...]) -> Pose:
        moved_px = self._moved_px
        if self._setup.mm_per_px is None:
            drift_px = (float(moved_px[0]), float(moved_px[1]))
            return Pose(segment=self._segment, flags=flags, drift_px=drift_px)
        scale_m = self._setup.mm_per_px / 1000
        sigma_px = np.hypot(_WAY_SIGMA * self._way_px, _STEP_SIGMA_PX * np.sqrt(self._steps))
        wall = self._setup.mode == "wall"
        return Pose(
            chainage_m=scale_m * float(moved_px @ self._along),
            sigma_m=scale_m * float(sigma_px),
            jitter_m=scale_m * _STEP_SIGMA_PX,
            across_m=scale_m * float(moved_px @ self._across) if wall else 0.0,
            segment=self._segment,
            flags=flags,
        )


def _small(frame: Frame) -> tuple[Map, float]:
    """Return the grey frame, its slow shading taken out, and by how much it is smaller."""
    shrink = max(1.0, frame.shape[1] / _WIDTH_PX)
    size_wh = round(frame.shape[1] / shrink), round(frame.shape[0] / shrink)
    grey = cv2.cvtColor(
        cv2.resize(frame, size_wh, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY
    )
    values = grey.astype(np.float32)
    # The lamp moves with the camera; what it lights does not.
    return np.asarray(values - cv2.GaussianBlur(values, (0, 0), 12), np.float32), shrink


def _step(before: Map, now: Map) -> Values | None:
    """Return how far the camera moved in the image, (x, y) in small pixels; None if unknown."""
    window = cv2.createHanningWindow(now.shape[::-1], cv2.CV_32F)
    moved, peak = cv2.phaseCorrelate(before, now, window)
    return -np.array(moved) if peak >= _LEAST_PEAK else None
