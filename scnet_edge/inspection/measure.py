"""The cracks of a mask as numbers: length, width, direction; in pixels and, scaled, in mm.

Each length, width and area on the wall has the standard deviation that it deserves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scnet_edge.errors import ConfigError
from scnet_edge.inspection.records import Figure
from scnet_edge.inspection.spine import Values
from scnet_edge.inspection.tracing import MIN_AREA_PX, Traced, trace_cracks
from scnet_edge.types import Frame, Mask

LEAST_WIDTH_MM_PX = 3.0  # thinner than this, mixed pixels decide the width
# An edge that falls anywhere within a pixel is off by 1/sqrt(12), and along an axis-aligned crack
# this does not average out; a width and a length have two edges. The image's figure and the share
# of a length are what drawn cracks of known size leave, rounded up.
MASK_SIGMA_PX = math.sqrt(2 / 12)
IMAGE_SIGMA_PX = 0.3
LENGTH_SIGMA_SHARE = 0.01


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
            1/sqrt(12) px (together 0.41 px; 0.3 px for a width found in the image), a length
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
    mask: Mask,
    *,
    frame: Frame | None = None,
    scale: Scale | None = None,
    min_area_px: int = MIN_AREA_PX,
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
    traced = trace_cracks(mask, frame=frame, min_area_px=min_area_px)
    return [measure_crack(crack, scale) for crack in traced]


def widths_px(crack: Traced) -> tuple[float, float, float]:
    """Return the mean, the 95th percentile and the maximum of the widths along a crack."""
    known = crack.width_px[~np.isnan(crack.width_px)]
    if known.size == 0:
        known = np.array([crack.area_px / crack.length_px])
    return float(known.mean()), float(np.percentile(known, 95)), float(known.max())


def measure_crack(crack: Traced, scale: Scale | None) -> Crack:
    """Return a traced crack as numbers, in millimetres as well where there is a scale."""
    mean_px, p95_px, max_px = widths_px(crack)
    width_sigma_px = IMAGE_SIGMA_PX if crack.width_source == "image" else MASK_SIGMA_PX
    length_sigma_px = math.hypot(MASK_SIGMA_PX, LENGTH_SIGMA_SHARE * crack.length_px)
    length_mm, length_mm_sigma = _in_mm(crack.length_px, length_sigma_px, scale)
    mean_mm, mean_mm_sigma = _width_in_mm(mean_px, width_sigma_px, scale)
    p95_mm, p95_mm_sigma = _width_in_mm(p95_px, width_sigma_px, scale)
    max_mm, max_mm_sigma = _width_in_mm(max_px, width_sigma_px, scale)
    area_sigma_px = crack.length_px * MASK_SIGMA_PX
    area_mm2, area_mm2_sigma = _area_in_mm2(crack.area_px, area_sigma_px, scale)
    return Crack(
        length_px=crack.length_px,
        width_mean_px=mean_px,
        width_p95_px=p95_px,
        width_max_px=max_px,
        width_source=crack.width_source,
        angle_deg=crack.angle_deg,
        area_px=crack.area_px,
        bbox_xyxy=crack.bbox_xyxy,
        branches=crack.branches,
        tortuosity=crack.tortuosity,
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
    return _in_mm(value_px, sigma_px, scale if value_px >= LEAST_WIDTH_MM_PX else None)


def _area_in_mm2(
    value_px: float, sigma_px: float, scale: Scale | None
) -> tuple[float | None, float | None]:
    if scale is None:
        return None, None
    mm2_per_px = scale.mm_per_px**2
    sigma_mm2_per_px = 2 * scale.mm_per_px * scale.sigma_mm_per_px
    return value_px * mm2_per_px, math.hypot(sigma_px * mm2_per_px, value_px * sigma_mm2_per_px)


def length_figure(length_mm: float, scale: float, sigma_share: float) -> Figure:
    """Return a length with the standard deviation that grid and scale leave it."""
    grid_mm = math.hypot(MASK_SIGMA_PX * scale, LENGTH_SIGMA_SHARE * length_mm)
    return Figure(value=length_mm, sigma=math.hypot(grid_mm, sigma_share * length_mm))


def area_figure(area_mm2: float, length_mm: float, scale: float, sigma_share: float) -> Figure:
    """Return an area: its width is uncertain by the grid along all its length."""
    grid_mm2 = length_mm * MASK_SIGMA_PX * scale
    return Figure(value=area_mm2, sigma=math.hypot(grid_mm2, 2 * sigma_share * area_mm2))


def width_figures(
    width_mm: Values, width_px: Values, sigma_px: float, sigma_share: float
) -> dict[str, Figure | None]:
    """Return width_mean_mm, width_p95_mm and width_max_mm; None where under 3 px wide."""
    known = ~(np.isnan(width_mm) | np.isnan(width_px))
    mm, px = width_mm[known], width_px[known]
    names = ("width_mean_mm", "width_p95_mm", "width_max_mm")
    if not len(mm):
        return dict.fromkeys(names)
    picks = [(float(mm.mean()), float(px.mean()))]
    for share in (95, 100):
        picks.append((float(np.percentile(mm, share)), float(np.percentile(px, share))))
    scale = float(mm.mean() / px.mean())
    return {
        name: Figure(value=value, sigma=math.hypot(sigma_px * scale, sigma_share * value))
        if pixels >= LEAST_WIDTH_MM_PX
        else None
        for name, (value, pixels) in zip(names, picks, strict=True)
    }
