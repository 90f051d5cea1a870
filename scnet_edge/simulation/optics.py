"""A pinhole camera with a distorting lens inside a round pipe: wall to pixels, and back.

In the pipe x points right, y down, z ahead. The wall's place (along, around) in mm is the point
(R sin a, -R cos a, along), a = around / R: clockwise from the crown as seen in the direction of
travel. This is the model that footage is made with, and how much of each pixel a crack covers; what
measures it has its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from scnet_edge.simulation.defects import Defect, Places, WallStrand
from scnet_edge.types import Map

Mode = Literal["side", "forward"]
MODES: tuple[Mode, ...] = ("side", "forward")
_NEAREST_MM = 8.0  # ahead of the lens
_FINE = 4  # parts of a pixel, each way
_FILL_PX = 0.5 / _FINE  # by which OpenCV's filled polygons are too large on every side
_OUTSIDE_PX = 40.0  # what is further outside the frame is not drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class PipeCamera:
    """A camera on the pipe's axis (`forward`), or beside it, square to the wall (`side`).

    Attributes:
        focal_px: of both axes; the principal point is the middle of the frame.
        distortion: k1, k2, p1, p2 as OpenCV has them.
        look_clock_h: where a `side` camera looks when the robot is level.
        distance_mm: from a `side` camera to the wall.
        far_mm: how far ahead the wall is drawn.
    """

    mode: Mode
    size_hw: tuple[int, int]
    diameter_mm: float
    focal_px: float
    distortion: tuple[float, float, float, float]
    look_clock_h: float = 9.0
    distance_mm: float = 90.0
    far_mm: float = 900.0

    def matrix(self) -> Places:
        """Return the (3, 3) camera matrix."""
        h, w = self.size_hw
        f = self.focal_px
        return np.array([[f, 0, (w - 1) / 2], [0, f, (h - 1) / 2], [0, 0, 1]])

    def mm_per_px(self) -> float:
        """Return the scale in the middle of a `side` camera's frame."""
        return self.distance_mm / self.focal_px

    def reach_mm(self) -> tuple[float, float]:
        """Return how far behind and ahead of it the camera sees the wall, at most."""
        if self.mode == "forward":
            return 0.0, self.far_mm
        reach_mm = 0.8 * self.size_hw[1] * self.mm_per_px()
        return reach_mm, reach_mm


def to_pixels(camera: PipeCamera, places_mm: Places, roll_deg: float) -> Places:
    """Return (n, 2) xy of places on the wall, along counted from the camera; NaN behind it."""
    radius = camera.diameter_mm / 2
    angle = places_mm[:, 1] / radius
    points = np.stack([radius * np.sin(angle), -radius * np.cos(angle), places_mm[:, 0]], axis=1)
    axes, origin = _pose(camera, roll_deg)
    seen = (points - origin) @ axes.T
    ahead = seen[:, 2] > _NEAREST_MM
    # Far outside the frame the lens' polynomial folds back; such rays are no part of the picture.
    slope = np.hypot(seen[:, 0], seen[:, 1]) / np.maximum(seen[:, 2], 1e-9)
    ahead &= slope < _widest(camera)
    xy = np.full((len(points), 2), np.nan)
    if ahead.any():
        still = np.zeros(3)
        lens = np.array(camera.distortion)
        flat, _ = cv2.projectPoints(seen[ahead], still, still, camera.matrix(), lens)
        xy[ahead] = flat.reshape(-1, 2)
    return xy


def wall_of(camera: PipeCamera) -> tuple[Map, Map, Map]:
    """Return what each pixel sees from a level robot: mm along, mm around, and mm from the lens.

    Each is (h, w) float32; NaN where it sees no wall.
    """
    h, w = camera.size_hw
    radius = camera.diameter_mm / 2
    pixels = np.stack(np.meshgrid(np.arange(w), np.arange(h)), axis=-1).reshape(-1, 1, 2)
    lens = np.array(camera.distortion)
    ray = cv2.undistortPoints(pixels.astype(np.float64), camera.matrix(), lens).reshape(-1, 2)
    axes, origin = _pose(camera, 0.0)
    ray = np.column_stack([ray, np.ones(len(ray))]) @ axes
    a = np.maximum((ray[:, :2] ** 2).sum(axis=1), 1e-9)
    b, c = ray[:, :2] @ origin[:2], origin[:2] @ origin[:2] - radius**2
    reach = (np.sqrt(b**2 - a * c) - b) / a
    hit = origin + reach[:, None] * ray
    along, around = hit[:, 2], radius * np.arctan2(hit[:, 0], -hit[:, 1])
    far = np.abs(along) > camera.far_mm
    maps = (along, around, reach * np.linalg.norm(ray, axis=1))
    along, around, away = (np.where(far, np.nan, m).astype(np.float32).reshape(h, w) for m in maps)
    return along, around, away


def _pose(camera: PipeCamera, roll_deg: float) -> tuple[Places, Places]:
    """Return the camera's axes as rows (right, down and ahead in the image) and its place."""
    if camera.mode == "forward":
        roll = np.radians(roll_deg)
        right = np.array([np.cos(roll), np.sin(roll), 0])
        down = np.array([-np.sin(roll), np.cos(roll), 0])
        return np.stack([right, down, [0, 0, 1]]), np.zeros(3)
    angle = np.radians(camera.look_clock_h * 30 + roll_deg)
    outward = np.array([np.sin(angle), -np.cos(angle), 0])
    right = np.array([0.0, 0.0, 1.0])
    origin = (camera.diameter_mm / 2 - camera.distance_mm) * outward
    return np.stack([right, np.cross(outward, right), outward]), origin


def _widest(camera: PipeCamera) -> float:
    """Return the slope of the steepest ray that can be in the picture, with a margin."""
    h, w = camera.size_hw
    corner = np.array([[[0.0, 0.0]], [[w - 1.0, h - 1.0]]])
    rays = cv2.undistortPoints(corner, camera.matrix(), np.array(camera.distortion))
    return 1.25 * float(np.hypot(rays[..., 0], rays[..., 1]).max())


def coverage_of(
    camera: PipeCamera, defects: list[Defect], *, along_mm: float, roll_deg: float
) -> Map:
    """Return how much of each pixel the cracks cover, (h, w) float32 in [0, 1].

    Args:
        camera: what sees them.
        defects: those that may be in view.
        along_mm: the camera's chainage.
        roll_deg: the robot's roll.
    """
    h, w = camera.size_hw
    canvas = np.zeros((h * _FINE, w * _FINE), np.uint8)
    for defect in defects:
        for strand in defect.strands:
            for quad in _quads(camera, strand, along_mm, roll_deg):
                cv2.fillConvexPoly(canvas, quad, 255, shift=4)
    shrunk = cv2.resize(canvas, (w, h), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk / np.float32(255), np.float32)


def in_view(
    camera: PipeCamera, defects: list[Defect], along_mm: float, *, most_mm: float = math.inf
) -> list[Defect]:
    """Return the cracks that a camera at a chainage may see, at most so far ahead of it."""
    behind_mm, ahead_mm = camera.reach_mm()
    low_mm, high_mm = along_mm - behind_mm, along_mm + min(ahead_mm, most_mm)
    ends = ((defect, defect.places_mm()[:, 0]) for defect in defects)
    return [defect for defect, along in ends if low_mm < along.max() and along.min() < high_mm]


def _quads(
    camera: PipeCamera, strand: WallStrand, along_mm: float, roll_deg: float
) -> Iterator[Places]:
    """Yield the four corners of each stretch of a strand, in sixteenths of a part of a pixel."""
    places = strand.places_mm - (along_mm, 0)
    way = np.gradient(places, axis=0)
    across = way[:, ::-1] * (1, -1) / np.maximum(np.hypot(way[:, :1], way[:, 1:]), 1e-9)
    half = strand.width_mm[:, None] / 2 * across
    left, right = (to_pixels(camera, places + side, roll_deg) for side in (half, -half))
    inwards = right - left
    norm = np.hypot(inwards[:, :1], inwards[:, 1:])
    inwards *= np.minimum(_FILL_PX, 0.49 * norm) / np.maximum(norm, 1e-9)
    left, right = left + inwards, right - inwards
    low, high = -_OUTSIDE_PX, np.array(camera.size_hw[::-1]) + _OUTSIDE_PX
    with np.errstate(invalid="ignore"):
        within = (left > low) & (left < high) & (right > low) & (right < high)
    inside = within[:, 0] & within[:, 1]
    for i in np.flatnonzero(inside[:-1] & inside[1:]):
        quad = np.stack([left[i], left[i + 1], right[i + 1], right[i]])
        yield np.rint(((quad + 0.5) * _FINE - 0.5) * 16).astype(np.int32)
