"""The drawings of the page: SVG made of numbers alone, so that no text can break out of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

WIDTH, HEIGHT = 640.0, 150.0
LEFT, BOTTOM, TOP = 56.0, 24.0, 10.0


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
