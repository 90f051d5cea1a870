"""One crack for the page: its place in the frame, close up, marked, and its width as a plot.

The plot is SVG made of numbers alone, so that no text can break out of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from scnet_edge.inspection.records import Observation
from scnet_edge.pages import jpeg_address
from scnet_edge.runtime.overlay import draw_overlay
from scnet_edge.survey.evidence import read_crack_mask, read_picture
from scnet_edge.types import Frame, Mask

CONTEXT_PX, CLOSE_PX = 520, 720  # the longer side, as shown
MARGIN = 0.35  # of the crack's own size, around it
LEAST_PX = 160  # of frame, close up
JPEG_QUALITY = 82
_embed = partial(jpeg_address, quality=JPEG_QUALITY)
BOX_BGR, WHITE = (46, 208, 255), (255, 255, 255)
FONT, FONT_SCALE, PLATE_PX = cv2.FONT_HERSHEY_SIMPLEX, 0.6, 8  # of the scale bar
WIDTH, HEIGHT = 640.0, 150.0
LEFT, BOTTOM, TOP = 56.0, 24.0, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Data URIs of JPEGs; `marked` is None where the mask is not known."""

    context: str
    close: str
    marked: str | None


def pictures_of(folder: Path, observation: Observation) -> Pictures | None:
    """Return the pictures of an observation; None where its snapshot is missing or damaged."""
    frame = read_picture(folder, observation)
    if frame is None:
        return None
    mask = read_crack_mask(folder, observation)
    if mask is None or mask.shape != frame.shape[:2] or not mask.any():
        return Pictures(context=_embed(_fit(frame, CONTEXT_PX)), close=_embed(frame), marked=None)
    box = _box_around(mask)
    x0, y0, x1, y1 = box
    close = _fit(frame[y0:y1, x0:x1], CLOSE_PX)
    marked = draw_overlay(close, _fit_mask(mask[y0:y1, x0:x1], close))
    if observation.mm_per_px is not None:
        _draw_scale_bar(marked, observation.mm_per_px * (x1 - x0) / close.shape[1])
    return Pictures(
        context=_embed(_context(frame, box)), close=_embed(close), marked=_embed(marked)
    )


def _box_around(mask: Mask) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom around the crack, with a margin, inside the frame."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    margin = MARGIN * max(width, height)
    across_px = (max(width + 2 * margin, LEAST_PX), max(height + 2 * margin, LEAST_PX))
    # Not upright and not flatter than 2:1, so that all sections look alike.
    wide = max(across_px[0], across_px[1])
    high = max(across_px[1], 0.5 * across_px[0])
    x0, x1 = _span(x + width / 2, wide, mask.shape[1])
    y0, y1 = _span(y + height / 2, high, mask.shape[0])
    return x0, y0, x1, y1


def _span(centre: float, size: float, limit: int) -> tuple[int, int]:
    size = min(size, limit)
    start = min(max(centre - size / 2, 0), limit - size)
    return int(start), int(start + size)


def _context(frame: Frame, box: tuple[int, int, int, int]) -> Frame:
    small = _fit(frame, CONTEXT_PX).copy()
    factor = small.shape[1] / frame.shape[1]
    x0, y0, x1, y1 = (round(v * factor) for v in box)
    cv2.rectangle(small, (x0, y0), (x1 - 1, y1 - 1), (0, 0, 0), 3)
    cv2.rectangle(small, (x0, y0), (x1 - 1, y1 - 1), BOX_BGR, 1)
    return small


def _fit(frame: Frame, side_px: int) -> Frame:
    """Return the frame with its longer side at `side_px`, but at most four times enlarged."""
    factor = min(side_px / max(frame.shape[:2]), 4.0)
    size_wh = (max(1, round(frame.shape[1] * factor)), max(1, round(frame.shape[0] * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(frame, size_wh, interpolation=how), np.uint8)


def _fit_mask(mask: Mask, like: Frame) -> Mask:
    share = cv2.resize(mask.astype(np.float32), like.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(share > 0.4, np.bool_)


def _draw_scale_bar(drawn: Frame, mm_per_px: float) -> None:
    """Draw a bar of a round number of millimetres, a fifth of the picture, on a dark plate."""
    length_mm = nice_ceiling(0.15 * drawn.shape[1] * mm_per_px)
    length_px = round(length_mm / mm_per_px)
    text = f"{length_mm:g} mm"
    (width_px, height_px), below_px = cv2.getTextSize(text, FONT, FONT_SCALE, 1)
    right, bottom = 2 * PLATE_PX + max(length_px, width_px), drawn.shape[0] - PLATE_PX
    top = bottom - height_px - below_px - 2 * PLATE_PX
    drawn[max(top, 0) : bottom, PLATE_PX : right + PLATE_PX] //= 4
    line_y = bottom - PLATE_PX // 2
    start, end = (2 * PLATE_PX, line_y), (2 * PLATE_PX + length_px, line_y)
    cv2.line(drawn, start, end, WHITE, 2)
    at = (start[0], line_y - below_px - 2)
    cv2.putText(drawn, text, at, FONT, FONT_SCALE, WHITE, 1, cv2.LINE_AA)


def width_plot(profile: Sequence[tuple[float, float]], *, unit: str, limit: float | None) -> str:
    """Return an SVG of the width along a crack, with a line at the limit.

    Args:
        profile: (position along the crack, width), both in `unit`; at least two points.
        unit: `mm` or `px`.
        limit: in `unit`; None for no line.
    """
    length = max(position for position, _ in profile) or 1.0
    widest = max(width for _, width in profile)
    top = nice_ceiling(1.1 * max(widest, limit or 0.0))
    points = [(_x(position / length), _y(width / top)) for position, width in profile]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    first, last, floor = points[0][0], points[-1][0], _y(0)
    drawn = [
        *(_level(share * top, share, unit if share == 1 else "") for share in (0, 0.5, 1)),
        f'<polygon class="area" points="{first:.1f},{floor:.1f} {line} {last:.1f},{floor:.1f}"/>',
        f'<polyline class="line" points="{line}"/>',
    ]
    if limit is not None and limit <= top:
        y = _y(limit / top)
        drawn.append(f'<path class="limit" d="M{LEFT} {y:.1f}H{WIDTH}"/>')
        drawn.append(f'<text class="limit" x="{WIDTH}" y="{y - 4:.1f}">limit {limit:g}</text>')
    drawn.append(f'<text x="{LEFT}" y="{HEIGHT - 6}">0</text>')
    drawn.append(
        f'<text class="end" x="{WIDTH}" y="{HEIGHT - 6}">{length:.0f} {unit} along the crack</text>'
    )
    return _svg("plot", WIDTH, HEIGHT, drawn, label=f"Width along the crack in {unit}")


def nice_ceiling(value: float) -> float:
    """Return the next 1, 2, 2.5 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * 0.999)


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT)


def _y(share: float) -> float:
    return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)


def _level(value: float, share: float, unit: str) -> str:
    y = _y(share)
    return (
        f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH}"/>'
        f'<text class="end" x="{LEFT - 6}" y="{y + 4:.1f}">{value:g} {unit}</text>'
    )


def _svg(name: str, width: float, height: float, drawn: Sequence[str], *, label: str) -> str:
    return (
        f'<svg class="{name}" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{label}">'
        + "".join(drawn)
        + "</svg>"
    )
