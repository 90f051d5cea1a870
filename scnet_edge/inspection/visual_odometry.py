"""How far a camera has moved along a wall, from what its frames share: for want of an odometer.

With a scale, neighbouring frames are compared by phase correlation, and the steps add up. Without
one, corners are followed from frame to frame, and a similarity (shift, turn, zoom) is fitted to
them by RANSAC: a hand-held camera turns and comes nearer. Errors of the steps add up, too.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.inspection.geometry import axes_of
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.setup import Setup
from scnet_edge.inspection.spine import Values
from scnet_edge.types import Captured, Frame, Map

Grey = npt.NDArray[np.uint8]
_WIDTH_PX = 256  # frames are correlated at about this width
_LEAST_PEAK = 0.04  # of the correlation; below, two frames share too little
_STEP_SIGMA_PX = 0.5  # of one step, at full size
_WAY_SIGMA = 0.03  # of the way, for a camera that is not held quite square
_FILM_WIDTH_PX = 480  # corners are followed at about this width
_CORNERS, _CORNER_QUALITY = 200, 0.01
_CORNER_APART_PX = 12  # else the text in the picture, which stands still, has most of them
_WINDOW_PX, _UNTIL = (21, 21), (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, 0.03)
_INLIER_PX = 1.5
_LEAST_INLIERS, _LEAST_INLIER_SHARE = 12, 0.3
_MOST_ZOOM = 1.3  # from one frame to the next


class VisualOdometry:
    """Poses from the frames themselves, for a camera that looks at a wall.

    Every pose says `visual_odometry`. Where two frames share too little a new segment begins, and
    its first pose says `odometry_lost` as well. Without a scale there is no chainage, only
    `film_from_frame`.
    """

    def __init__(self, setup: Setup, *, first_segment: int = 0) -> None:
        self._setup, self._segment = setup, first_segment
        self._along, self._across = axes_of(setup)
        self._before: Map | None = None
        self._moved_px, self._way_px, self._steps = np.zeros(2), 0.0, 0
        self._grey: Grey | None = None
        self._film = np.eye(3)

    def at(self, captured: Captured) -> Pose:
        """Return the pose of the next frame; frames come in order."""
        if self._setup.mm_per_px is None:
            return self._in_film(captured.frame)
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
        return self._on_wall(flags, self._setup.mm_per_px)

    def _on_wall(self, flags: tuple[str, ...], mm_per_px: float) -> Pose:
        moved_px = self._moved_px
        scale_m = mm_per_px / 1000
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

    def _in_film(self, frame: Frame) -> Pose:
        grey, shrink = _grey(frame, _FILM_WIDTH_PX)
        flags: tuple[str, ...] = ("visual_odometry",)
        if self._grey is not None and self._grey.shape == grey.shape:
            step = similarity(self._grey, grey)
            if step is None:
                flags = ("visual_odometry", "odometry_lost")
                self._segment += 1
                self._film = np.eye(3)
            else:
                step[:2, 2] *= shrink
                self._film = self._film @ step
        self._grey = grey
        rows = tuple(tuple(map(float, row)) for row in self._film[:2])
        return Pose(segment=self._segment, flags=flags, film_from_frame=rows)


def similarity(before: Grey, now: Grey) -> Values | None:
    """Return the 3 x 3 similarity that takes pixels of `now` to `before`.

    Args:
        before, now: (h, w) uint8, neighbouring frames.

    Returns:
        None where they share too little to tell.
    """
    corners = cv2.goodFeaturesToTrack(before, _CORNERS, _CORNER_QUALITY, _CORNER_APART_PX)
    if corners is None or len(corners) < _LEAST_INLIERS:
        return _shift(before, now)
    guess = corners.copy()
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        before, now, corners, guess, winSize=_WINDOW_PX, criteria=_UNTIL
    )
    kept = found.ravel() == 1
    if kept.sum() < _LEAST_INLIERS:
        return _shift(before, now)
    matrix, inliers = cv2.estimateAffinePartial2D(
        there[kept], corners[kept], ransacReprojThreshold=_INLIER_PX
    )
    if matrix is None or inliers.sum() < max(_LEAST_INLIERS, _LEAST_INLIER_SHARE * kept.sum()):
        return _shift(before, now)
    zoom = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if not 1 / _MOST_ZOOM < zoom < _MOST_ZOOM:
        return None
    return np.vstack([matrix, [0.0, 0.0, 1.0]])


def _shift(before: Grey, now: Grey) -> Values | None:
    """Return the same from a correlation, for a wall without corners."""
    step_px = _step(_flatten(before), _flatten(now))
    if step_px is None:
        return None
    return np.array([[1.0, 0.0, step_px[0]], [0.0, 1.0, step_px[1]], [0.0, 0.0, 1.0]])


def _grey(frame: Frame, width_px: int) -> tuple[Grey, float]:
    """Return the grey frame at about this width, and by how much it is smaller."""
    shrink = max(1.0, frame.shape[1] / width_px)
    size_wh = round(frame.shape[1] / shrink), round(frame.shape[0] / shrink)
    small = cv2.resize(frame, size_wh, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8), shrink


def _small(frame: Frame) -> tuple[Map, float]:
    """Return the grey frame, its slow shading taken out, and by how much it is smaller."""
    grey, shrink = _grey(frame, _WIDTH_PX)
    return _flatten(grey), shrink


def _flatten(grey: Grey) -> Map:
    values = grey.astype(np.float32)
    # The lamp moves with the camera; what it lights does not.
    return np.asarray(values - cv2.GaussianBlur(values, (0, 0), 12), np.float32)


def _step(before: Map, now: Map) -> Values | None:
    """Return how far the camera moved in the image, (x, y) in small pixels; None if unknown."""
    window = cv2.createHanningWindow(now.shape[::-1], cv2.CV_32F)
    moved, peak = cv2.phaseCorrelate(before, now, window)
    return -np.array(moved) if peak >= _LEAST_PEAK else None
