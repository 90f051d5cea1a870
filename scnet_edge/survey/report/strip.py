"""The strip map: the wall unrolled, chainage to the right; SVG made of numbers alone.

A pipe is cut open at the crown: 12 o'clock is at the top and at the bottom, the invert in the
middle. A flat wall is shown as it stands. Footage without positions has a timeline instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from scnet_edge.inspection.records import Gap, Observation
from scnet_edge.survey.report.pictures import nice_ceiling
from scnet_edge.survey.report.words import time_text

WIDTH, LEFT, RIGHT = 1060.0, 62.0, 26.0
TOP, BOTTOM = 10.0, 30.0  # around a row, for labels
ROW_HEIGHT = 200.0
MOST_ROWS = 3  # of one segment
LABEL_PX = 10.0  # radius of a number's disc
PLACES = sorted(  # of a number's disc, in its radii from the crack's middle: the nearest first
    ((2.2 * i, 1.6 + 2.2 * j) for i in range(-4, 5) for j in range(-6, 6)),
    key=lambda p: math.hypot(*p),
)
CLOCKS = ((0, "12"), (3, "3"), (6, "6"), (9, "9"), (12, "12"))
LANE_HEIGHT = 26.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StripRow:
    """One stretch of the wall on the page, and the way from its units to the page's."""

    start: float
    length: float
    low: float  # at the bottom
    high: float  # at the top
    height: float

    def x(self, along: float) -> float:
        """Return where a place along the survey lies."""
        return LEFT + (along - self.start) / self.length * (WIDTH - LEFT - RIGHT)

    def y(self, across: float) -> float:
        """Return where a clock position, or a height on a wall, lies."""
        return TOP + (self.high - across) / (self.high - self.low) * self.height


def strip_maps(
    observations: Sequence[Observation],
    gaps: Sequence[Gap],
    *,
    end_m: float | None,
    around: bool,
    classes: Mapping[int, str],
) -> list[tuple[int, str]]:
    """Return (segment, SVG) for each segment with a chainage, in order.

    Args:
        observations: those without an outline are left out.
        gaps: hatched where their chainage is known.
        end_m: how far the survey came, in its last segment.
        around: outlines hold clock positions, as in a pipe; else metres across.
        classes: seq -> the CSS class that colours it.
    """
    placed = [o for o in observations if o.outline_m_h]
    segments = sorted({o.segment for o in placed})
    maps = []
    for segment in segments:
        here = [o for o in placed if o.segment == segment]
        missed = [g for g in gaps if g.segment == segment and None not in (g.start_m, g.end_m)]
        ends = [along for o in here for along, _ in o.outline_m_h]
        ends += [m for g in missed for m in (g.start_m, g.end_m) if m is not None]
        if segment == segments[-1] and end_m is not None:
            ends.append(end_m)
        low, high = (12.0, 0.0) if around else _heights(here)
        rows = _rows(0.0, max(ends), low, high)
        drawn = [_row(row, here, missed, classes, around=around) for row in rows]
        maps.append((segment, _stack(drawn, rows)))
    return maps


def _rows(start: float, end: float, low: float, high: float) -> list[StripRow]:
    length = max(end - start, 0.1)
    row_m = nice_ceiling(length)
    while row_m / 2 * MOST_ROWS >= length and row_m > 10:
        row_m = nice_ceiling(row_m / 2)
    if length <= 10:
        row_m = length * 1.02
    count = max(1, math.ceil(length / row_m - 0.02))
    return [
        StripRow(start=start + i * row_m, length=row_m, low=low, high=high, height=ROW_HEIGHT)
        for i in range(count)
    ]


def _heights(observations: Iterable[Observation]) -> tuple[float, float]:
    """Return the lowest and the highest metre across, with a margin."""
    across = [second for o in observations for _, second in o.outline_m_h]
    margin = 0.1 * (max(across) - min(across)) + 0.05
    return min(across) - margin, max(across) + margin


def _row(
    row: StripRow,
    observations: Sequence[Observation],
    gaps: Sequence[Gap],
    classes: Mapping[int, str],
    *,
    around: bool,
) -> str:
    end = row.start + row.length
    drawn = [_ground(row), *_across_axis(row, around=around), *_along_axis(row)]
    for gap in gaps:
        left, right = max(gap.start_m or 0.0, row.start), min(gap.end_m or 0.0, end)
        if left <= right:
            width = max(row.x(right) - row.x(left), 2)
            drawn.append(
                f'<rect class="gap" x="{row.x(left):.1f}" y="{TOP}" width="{width:.1f}" '
                f'height="{row.height:g}"/>'
            )
    taken: list[tuple[float, float]] = []
    for o in observations:
        inside = [p for p in o.outline_m_h if row.start <= p[0] <= end]
        if inside:
            drawn.append(_crack(row, o, inside, classes[o.seq], taken))
    return "".join(drawn)


def _crack(
    row: StripRow,
    observation: Observation,
    points: Sequence[tuple[float, float]],
    css: str,
    taken: list[tuple[float, float]],
) -> str:
    """Return the crack's line and its number, which leads to its section."""
    lines = "".join(
        '<polyline points="'
        + " ".join(f"{row.x(along):.1f},{row.y(across):.1f}" for along, across in line)
        + '"/>'
        for line in _cut_at_the_crown(points)
    )
    x, y = _free_place(row, points, taken)
    seq = observation.seq
    return (
        f'<a href="#d{seq}"><g class="crack {css}">{lines}'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{LABEL_PX:g}"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}">{seq}</text></g></a>'
    )


def _cut_at_the_crown(
    points: Sequence[tuple[float, float]],
) -> list[list[tuple[float, float]]]:
    lines = [[points[0], points[0]]]
    for before, point in pairwise(points):
        if abs(point[1] - before[1]) > 6:
            lines.append([point])
        lines[-1].append(point)
    return lines


def _free_place(
    row: StripRow, points: Sequence[tuple[float, float]], taken: list[tuple[float, float]]
) -> tuple[float, float]:
    """Return where a number covers no other: beside the middle, or further away."""
    along, across = points[len(points) // 2]
    x, y = row.x(along), row.y(across)
    for aside, down in PLACES:
        place = (
            min(max(x + aside * LABEL_PX, LEFT + LABEL_PX), WIDTH - RIGHT - LABEL_PX),
            min(max(y + down * LABEL_PX, TOP + LABEL_PX), TOP + row.height - LABEL_PX),
        )
        if all(math.dist(place, other) > 2.1 * LABEL_PX for other in taken):
            break
    taken.append(place)
    return place


def _ground(row: StripRow) -> str:
    width = WIDTH - LEFT - RIGHT
    return f'<rect class="ground" x="{LEFT}" y="{TOP}" width="{width:g}" height="{row.height:g}"/>'


def _across_axis(row: StripRow, *, around: bool) -> list[str]:
    marks = CLOCKS if around else _metres(row)
    return [
        f'<path class="grid" d="M{LEFT} {row.y(at):.1f}H{WIDTH - RIGHT}"/>'
        f'<text class="end" x="{LEFT - 8}" y="{row.y(at) + 4:.1f}">{text}</text>'
        for at, text in marks
    ]


def _metres(row: StripRow) -> list[tuple[float, str]]:
    step = nice_ceiling((row.high - row.low) / 5)
    first = math.ceil(row.low / step)
    return [(i * step, f"{i * step:g} m") for i in range(first, int(row.high / step) + 1)]


def _along_axis(row: StripRow) -> list[str]:
    step = nice_ceiling(row.length / 10)
    first, last = math.ceil(row.start / step - 1e-6), int((row.start + row.length) / step + 1e-6)
    floor = TOP + row.height
    return [
        f'<path class="grid" d="M{row.x(i * step):.1f} {TOP}V{floor:g}"/>'
        f'<text class="mid" x="{row.x(i * step):.1f}" y="{floor + 18:g}">{i * step:g} m</text>'
        for i in range(first, last + 1)
    ]


def _stack(drawn: Sequence[str], rows: Sequence[StripRow]) -> str:
    pitch = TOP + rows[0].height + BOTTOM
    shifted = [
        f'<g transform="translate(0 {i * pitch:g})">{row}</g>' for i, row in enumerate(drawn)
    ]
    return strip_svg(pitch * len(rows), shifted)


def strip_svg(height: float, drawn: Iterable[str]) -> str:
    """Return the drawing of so many lines' height, with the hatching of gaps."""
    hatch = (
        '<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><path d="M0 0V7" class="hatch"/></pattern></defs>'
    )
    return (
        f'<svg class="strip" viewBox="0 0 {WIDTH:g} {height:g}" role="img" '
        f'aria-label="Strip map">{hatch}{"".join(drawn)}</svg>'
    )


def timeline(
    observations: Sequence[Observation],
    *,
    frames: int,
    fps: float | None,
    classes: Mapping[int, str],
) -> str:
    """Return an SVG of when each crack was in view, in lanes, for footage without positions."""
    lanes: list[int] = []  # the last frame of each
    bars = []
    row = StripRow(start=0, length=max(frames, 1), low=0, high=1, height=LANE_HEIGHT)
    for o in sorted(observations, key=lambda o: o.first_frame_id):
        lane = next((i for i, end in enumerate(lanes) if end < o.first_frame_id), len(lanes))
        reach = max(o.last_frame_id, o.first_frame_id + int(0.03 * frames))
        lanes[lane : lane + 1] = [reach]
        left, right, y = row.x(o.first_frame_id), row.x(reach + 1), TOP + lane * LANE_HEIGHT
        bars.append(
            f'<a href="#d{o.seq}"><rect class="bar {classes[o.seq]}" x="{left:.1f}" '
            f'y="{y + 3:.1f}" width="{max(right - left, 20):.1f}" '
            f'height="{LANE_HEIGHT - 6:g}" rx="5"/>'
            f'<text class="in-bar" x="{left + 7:.1f}" y="{y + 18:.1f}">{o.seq}</text></a>'
        )
    height = TOP + max(1, len(lanes)) * LANE_HEIGHT + BOTTOM
    rate, step = (fps or 1.0), nice_ceiling(frames / (fps or 1.0) / 8)
    ticks = [i * step for i in range(int(frames / rate / step) + 1)]
    axis = [
        f'<path class="grid" d="M{row.x(t * rate):.1f} {TOP}V{height - BOTTOM:.1f}"/>'
        f'<text class="mid" x="{row.x(t * rate):.1f}" y="{height - 12:.1f}">'
        f"{time_text(t) if fps else f'{t:g}'}</text>"
        for t in ticks
    ]
    return strip_svg(height, axis + bars)
