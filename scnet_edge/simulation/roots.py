"""Roots: bundles of fine fibres that grow through a joint, and wander as cracks do."""

from __future__ import annotations

import math

import cv2
import numpy as np

from scnet_edge.simulation.pipe import Image
from scnet_edge.types import Map


def draw_roots(
    rng: np.random.Generator,
    size_hw: tuple[int, int],
    *,
    at_xy: tuple[float, float],
    way: float,
    px: float,
) -> Map:
    """Return how much of each pixel roots cover, (h, w) float32 in [0, 1].

    Args:
        rng: Draws every fibre.
        size_hw: Height and width of the map.
        at_xy: Where they come out of the wall.
        way: Where they hang to, radians from x to y.
        px: Pixels of a millimetre, about; a fibre is 0.5 to 1.4 mm thick.
    """
    drawn = np.zeros(size_hw, np.uint8)
    c, s = math.cos(way), math.sin(way)
    for _ in range(int(rng.integers(6, 16))):
        n = int(rng.integers(25, 70))
        turn = np.cumsum(rng.normal(0, 0.16, n)) + rng.uniform(-1.1, 1.1) + way
        step = rng.uniform(0.8, 1.6) * px
        beside = rng.normal(0, 14 * px)
        x = at_xy[0] - s * beside + np.cumsum(step * np.cos(turn))
        y = at_xy[1] + c * beside + np.cumsum(step * np.sin(turn))
        line = np.rint(np.stack([x, y], axis=1) * 16).astype(np.int32)
        thick = max(1, round(rng.uniform(0.5, 1.4) * px))
        cv2.polylines(drawn, [line], False, 255, thick, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(drawn, (0, 0), max(0.25 * px, 0.5))
    return np.asarray(soft / 255, np.float32)


def paint_roots(wall: Image, crack: Map, rng: np.random.Generator) -> tuple[Image, Map]:
    """Return a wall with roots somewhere on it, and its cracks without what they hide.

    Args:
        wall: (H, W, 3) float32, BGR in [0, 255].
        crack: (H, W) float32 in [0, 1], how much of each pixel is crack.
        rng: Draws where, how large and of what colour, from nearly black over brown to pale.
    """
    h, w = crack.shape
    roots = draw_roots(
        rng,
        (h, w),
        at_xy=(float(rng.uniform(0, w)), float(rng.uniform(0, h))),
        way=float(rng.uniform(0, 2 * math.pi)),
        px=float(rng.uniform(1.0, 4.5)),
    )
    brown = np.array([0.5, 0.75, 1.0]) ** rng.uniform(0, 1.5)
    colour = (rng.uniform(5, 160) * brown).astype(np.float32)
    cover = np.float32(rng.uniform(0.5, 0.95)) * roots
    painted = wall + cover[..., None] * (colour - wall)
    hidden = np.where(roots > 0.3, 0, crack)
    return np.asarray(painted, np.float32), np.asarray(hidden, np.float32)
