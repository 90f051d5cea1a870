"""Cracks as branching polylines of varying width, and their exact coverage of the pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.types import Map, Mask

Points = npt.NDArray[np.float64]
STEP_PX = 2.5  # between the vertices of a random crack
BENDS = (0.012, 0.03, 0.08, 0.2)  # sizes of the bends of a random crack, as shares of its length


@dataclass(frozen=True, slots=True, kw_only=True)
class Strand:
    """One unbranched stretch of a crack: points_xy (n, 2) and width_px (n,), n >= 2."""

    points_xy: Points
    width_px: Points


def draw_crack(points_xy: Points, width_px: float | Points, size_hw: tuple[int, int]) -> Map:
    """Return how much of each pixel a crack covers, (h, w) float32 in [0, 1].

    The crack is all that lies within half its width of the polyline, so its ends are round. A pixel
    is the unit square around its integer coordinates; its coverage is that of a unit interval
    across the crack, which is exact where the crack runs along an axis.

    Args:
        points_xy: (n, 2), n >= 2; points may lie outside the image.
        width_px: one width, or one per point, interpolated between them.
        size_hw: height and width of the map.
    """
    coverage = np.zeros(size_hw, np.float32)
    radius_px = np.broadcast_to(np.asarray(width_px, np.float64) / 2, len(points_xy))
    for i in range(len(points_xy) - 1):
        _draw_segment(coverage, points_xy[i : i + 2], radius_px[i : i + 2])
    return coverage


def draw_strands(strands: list[Strand], size_hw: tuple[int, int]) -> Map:
    """Return the coverage of a whole crack, (h, w) float32 in [0, 1]."""
    drawn = [draw_crack(strand.points_xy, strand.width_px, size_hw) for strand in strands]
    return np.asarray(np.max(drawn, axis=0), np.float32)


def truth_mask(coverage: Map) -> Mask:
    """Return the pixels of which a crack covers at least half, (h, w) bool."""
    return coverage >= 0.5


def _draw_segment(coverage: Map, ends_xy: Points, radius_px: Points) -> None:
    reach = radius_px.max() + 1
    low = np.maximum(np.floor(ends_xy.min(0) - reach), 0).astype(int)
    high = np.minimum(np.ceil(ends_xy.max(0) + reach) + 1, coverage.shape[::-1]).astype(int)
    if (high <= low).any():
        return
    x = np.arange(low[0], high[0])[None, :] - ends_xy[0, 0]
    y = np.arange(low[1], high[1])[:, None] - ends_xy[0, 1]
    along_x, along_y = ends_xy[1] - ends_xy[0]
    square = max(along_x**2 + along_y**2, 1e-12)
    t = np.clip((x * along_x + y * along_y) / square, 0, 1)  # position along the segment, (h, w)
    distance = np.hypot(x - t * along_x, y - t * along_y)
    radius = radius_px[0] + t * (radius_px[1] - radius_px[0])
    inside = np.minimum(distance + 0.5, radius) - np.maximum(distance - 0.5, -radius)
    window = coverage[low[1] : high[1], low[0] : high[0]]
    np.maximum(window, np.clip(inside, 0, 1), out=window, casting="same_kind")


def random_crack(
    rng: np.random.Generator,
    *,
    start_xy: tuple[float, float],
    end_xy: tuple[float, float],
    width_px: float,
    branches: int,
) -> list[Strand]:
    """Return a crack that wanders from one point to another, its trunk first.

    Args:
        rng: draws every bend, width and branch.
        start_xy: where the trunk starts, thin.
        end_xy: where it ends, thin.
        width_px: of the trunk, about; everything is clipped to 1.5 to 8.
        branches: how many thinner strands leave the trunk.
    """
    trunk = _random_strand(rng, start_xy, end_xy, width_px, wide_start=False)
    strands = [trunk]
    way = np.subtract(end_xy, start_xy)
    for at in rng.uniform(0.1, 0.9, branches):
        i = int(at * len(trunk.points_xy))
        turn = rng.choice([-1, 1]) * rng.uniform(0.45, 1.2)
        reach = way * rng.uniform(0.12, 0.4)
        x, y = trunk.points_xy[i]
        end = (
            x + np.cos(turn) * reach[0] - np.sin(turn) * reach[1],
            y + np.sin(turn) * reach[0] + np.cos(turn) * reach[1],
        )
        width = trunk.width_px[i] * rng.uniform(0.5, 0.85)
        strands.append(_random_strand(rng, (x, y), end, width, wide_start=True))
    return strands


def _random_strand(
    rng: np.random.Generator,
    start_xy: tuple[float, float],
    end_xy: tuple[float, float],
    width_px: float,
    *,
    wide_start: bool,
) -> Strand:
    """Return the straight way, bent by noise of every size and chipped at every vertex."""
    way = np.subtract(end_xy, start_xy)
    length_px = max(float(np.hypot(*way)), 1.0)
    n = max(int(length_px / STEP_PX), 8)
    t = np.linspace(0, 1, n)
    aside = 0.25 * length_px * np.sum([size * _smooth(rng, n, size * n) for size in BENDS], axis=0)
    aside -= aside[0] + t * (aside[-1] - aside[0])  # so that it comes to the end
    normal = np.array([-way[1], way[0]]) / length_px
    points = np.asarray(start_xy) + t[:, None] * way + aside[:, None] * normal
    points += rng.normal(0, 0.45, (n, 2))
    swell = 1 + 0.35 * _smooth(rng, n, 14) + 0.25 * _smooth(rng, n, 1.5)
    taper = np.clip((1 - t) / 0.25, 0.25, 1)
    if not wide_start:
        taper *= np.clip(t / 0.15, 0.25, 1)
    return Strand(points_xy=points, width_px=np.clip(width_px * taper * swell, 1.5, 8))


def _smooth(rng: np.random.Generator, n: int, sigma: float) -> Points:
    """Return n samples of smooth noise of deviation 1, about; `sigma` in samples."""
    noise = cv2.GaussianBlur(
        rng.normal(size=(n, 1)), (1, 0), 1, sigmaY=sigma, borderType=cv2.BORDER_REFLECT
    )
    return np.asarray(noise[:, 0] * np.sqrt(2 * np.sqrt(np.pi) * sigma), np.float64)
