"""Cracks of a wall as a camera sees them: how much of each pixel they cover."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from scnet_edge.simulation.defects import Defect, Places, WallStrand
from scnet_edge.simulation.optics import PipeCamera, to_pixels
from scnet_edge.types import Map

_FINE = 4  # parts of a pixel, each way
_FILL_PX = 0.5 / _FINE  # by which OpenCV's filled polygons are too large on every side
_OUTSIDE_PX = 40.0  # what is further outside the frame is not drawn


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
