"""The cracks of one frame, placed on the wall: what the follower compares from frame to frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from scnet_edge.inspection.geometry import Geometry, mm_per_px, wrap_around
from scnet_edge.inspection.measure import (
    IMAGE_SIGMA_PX,
    MASK_SIGMA_PX,
    area_figure,
    length_figure,
    width_figures,
    widths_px,
)
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.records import Sighting
from scnet_edge.inspection.skeleton import Points
from scnet_edge.inspection.spine import Values
from scnet_edge.inspection.tracing import Traced
from scnet_edge.types import Map, Mask

_RIM_PX = 6.0  # nearer to the frame's border, what a crack looks like depends on the border
_OUTLINE_POINTS = 64
_TANGENT_PX = 3  # half of the stretch that gives a line's direction on the wall


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A sighting, point by point, about one pixel apart; m points of all its lines.

    Attributes:
        wall_mm: (m, 2), mm of chainage and mm around from the crown; from the camera where the
            chainage is not known, pixels where there is no scale.
        frame_xy: (m, 2), the same points in the frame.
        width_mm, width_px: (m,), NaN where there is no width.
        scale: (m,), mm per pixel.
        rim: (m,) bool, True at the border of what the camera sees.
    """

    sighting: Sighting
    wall_mm: Points
    frame_xy: Points
    width_mm: Values
    width_px: Values
    width_sigma_px: float
    scale: Values
    rim: Mask


def place(
    frame_id: int, cracks: list[Traced], probability: Map | None, geometry: Geometry, pose: Pose
) -> list[Placed]:
    """Return the cracks of a frame on the wall; what lies further than is believed is left out.

    Args:
        frame_id: of the frame.
        cracks: its cracks, traced.
        probability: (h, w) float32, whose mean over a crack is its confidence; None for certainty.
        geometry: how the camera sees the wall.
        pose: where the robot was.
    """
    placed = (_place(frame_id, crack, probability, geometry, pose) for crack in cracks)
    return [one for one in placed if one is not None]


def _place(
    frame_id: int, crack: Traced, probability: Map | None, geometry: Geometry, pose: Pose
) -> Placed | None:
    points = np.concatenate(crack.lines)
    level_mm = geometry.project(points)
    scale = mm_per_px(geometry, points)
    seen = ~np.isnan(level_mm[:, 0] + scale)
    if seen.sum() < 2:
        return None
    wall_mm = level_mm + shift_mm(geometry, pose)
    width_mm = _widths_mm(crack, wall_mm, geometry)
    length_mm = _length_mm(crack, wall_mm, geometry)
    sighting = _sighting(frame_id, crack, probability, geometry, pose)
    if geometry.scaled:
        sighting = _in_mm(sighting, crack, geometry, scale, width_mm, length_mm)
    return Placed(
        sighting=_outline(sighting, wall_mm[seen], geometry, pose),
        wall_mm=wall_mm[seen],
        frame_xy=points[seen],
        width_mm=width_mm[seen],
        width_px=crack.width_px[seen],
        width_sigma_px=_width_sigma_px(crack),
        scale=scale[seen],
        rim=_rim(points, seen, geometry)[seen],
    )


def shift_mm(geometry: Geometry, pose: Pose) -> Values:
    """Return how far a pose moves what a level robot at chainage 0 sees: along, and around."""
    along_mm = 1000 * (pose.chainage_m or 0.0)
    around_mm = 1000 * pose.across_m
    if geometry.around_mm is not None:
        around_mm += (pose.roll_deg or 0.0) / 360 * geometry.around_mm
    return np.array([along_mm, around_mm])


def clock_h(around_mm: Values, circumference_mm: float) -> Values:
    """Return clock positions in [0, 12)."""
    return np.asarray(around_mm / circumference_mm * 12 % 12)


def direction_deg(places_mm: Points) -> float:
    """Return the principal direction of (n, 2) places in [0, 180): 0 along, 90 around."""
    along, around = (places_mm - places_mm.mean(axis=0)).T
    both = 2 * float(along @ around)
    return math.degrees(0.5 * math.atan2(both, float(along @ along - around @ around))) % 180


def _widths_mm(crack: Traced, wall_mm: Points, geometry: Geometry) -> Values:
    """Return the widths on the wall, square to the crack's direction there."""
    known = ~np.isnan(crack.width_px)
    width_mm = np.full(len(known), np.nan)
    ends = geometry.project(crack.edges_xy[known].reshape(-1, 2)).reshape(-1, 2, 2)
    across = wrap_around(ends[:, 1] - ends[:, 0], geometry)
    along = wrap_around(_along(crack, wall_mm)[known], geometry)
    norm = np.hypot(along[:, 0], along[:, 1])
    with np.errstate(invalid="ignore", divide="ignore"):
        width_mm[known] = np.abs(across[:, 0] * along[:, 1] - across[:, 1] * along[:, 0]) / norm
    return width_mm


def _along(crack: Traced, wall_mm: Points) -> Points:
    """Return the way on the wall from a few points before to a few points after each point."""
    ways, start = [], 0
    for line in crack.lines:
        at = np.arange(len(line))
        after = np.minimum(at + _TANGENT_PX, len(line) - 1)
        before = np.maximum(at - _TANGENT_PX, 0)
        ways.append(wall_mm[start + after] - wall_mm[start + before])
        start += len(line)
    return np.concatenate(ways)


def _length_mm(crack: Traced, wall_mm: Points, geometry: Geometry) -> float:
    steps = wrap_around(np.diff(wall_mm, axis=0), geometry)
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    lengths[np.cumsum([len(line) for line in crack.lines])[:-1] - 1] = 0  # between two lines
    return float(np.nansum(lengths))


def _sighting(
    frame_id: int, crack: Traced, probability: Map | None, geometry: Geometry, pose: Pose
) -> Sighting:
    mean_px, p95_px, max_px = widths_px(crack)
    left, top, right, bottom = crack.bbox_xyxy
    confidence = 1.0
    if probability is not None:
        confidence = float(probability[top:bottom, left:right][crack.crop].mean())
    return Sighting(
        frame_id=frame_id,
        bbox_xyxy=crack.bbox_xyxy,
        outline_m_h=(),
        angle_deg=crack.angle_deg,
        branches=crack.branches,
        tortuosity=crack.tortuosity,
        confidence=confidence,
        length_px=crack.length_px,
        width_mean_px=mean_px,
        width_p95_px=p95_px,
        width_max_px=max_px,
        area_px=crack.area_px,
        mm_per_px=None,
        length_mm=None,
        width_mean_mm=None,
        width_p95_mm=None,
        width_max_mm=None,
        area_mm2=None,
    )


def _in_mm(
    sighting: Sighting,
    crack: Traced,
    geometry: Geometry,
    scale: Values,
    width_mm: Values,
    length_mm: float,
) -> Sighting:
    mean_scale = float(np.nanmean(scale))
    area_mm2 = crack.area_px * float(np.nanmean(scale**2))
    return replace(
        sighting,
        mm_per_px=mean_scale,
        length_mm=length_figure(length_mm, mean_scale, geometry.sigma_share),
        area_mm2=area_figure(area_mm2, length_mm, mean_scale, geometry.sigma_share),
        **width_figures(width_mm, crack.width_px, _width_sigma_px(crack), geometry.sigma_share),
    )


def _outline(sighting: Sighting, wall_mm: Points, geometry: Geometry, pose: Pose) -> Sighting:
    if not geometry.scaled:
        return sighting
    level = wall_mm[:1] + wrap_around(wall_mm - wall_mm[:1], geometry)
    angle_deg = direction_deg(level)
    if pose.chainage_m is None:
        return replace(sighting, angle_deg=angle_deg)
    few = wall_mm[:: max(1, len(wall_mm) // _OUTLINE_POINTS)]
    return replace(sighting, angle_deg=angle_deg, outline_m_h=outline(few, geometry.around_mm))


def outline(places_mm: Points, around_mm: float | None) -> tuple[tuple[float, float], ...]:
    """Return places as chainage in m and clock in h, on a flat wall as m along and m across."""
    second = places_mm[:, 1] / 1000
    if around_mm is not None:
        second = clock_h(places_mm[:, 1], around_mm)
    pairs = zip((places_mm[:, 0] / 1000).round(4), second.round(4), strict=True)
    return tuple(
        (float(along), float(other) % 12 if around_mm else float(other)) for along, other in pairs
    )


def _rim(points: Points, seen: Mask, geometry: Geometry) -> Mask:
    """Return which points are near the frame's border, or where the wall is not believed."""
    height, width = geometry.size_hw
    x, y = points.T
    rim = (x < _RIM_PX) | (y < _RIM_PX) | (x > width - 1 - _RIM_PX) | (y > height - 1 - _RIM_PX)
    near_unseen = np.zeros_like(seen)
    near_unseen[1:] |= ~seen[:-1]
    near_unseen[:-1] |= ~seen[1:]
    return np.asarray(rim | near_unseen)


def _width_sigma_px(crack: Traced) -> float:
    return IMAGE_SIGMA_PX if crack.width_source == "image" else MASK_SIGMA_PX
