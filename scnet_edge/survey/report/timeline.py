"""When each crack was in view, for footage without positions; SVG made of numbers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scnet_edge.inspection.records import Observation
from scnet_edge.survey.report.plot import nice_ceiling
from scnet_edge.survey.report.strip import BOTTOM, TOP, StripRow, strip_svg
from scnet_edge.survey.report.words import time_text

LANE_HEIGHT = 26.0


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
