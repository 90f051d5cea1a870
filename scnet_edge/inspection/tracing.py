"""The cracks of a mask as lines with their edges, in pixels; what measuring and placing share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.errors import InputError
from scnet_edge.inspection.skeleton import Points, longest_route, thin, trace
from scnet_edge.inspection.spine import Spine, Values, spine_of
from scnet_edge.inspection.width import LARGEST_SIDE_PX, Profile, profiles
from scnet_edge.types import Frame, Map, Mask

MIN_AREA_PX = 20  # the connected pixels from which on a crack is measured and reported

_PAD_PX = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """One 8-connected component of a mask.

    Attributes:
        lines: stretches of the centre line from node to node, each (n, 2) xy in the frame, n >= 2,
            about one pixel apart; the first and last points are the nodes or the crack's ends.
        edges_xy: (m, 2, 2), the left and right edge at each of the m points of all lines, from
            left to right, NaN where there is no width: at nodes, at the frame's border.
        width_px: (m,), the distance between the two.
        width_source: "image" if the edges were found in the grey image, "mask" if in the mask.
        length_px, area_px, angle_deg, branches, tortuosity: as `measure.Crack` has them.
        bbox_xyxy: left, top, right, bottom; right and bottom are the first pixels outside.
        crop: (h, w) bool, the component within its box.
    """

    lines: list[Points]
    edges_xy: npt.NDArray[np.float64]
    width_px: Values
    width_source: Literal["image", "mask"]
    length_px: float
    area_px: int
    angle_deg: float
    branches: int
    tortuosity: float
    bbox_xyxy: tuple[int, int, int, int]
    crop: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class _Area:
    """A component on its way: its crop, padded, and its centre line in the crop's pixels."""

    stencil: Map
    spine: Spine
    area_px: int
    bbox_xyxy: tuple[int, int, int, int]
    radius_px: float

    def origin_xy(self) -> Values:
        return np.array(self.bbox_xyxy[:2], float) - _PAD_PX


def trace_cracks(
    mask: Mask, *, frame: Frame | None = None, min_area_px: int = MIN_AREA_PX
) -> list[Traced]:
    """Return the cracks of a mask, the largest first.

    Args:
        mask: (h, w) bool, True where a crack is.
        frame: (h, w, 3) uint8 BGR, what the mask was made from: refines the edges.
        min_area_px: smaller components are left out.

    Raises:
        InputError: the mask is not (h, w) bool, is too large, or the frame does not fit it.
    """
    _check(mask, frame)
    parts = _parts(mask, min_area_px)
    lines, reach_px = [], []
    for part in parts:
        long_lines = [line + part.origin_xy() for line in part.spine.lines if len(line) > 1]
        lines += long_lines
        reach_px += [part.radius_px] * len(long_lines)
    grey = None if frame is None else np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)
    found = iter(profiles(lines, reach_px, mask.view(np.uint8) * np.uint8(255), grey))
    return [
        _trace(part, [next(found) if len(line) > 1 else None for line in part.spine.lines])
        for part in parts
    ]


def _check(mask: Mask, frame: Frame | None) -> None:
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise InputError(f"mask must be (h, w) bool, found {mask.shape} {mask.dtype}")
    if not 1 <= min(mask.shape) <= max(mask.shape) <= LARGEST_SIDE_PX:
        raise InputError(f"mask sides must be 1 to {LARGEST_SIDE_PX} px, found {mask.shape}")
    if frame is not None and (frame.shape != (*mask.shape, 3) or frame.dtype != np.uint8):
        raise InputError(
            f"frame must be {(*mask.shape, 3)} uint8 to fit, found {frame.shape} {frame.dtype}"
        )


def _parts(mask: Mask, min_area_px: int) -> list[_Area]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    order = [i + 1 for i in np.argsort(-areas, kind="stable") if areas[i] >= min_area_px]
    if not order:
        return []
    skeleton = thin(mask)
    parts = []
    for label in order:
        x, y, w, h = (int(v) for v in stats[label, :4])
        here = labels[y : y + h, x : x + w] == label
        crop, centre = (_pad(m) for m in (here, here & skeleton[y : y + h, x : x + w]))
        area_px = int(stats[label, cv2.CC_STAT_AREA])
        parts.append(_part(crop, centre, area_px, (x, y, x + w, y + h)))
    return parts


def _pad(mask: Mask) -> Mask:
    height, width = mask.shape
    padded = np.zeros((height + 2 * _PAD_PX, width + 2 * _PAD_PX), bool)
    padded[_PAD_PX:-_PAD_PX, _PAD_PX:-_PAD_PX] = mask
    return padded


def _part(crop: Mask, skeleton: Mask, area_px: int, bbox_xyxy: tuple[int, int, int, int]) -> _Area:
    stencil = crop.astype(np.float32)
    radius_px = cv2.distanceTransform(crop.astype(np.uint8), cv2.DIST_L2, 5).astype(np.float32)
    return _Area(
        stencil=stencil,
        spine=spine_of(trace(skeleton, radius_px), stencil, radius_px),
        area_px=area_px,
        bbox_xyxy=bbox_xyxy,
        radius_px=float(radius_px.max()),
    )


def _trace(part: _Area, found: list[Profile | None]) -> Traced:
    spine = part.spine
    lines, edges_xy, source = _with_edges(part, found)
    if not spine.edges:
        lines, edges_xy = [_long_axis(part)], np.full((2, 2, 2), np.nan)
    length_px = sum(edge.length_px for edge in spine.edges) or _length(lines[0]) + 1
    across = edges_xy[:, 1] - edges_xy[:, 0]
    return Traced(
        lines=lines,
        edges_xy=edges_xy,
        width_px=np.hypot(across[:, 0], across[:, 1]),
        width_source=source,
        length_px=length_px,
        area_px=part.area_px,
        angle_deg=_angle_deg(part.stencil),
        branches=spine.branches,
        tortuosity=_tortuosity(spine),
        bbox_xyxy=part.bbox_xyxy,
        crop=part.stencil[_PAD_PX:-_PAD_PX, _PAD_PX:-_PAD_PX] > 0,
    )


def _with_edges(
    part: _Area, found: list[Profile | None]
) -> tuple[list[Points], npt.NDArray[np.float64], Literal["image", "mask"]]:
    """Return the lines led on to their nodes, and their edges from the better of both sources."""
    seen = [profile for profile in found if profile is not None]
    image = sum(int((~np.isnan(p.image_px[:, 0])).sum()) for p in seen)
    from_image = image > 0 and 2 * image >= sum(len(p.mask_px) for p in seen)
    lines, edges = [], []
    for edge, line, profile in zip(part.spine.edges, part.spine.lines, found, strict=True):
        nodes = [part.spine.places[node] + part.origin_xy() for node in edge.nodes]
        points = line + part.origin_xy() if profile is None else profile.points_xy
        lines.append(np.vstack([nodes[0], points, nodes[1]]))
        beside = np.full((len(points) + 2, 2, 2), np.nan)
        if profile is not None:
            offsets = profile.image_px if from_image else profile.mask_px
            beside[1:-1] = points[:, None] + offsets[..., None] * profile.across[:, None]
        edges.append(beside)
    both = np.concatenate(edges) if edges else np.empty((0, 2, 2))
    return lines, both, "image" if from_image else "mask"


def _length(line: Points) -> float:
    return sum(math.dist(a, b) for a, b in pairwise(line))


def _long_axis(part: _Area) -> Points:
    """Return the two ends of the longer side of the smallest rectangle round a component."""
    centres = np.argwhere(part.stencil)[:, ::-1].astype(np.float32)
    corners = cv2.boxPoints(cv2.minAreaRect(centres)).astype(float) + part.origin_xy()
    middles = [(corners[i] + corners[(i + 1) % 4]) / 2 for i in range(4)]
    return np.array(max((middles[0::2], middles[1::2]), key=lambda ends: math.dist(*ends)))


def _angle_deg(stencil: Map) -> float:
    m = cv2.moments(stencil, binaryImage=True)
    return math.degrees(0.5 * math.atan2(2 * m["mu11"], m["mu20"] - m["mu02"])) % 180


def _tortuosity(spine: Spine) -> float:
    if not spine.edges:
        return 1.0
    start, end, arc_px = longest_route(spine.edges)
    chord_px = math.dist(spine.places[start], spine.places[end])
    return max(1.0, arc_px / max(chord_px, 1.0))
