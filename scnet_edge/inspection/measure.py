"""The cracks of a mask as numbers: length, width, direction; in pixels and, scaled, in mm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.errors import ConfigError, InputError
from scnet_edge.inspection.skeleton import (
    Edge,
    Path,
    Points,
    arc_length,
    longest_route,
    thin,
    trace,
)
from scnet_edge.types import Frame, Map, Mask

Values: TypeAlias = Points  # (n,)

_LARGEST_SIDE_PX = 32766  # cv2.remap takes no more
_PAD_PX = 2
_SAMPLE_PX = 1.0  # along a normal
_MOST_SAMPLES = 4_000_000  # of one line, so that a mask that is all crack fits in memory
_SMOOTH_ALONG_PX = 5  # neighbouring normals averaged before an edge is looked for
_LEAST_CONTRAST = 12.0  # grey levels between crack and wall; below, an edge is not believed
_LEAST_WIDTH_MM_PX = 3.0  # thinner than this, mixed pixels decide the width
# An edge that falls anywhere within a pixel is off by 1/sqrt(12), and along an axis-aligned crack
# this does not average out; a width and a length have two edges. The image's figure and the share
# of a length are what drawn cracks of known size leave, rounded up.
_MASK_SIGMA_PX = math.sqrt(2 / 12)
_IMAGE_SIGMA_PX = 0.25
_LENGTH_SIGMA_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Millimetres per pixel at the wall, and the standard deviation of that figure.

    Raises:
        ConfigError: mm_per_px is not a positive number, or its sigma is negative.
    """

    mm_per_px: float
    sigma_mm_per_px: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mm_per_px) and self.mm_per_px > 0):
            raise ConfigError(f"mm per pixel must be a number above 0, found {self.mm_per_px}")
        if not (math.isfinite(self.sigma_mm_per_px) and self.sigma_mm_per_px >= 0):
            raise ConfigError(
                f"sigma of mm per pixel must be a number from 0, found {self.sigma_mm_per_px}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Crack:
    """One 8-connected component of a mask.

    Attributes:
        length_px: centre line from end to end, all branches together.
        width_mean_px: mean of the widths across the centre line, one per pixel of length.
        width_p95_px: their 95th percentile.
        width_max_px: their maximum. Junctions are left out: there is no width there.
        width_source: "image" if the edges were found in the grey image, "mask" if in the mask.
        angle_deg: principal axis of the mask, in [0, 180): 0 along x, 90 along y. The y axis points
            down, so 45 runs from top left to bottom right. Arbitrary where no axis is longer.
        area_px: pixels of the mask.
        bbox_xyxy: left, top, right, bottom; right and bottom are the first pixels outside.
        branches: points where three or more stretches of the centre line meet.
        tortuosity: arc over chord of the longest route along the centre line; 1 is straight.
        length_mm, width_mean_mm, width_p95_mm, width_max_mm, area_mm2: the same in millimetres;
            None without a scale, a width also where it is below 3 px.
        *_sigma: standard deviation, of two independent parts: the scale's own sigma, and the
            pixel grid. On the grid a length and a width have two edges, each uncertain by
            1/sqrt(12) px (together 0.41 px; 0.25 px for a width found in the image), a length
            1 % besides for the staircase of its centre line; an area has its width's sigma along
            its length. That the mask marks the crack truly is taken for granted.
    """

    length_px: float
    width_mean_px: float
    width_p95_px: float
    width_max_px: float
    width_source: str
    angle_deg: float
    area_px: int
    bbox_xyxy: tuple[int, int, int, int]
    branches: int
    tortuosity: float
    length_mm: float | None = None
    length_mm_sigma: float | None = None
    width_mean_mm: float | None = None
    width_mean_mm_sigma: float | None = None
    width_p95_mm: float | None = None
    width_p95_mm_sigma: float | None = None
    width_max_mm: float | None = None
    width_max_mm_sigma: float | None = None
    area_mm2: float | None = None
    area_mm2_sigma: float | None = None


def measure_cracks(
    mask: Mask, *, frame: Frame | None = None, scale: Scale | None = None, min_area_px: int = 20
) -> list[Crack]:
    """Return the cracks of a mask, the largest first.

    Args:
        mask: (h, w) bool, True where a crack is.
        frame: (h, w, 3) uint8 BGR, what the mask was made from. Widths are then taken between the
            points half-way in grey from the wall to the darkest of the crack, if at least half of
            the crack is so much darker. Below 3 px the lens' blur makes such widths read large.
        scale: gives the millimetres.
        min_area_px: smaller components are left out.

    Raises:
        InputError: the mask is not (h, w) bool, is too large, or the frame does not fit it.
    """
    _check(mask, frame)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    order = [i for i in np.argsort(-areas, kind="stable") if areas[i] >= min_area_px]
    skeleton = thin(mask)
    cracks = []
    for label in (i + 1 for i in order):
        x, y, w, h = (int(v) for v in stats[label, :4])
        here = labels[y : y + h, x : x + w] == label
        crop, centre = (np.pad(m, _PAD_PX) for m in (here, here & skeleton[y : y + h, x : x + w]))
        cracks.append(_measure(crop, centre, (x, y, x + w, y + h), mask.shape[:2], frame, scale))
    return cracks


def _check(mask: Mask, frame: Frame | None) -> None:
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise InputError(f"mask must be (h, w) bool, found {mask.shape} {mask.dtype}")
    if not 1 <= min(mask.shape) <= max(mask.shape) <= _LARGEST_SIDE_PX:
        raise InputError(f"mask sides must be 1 to {_LARGEST_SIDE_PX} px, found {mask.shape}")
    if frame is not None and (frame.shape != (*mask.shape, 3) or frame.dtype != np.uint8):
        raise InputError(
            f"frame must be {(*mask.shape, 3)} uint8 to fit, found {frame.shape} {frame.dtype}"
        )


def _measure(
    crop: Mask,
    skeleton: Mask,
    bbox_xyxy: tuple[int, int, int, int],
    frame_hw: tuple[int, int],
    frame: Frame | None,
    scale: Scale | None,
) -> Crack:
    stencil = crop.astype(np.float32)
    radius_px = cv2.distanceTransform(crop.astype(np.uint8), cv2.DIST_L2, 5).astype(np.float32)
    spine = _spine(trace(skeleton, radius_px), stencil, radius_px)
    area_px = int(crop.sum())
    length_px = sum(edge.length_px for edge in spine.edges) if spine.edges else _long_side(stencil)
    origin_xy = np.array(bbox_xyxy[:2], float) - _PAD_PX
    widths_px, source = _widths(spine, stencil, radius_px, origin_xy, frame_hw, frame)
    if widths_px.size == 0:
        widths_px = np.array([area_px / length_px])
    width_mean_px, width_p95_px, width_max_px = (
        float(v) for v in (widths_px.mean(), np.percentile(widths_px, 95), widths_px.max())
    )
    width_sigma_px = _IMAGE_SIGMA_PX if source == "image" else _MASK_SIGMA_PX
    length_sigma_px = math.hypot(_MASK_SIGMA_PX, _LENGTH_SIGMA_SHARE * length_px)
    length_mm, length_mm_sigma = _in_mm(length_px, length_sigma_px, scale)
    mean_mm, mean_mm_sigma = _width_in_mm(width_mean_px, width_sigma_px, scale)
    p95_mm, p95_mm_sigma = _width_in_mm(width_p95_px, width_sigma_px, scale)
    max_mm, max_mm_sigma = _width_in_mm(width_max_px, width_sigma_px, scale)
    area_mm2, area_mm2_sigma = _area_in_mm2(area_px, length_px * _MASK_SIGMA_PX, scale)
    return Crack(
        length_px=length_px,
        width_mean_px=width_mean_px,
        width_p95_px=width_p95_px,
        width_max_px=width_max_px,
        width_source=source,
        angle_deg=_angle_deg(stencil),
        area_px=area_px,
        bbox_xyxy=bbox_xyxy,
        branches=spine.branches,
        tortuosity=_tortuosity(spine),
        length_mm=length_mm,
        length_mm_sigma=length_mm_sigma,
        width_mean_mm=mean_mm,
        width_mean_mm_sigma=mean_mm_sigma,
        width_p95_mm=p95_mm,
        width_p95_mm_sigma=p95_mm_sigma,
        width_max_mm=max_mm,
        width_max_mm_sigma=max_mm_sigma,
        area_mm2=area_mm2,
        area_mm2_sigma=area_mm2_sigma,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spine:
    lines: list[Points]
    edges: list[Edge]
    places: dict[int, Values]
    branches: int


def _spine(paths: list[Path], stencil: Map, radius_px: Map) -> _Spine:
    """Return the paths cut where the thinning frays them, and led on to the mask's ends."""
    ends: dict[int, list[Values]] = {}
    for path in paths:
        for node, point in zip(path.nodes, (path.points[0], path.points[-1]), strict=True):
            if node is not None:
                ends.setdefault(node, []).append(point)
    places = {node: np.mean(points, axis=0) for node, points in ends.items() if len(points) > 1}
    branches = sum(len(points) > 2 for points in ends.values())
    lines, edges = [], []
    if sum(len(path.points) for path in paths) < 3:
        paths = []
    for path in paths:
        line = path.points
        nodes, extra_px = [], 0.0
        for node in path.nodes:
            # Each turn works at the front and turns the line round, so two turns do both ends.
            if node not in places:
                line, tip = _led_out(line, stencil, radius_px)
                node = -1 - len(places)
                places[node] = tip
            extra_px += math.dist(places[node], line[0])
            nodes.append(node)
            line = line[::-1]
        lines.append(line)
        edges.append(Edge(nodes=(nodes[0], nodes[1]), length_px=arc_length(line) + extra_px))
    return _Spine(lines=lines, edges=edges, places=places, branches=branches)


def _led_out(line: Points, stencil: Map, radius_px: Map) -> tuple[Points, Values]:
    """Return the line without its frayed first radius, and where it then leaves the mask."""
    # The radius of the crack near its end, for at the end the line may have run into a corner.
    x, y = np.rint(line[: math.ceil(2 * radius_px.max())].T).astype(int)
    radius = float(radius_px[y, x].max())
    if len(line) > 4 * radius + 4:
        line = line[math.ceil(radius) :]
    heading = line[0] - line[min(len(line) - 1, round(2 * radius) + 4)]
    norm = float(np.hypot(*heading))
    if norm == 0:
        return line, line[0]
    reach_px = np.arange(0, 4 * radius + 6, 0.25)
    ray = line[:1], heading[None] / norm
    out = _sample(stencil, _grid(*ray, reach_px))[0] < 0.5
    return line, line[0] + heading / norm * reach_px[int(out.argmax())]


def _widths(
    spine: _Spine,
    stencil: Map,
    radius_px: Map,
    origin_xy: Values,
    frame_hw: tuple[int, int],
    frame: Frame | None,
) -> tuple[Values, str]:
    """Return the widths across the centre line and where they come from: "image" or "mask"."""
    reach_px = 1.5 * float(radius_px.max()) + (2 if frame is None else 6)
    steps = math.ceil(reach_px / _SAMPLE_PX)
    offsets = np.arange(-steps, steps + 1, dtype=np.float64)
    offsets *= _SAMPLE_PX
    most = min(_LARGEST_SIDE_PX, max(2, _MOST_SAMPLES // len(offsets)))
    lines = [_evenly(line, most=most) for line in spine.lines if len(line) > 1]
    from_mask, from_image = [np.empty(0)], [np.empty(0)]
    for line in lines:
        across = np.asarray(np.gradient(line, axis=0)[:, ::-1] * (1, -1), float)
        across /= np.maximum(np.hypot(across[:, :1], across[:, 1:]), 1e-9)
        grid = _grid(line, across, offsets)
        edges = _edges(_along(_sample(stencil, grid)), offsets)
        from_mask.append(_inside(edges, line + origin_xy, across, frame_hw))
        if frame is not None:
            grey = _along(_grey(_sample(frame, _grid(line + origin_xy, across, offsets))))
            edges = _edges(_darkness(grey, offsets, edges), offsets)
            from_image.append(_inside(edges, line + origin_xy, across, frame_hw))
    mask_px, image_px = np.concatenate(from_mask), np.concatenate(from_image)
    seen = image_px[~np.isnan(image_px)]
    if seen.size and 2 * seen.size >= mask_px.size:
        return seen, "image"
    return mask_px[~np.isnan(mask_px)], "mask"


def _evenly(line: Points, *, most: int) -> Points:
    """Return the line with points one pixel apart, or further where that were more than `most`."""
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    count = min(max(2, round(arc[-1]) + 1), most)
    at = np.linspace(0, arc[-1], count)
    return np.stack([np.interp(at, arc, axis) for axis in line.T], axis=1)


def _grid(line: Points, across: Points, offsets: Values) -> tuple[Map, Map]:
    """Return x and y, each (n, m) float32, at m offsets along the normals of n points."""
    x, y = (line[:, i : i + 1] + across[:, i : i + 1] * offsets for i in (0, 1))
    return x.astype(np.float32), y.astype(np.float32)


def _sample(image: Map | Frame, grid_xy: tuple[Map, Map]) -> Any:
    """Return the image at the grid, between pixels linearly; outside, a mask is 0."""
    border = cv2.BORDER_CONSTANT if image.ndim == 2 else cv2.BORDER_REPLICATE
    return cv2.remap(image, *grid_xy, cv2.INTER_LINEAR, borderMode=border)


def _grey(colour: Frame) -> Map:
    return np.asarray(cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY), np.float32)


def _along(profiles: Map) -> Map:
    blurred: Any = cv2.blur(profiles, (1, _SMOOTH_ALONG_PX), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def _edges(height: Map, offsets: Values) -> Points:
    """Return (n, 2): where each profile falls below 0.5, left and right of its ridge; NaN: nowhere.

    The ridge is the highest sample within 1.5 px of the centre line.
    """
    near = np.flatnonzero(np.abs(offsets) <= 1.5)
    # The least slope settles ties on a plateau for the centre.
    ridge = near[0] + (height[:, near] - 1e-3 * np.abs(offsets[near])).argmax(axis=1)
    right = _fall(height, ridge)
    left = len(offsets) - 1 - _fall(height[:, ::-1], len(offsets) - 1 - ridge)
    return np.asarray(offsets[0] + _SAMPLE_PX * np.stack([left, right], axis=1))


def _fall(height: Map, start: npt.NDArray[np.intp]) -> Values:
    """Return the fractional column after `start` where each row first falls below 0.5, or NaN."""
    rows = np.arange(len(height))
    low = (height < 0.5) & (np.arange(height.shape[1]) > start[:, None])
    column = low.argmax(axis=1)
    above, below = height[rows, column - 1], height[rows, column]
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = np.clip((above - 0.5) / (above - below), 0, 1)
    return np.asarray(np.where(low.any(axis=1), column - 1 + fraction, np.nan))


def _darkness(grey: Map, offsets: Values, edges: Points) -> Map:
    """Return profiles that are 1 at a crack's darkest and 0 on the wall, each side by itself.

    NaN where the wall, taken 2 to 5 px outside the mask, is not brighter by the least contrast.
    """
    left, right = edges[:, :1], edges[:, 1:]
    walls = [_mean_where(grey, (offsets >= left - 5) & (offsets <= left - 2))]
    walls.append(_mean_where(grey, (offsets >= right + 2) & (offsets <= right + 5)))
    dark = np.where((offsets >= left) & (offsets <= right), grey, np.inf).min(axis=1, keepdims=True)
    wall = np.where(offsets < 0, *walls)
    enough = np.minimum(*walls) - dark >= _LEAST_CONTRAST
    depth = np.where(enough, wall - dark, np.nan)
    return np.asarray((wall - grey) / depth, np.float32)


def _mean_where(values: Map, where: Mask) -> Values:
    total = np.einsum("nm,nm->n", values, where, dtype=float)
    return np.asarray((total / np.maximum(where.sum(axis=1), 1))[:, None])


def _inside(edges: Points, line_xy: Points, across: Points, frame_hw: tuple[int, int]) -> Values:
    """Return the widths, NaN where an edge is at the frame's own: the crack may go on there."""
    at_xy = line_xy[:, None] + edges[..., None] * across[:, None]  # (n, 2 edges, 2)
    seen = (at_xy >= 0) & (at_xy <= np.array(frame_hw[::-1]) - 1)
    return np.where(seen.all(axis=(1, 2)), edges[:, 1] - edges[:, 0], np.nan)


def _long_side(stencil: Map) -> float:
    """Return the longer side of the smallest rectangle round a component with no line in it."""
    centres = np.argwhere(stencil)[:, ::-1].astype(np.float32)
    return float(max(cv2.minAreaRect(centres)[1])) + 1


def _angle_deg(stencil: Map) -> float:
    m = cv2.moments(stencil, binaryImage=True)
    return math.degrees(0.5 * math.atan2(2 * m["mu11"], m["mu20"] - m["mu02"])) % 180


def _tortuosity(spine: _Spine) -> float:
    if not spine.edges:
        return 1.0
    start, end, arc_px = longest_route(spine.edges)
    chord_px = math.dist(spine.places[start], spine.places[end])
    return max(1.0, arc_px / max(chord_px, 1.0))


def _in_mm(
    value_px: float, sigma_px: float, scale: Scale | None
) -> tuple[float | None, float | None]:
    if scale is None:
        return None, None
    sigma_mm = math.hypot(sigma_px * scale.mm_per_px, value_px * scale.sigma_mm_per_px)
    return value_px * scale.mm_per_px, sigma_mm


def _width_in_mm(
    value_px: float, sigma_px: float, scale: Scale | None
) -> tuple[float | None, float | None]:
    return _in_mm(value_px, sigma_px, scale if value_px >= _LEAST_WIDTH_MM_PX else None)


def _area_in_mm2(
    value_px: float, sigma_px: float, scale: Scale | None
) -> tuple[float | None, float | None]:
    if scale is None:
        return None, None
    mm2_per_px = scale.mm_per_px**2
    sigma_mm2_per_px = 2 * scale.mm_per_px * scale.sigma_mm_per_px
    return value_px * mm2_per_px, math.hypot(sigma_px * mm2_per_px, value_px * sigma_mm2_per_px)
