import math
import re
from itertools import combinations, pairwise

import pytest
from hand_made import gap, observation

from scnet_edge.survey.report.pictures import nice_ceiling, width_plot
from scnet_edge.survey.report.strip import strip_maps, timeline


def points(svg: str) -> list[list[tuple[float, float]]]:
    lines = re.findall(r'<polyline points="([^"]+)"', svg)
    return [[tuple(map(float, p.split(","))) for p in line.split()] for line in lines]


def test_chainage_runs_right_and_the_clock_runs_down() -> None:
    outline = ((2.0, 3.0), (4.0, 6.0), (6.0, 9.0))
    [(segment, svg)] = strip_maps(
        [observation(1, outline_m_h=outline)], [], end_m=8.0, around=True, classes={1: "above"}
    )
    assert segment == 0
    [line] = points(svg)
    xs, ys = [x for x, _ in line[-3:]], [y for _, y in line[-3:]]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    assert ys[1] - ys[0] == pytest.approx(ys[2] - ys[1], abs=0.2)
    axis = dict(zip(*_axis(svg), strict=True))
    assert xs[0] == pytest.approx(axis["2 m"], abs=0.2)
    assert xs[2] == pytest.approx(axis["6 m"], abs=0.2)


def _axis(svg: str) -> tuple[list[str], list[float]]:
    found = re.findall(r'<text class="mid" x="([\d.]+)"[^>]*>([^<]+)<', svg)
    return [text for _, text in found], [float(x) for x, _ in found]


def test_a_crack_over_the_crown_is_cut_there() -> None:
    outline = tuple((1.0, clock % 12) for clock in (10.5, 11.5, 12.5, 13.5))
    [(_, svg)] = strip_maps(
        [observation(1, outline_m_h=outline)], [], end_m=2.0, around=True, classes={1: "within"}
    )
    assert len(points(svg)) == 2
    assert all(abs(a[1] - b[1]) < 100 for line in points(svg) for a, b in pairwise(line))


def test_a_leap_of_the_odometer_starts_another_map() -> None:
    seen = [observation(1), observation(2, segment=1, outline_m_h=((0.5, 1.0), (0.7, 1.0)))]
    maps = strip_maps(seen, [gap()], end_m=3.0, around=True, classes={1: "above", 2: "above"})
    assert [segment for segment, _ in maps] == [0, 1]
    assert "#d1" in maps[0][1]
    assert 'class="gap"' in maps[0][1]
    assert "#d2" in maps[1][1]
    assert 'class="gap"' not in maps[1][1]


@pytest.mark.parametrize("length_m", [0.4, 3.0, 11.0, 20.0, 100.0, 1234.0])
def test_any_length_is_drawn_once_from_end_to_end(length_m: float) -> None:
    outline = tuple((length_m * i / 400, 5.0) for i in range(401))
    [(_, svg)] = strip_maps(
        [observation(1, outline_m_h=outline)], [], end_m=length_m, around=True, classes={1: "above"}
    )
    assert 1 <= svg.count("translate(") <= 4
    drawn = sum(line[-1][0] - line[0][0] for line in points(svg))
    width = 1060 - 62 - 26
    assert 0.5 * width < drawn <= 4 * width


def test_numbers_do_not_cover_each_other() -> None:
    seen = [observation(i, outline_m_h=((1.0, 3.0), (1.1, 3.0))) for i in range(1, 13)]
    classes = {o.seq: "above" for o in seen}
    [(_, svg)] = strip_maps(seen, [], end_m=10.0, around=True, classes=classes)
    discs = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)
    places = [(float(x), float(y)) for x, y in discs]
    assert min(math.dist(a, b) for a, b in combinations(places, 2)) > 20


def test_cracks_in_view_at_once_take_lanes_of_their_own() -> None:
    seen = [
        observation(1, first_frame_id=0, last_frame_id=50),
        observation(2, first_frame_id=20, last_frame_id=60),
        observation(3, first_frame_id=70, last_frame_id=90),
    ]
    svg = timeline(seen, frames=100, fps=25.0, classes=dict.fromkeys((1, 2, 3), "above"))
    tops = re.findall(r'<rect class="bar above" x="[\d.]+" y="([\d.]+)"', svg)
    assert tops[0] == tops[2] != tops[1]


@pytest.mark.parametrize(("value", "ceiling"), [(0.7, 1), (1, 1), (1.2, 2), (23, 25), (260, 500)])
def test_axes_end_at_round_numbers(value: float, ceiling: float) -> None:
    assert nice_ceiling(value) == pytest.approx(ceiling)


def test_the_widest_place_is_the_highest_of_the_plot() -> None:
    svg = width_plot([(0, 0.2), (50, 0.8), (100, 0.4)], unit="mm", limit=0.3)
    [line] = re.findall(r'<polyline class="line" points="([^"]+)"', svg)
    heights = [float(p.split(",")[1]) for p in line.split()]
    assert heights[1] == min(heights)
    assert "limit 0.3" in svg
