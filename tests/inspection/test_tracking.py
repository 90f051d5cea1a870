"""Cracks drawn on an unrolled wall, seen through a window that slides along it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from scnet_edge.inspection.geometry import geometry_of
from scnet_edge.inspection.localization import place
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.records import Observation
from scnet_edge.inspection.setup import Setup
from scnet_edge.inspection.tracing import trace_cracks
from scnet_edge.inspection.tracking import Follower
from scnet_edge.types import Captured

SIZE_HW, MM_PER_PX = (160, 240), 0.5
SETUP = Setup(mode="side", diameter_mm=300, mm_per_px=MM_PER_PX)


def captured(frame_id: int) -> Captured:
    frame = np.zeros((*SIZE_HW, 3), np.uint8)
    return Captured(frame_id=frame_id, name=f"{frame_id}", frame=frame, mono_ns=frame_id * 10**8)


def driven(
    wall: np.ndarray,
    lefts_px: list[int],
    *,
    segments: list[int] | None = None,
    reads: float = 1.0,
) -> list[Observation]:
    """Observations of a ride with the window's left edge at each of `lefts_px`.

    `reads` is how much of the way the odometer counts.
    """
    geometry = geometry_of(SETUP, SIZE_HW)
    follower, found = Follower(SETUP, geometry), []
    for frame_id, left in enumerate(lefts_px):
        mask = np.ascontiguousarray(wall[:, left : left + SIZE_HW[1]])
        chainage_m = (reads * left + (SIZE_HW[1] - 1) / 2) * MM_PER_PX / 1000
        segment = segments[frame_id] if segments else 0
        pose = Pose(chainage_m=chainage_m, sigma_m=0.001, segment=segment)
        placed = place(frame_id, trace_cracks(mask), None, geometry, pose)
        found += follower.see(captured(frame_id), placed, pose)
    return found + follower.finish()


def wall_with(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    wall = np.zeros((SIZE_HW[0], 3000), bool)
    for left, top, right, bottom in boxes:
        wall[top:bottom, left:right] = True
    return wall


def test_a_crack_longer_than_the_view_is_one_with_its_whole_length() -> None:
    [found] = driven(wall_with((400, 78, 1600, 84)), list(range(0, 2700, 30)))
    assert found.kind == "longitudinal"
    assert found.length_mm is not None
    assert found.length_mm.value == pytest.approx(600, rel=0.03)
    assert (found.start_m, found.end_m) == pytest.approx((0.2, 0.8), abs=0.003)
    assert found.width_mean_mm is not None
    assert found.width_mean_mm.value == pytest.approx(3, abs=0.25)


@pytest.mark.parametrize("reads", [0.92, 1.05])
def test_an_odometer_that_is_wrong_makes_no_crack_longer(reads: float) -> None:
    """The crack is cut by the border of every frame, so no single frame shows all of it."""
    corners = np.array([[500, 0], [560, 60], [530, 110], [600, 159]])
    wall = wall_with().astype(np.uint8)
    cv2.polylines(wall, [corners], False, 1, 5)
    [found] = driven(wall.astype(bool), list(range(280, 620, 10)), reads=reads)
    drawn_mm = MM_PER_PX * np.hypot(*np.diff(corners, axis=0).T).sum()
    assert found.length_mm is not None
    assert found.length_mm.value == pytest.approx(drawn_mm, rel=0.06)


def test_stops_and_steps_back_count_nothing_twice() -> None:
    there = [*range(0, 900, 30), *[900] * 10, *range(900, 600, -30), *range(600, 2700, 30)]
    found = driven(wall_with((500, 40, 504, 120), (700, 40, 704, 120)), there)
    assert [round(one.start_m or 0, 2) for one in found] == [0.25, 0.35]
    assert {one.kind for one in found} == {"circumferential"}


def test_a_crack_met_again_long_after_it_was_recorded_is_not_recorded_again() -> None:
    there = [*range(0, 2400, 30), *range(2400, 0, -30), *range(0, 2400, 30)]
    assert len(driven(wall_with((500, 40, 504, 120)), there)) == 1


def test_another_segment_is_another_record() -> None:
    lefts = list(range(0, 900, 30))
    segments = [0] * 12 + [1] * (len(lefts) - 12)
    found = driven(wall_with((500, 40, 504, 120)), lefts, segments=segments)
    assert [one.segment for one in found] == [0, 1]
    assert [one.seq for one in found] == [1, 2]


def test_neighbours_stay_apart() -> None:
    cracks = [(500 + 30 * i, 40, 504 + 30 * i, 120) for i in range(6)]  # 15 mm apart
    assert len(driven(wall_with(*cracks), list(range(0, 1200, 30)))) == 6


def test_two_arms_that_meet_later_are_one() -> None:
    wall = wall_with((400, 40, 800, 44), (400, 110, 800, 114), (796, 40, 800, 114))
    [found] = driven(wall, list(range(0, 1500, 30)))
    assert found.length_mm is not None
    assert found.length_mm.value == pytest.approx(200 + 200 + 37, rel=0.05)


def test_what_one_frame_shows_and_the_next_ones_do_not_says_so() -> None:
    lefts = [*range(0, 450, 30)]
    crack = wall_with((500, 40, 504, 120))
    shown = dict.fromkeys(range(10, 14), crack)
    once = driven_past({10: crack}, lefts)
    often = driven_past(shown, lefts)
    assert [one.flags for one in once] == [("no_roll", "seen_once")]
    assert [one.flags for one in often] == [("no_roll",)]


def test_what_one_frame_alone_shows_beside_a_crack_does_not_lengthen_it() -> None:
    lefts = [*range(250, 800, 30)]
    crack, more = (500, 78, 580, 84), (588, 79, 612, 84)
    shown = dict.fromkeys(range(len(lefts)), wall_with(crack))
    flickers = driven_past(shown | {9: wall_with(crack, more)}, lefts)
    assert len(flickers) == 2
    assert flickers[0].end_m == pytest.approx(0.29, abs=0.004)
    [often] = driven_past(shown | dict.fromkeys(range(5, 9), wall_with(crack, more)), lefts)
    assert often.end_m == pytest.approx(0.306, abs=0.004)


def driven_past(shown: dict[int, np.ndarray], lefts_px: list[int]) -> list[Observation]:
    """As `driven`, where only some frames show anything, each its own wall."""
    geometry = geometry_of(SETUP, SIZE_HW)
    follower, found = Follower(SETUP, geometry), []
    for frame_id, left in enumerate(lefts_px):
        wall = shown.get(frame_id, wall_with())
        mask = np.ascontiguousarray(wall[:, left : left + SIZE_HW[1]])
        pose = Pose(chainage_m=(left + (SIZE_HW[1] - 1) / 2) * MM_PER_PX / 1000, sigma_m=0.001)
        placed = place(frame_id, trace_cracks(mask), None, geometry, pose)
        found += follower.see(captured(frame_id), placed, pose)
    return found + follower.finish()


def test_a_crack_is_seen_in_as_many_frames_as_show_it_however_its_pieces_were_joined() -> None:
    """Three pieces in line, 4 px apart, are one crack: each frame that shows any of it is one."""
    wall = wall_with((400, 78, 500, 84), (504, 78, 600, 84), (604, 78, 700, 84))
    lefts_px = list(range(0, 1500, 30))
    found = driven(wall, lefts_px)
    showing = [left for left in lefts_px if wall[:, left : left + SIZE_HW[1]].any()]
    assert sum(1 for _ in found) == 1
    assert found[0].sightings <= len(showing)
    assert found[0].sightings >= len(showing) - 3  # slivers at the border of the view
