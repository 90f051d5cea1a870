"""Lengths, widths and areas on the wall, each with the standard deviation it deserves."""

from __future__ import annotations

import math

import numpy as np

from scnet_edge.inspection.measure import LEAST_WIDTH_MM_PX, LENGTH_SIGMA_SHARE, MASK_SIGMA_PX
from scnet_edge.inspection.records import Figure
from scnet_edge.inspection.spine import Values


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
