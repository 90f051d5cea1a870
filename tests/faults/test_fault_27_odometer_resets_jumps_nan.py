"""Fault 27: the odometer resets, jumps back, or says NaN.

Expected: the chainage is flagged, the segment splits, and no length is ever negative.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scnet_edge.inspection.geometry import geometry_of
from scnet_edge.inspection.localization import place
from scnet_edge.inspection.odometry import open_odometry
from scnet_edge.inspection.records import Observation
from scnet_edge.inspection.setup import Setup
from scnet_edge.inspection.tracing import trace_cracks
from scnet_edge.inspection.tracking import Follower
from scnet_edge.types import Captured

FRAMES = 60
SETUP = Setup(mode="side", diameter_mm=300, mm_per_px=0.5)
STEADY = [0.02 * i for i in range(FRAMES)]


def surveyed(folder: Path, chainages_m: list[float]) -> tuple[list[Observation], set[str]]:
    """One long crack in every frame, with the odometer saying what it likes."""
    path = folder / "odometry.csv"
    rows = [f"{i / 10},{chainage_m}" for i, chainage_m in enumerate(chainages_m)]
    path.write_text("\n".join(["time_s,chainage_m", *rows]))
    mask = np.zeros((120, 200), bool)
    mask[58:64] = True
    geometry = geometry_of(SETUP, mask.shape)
    follower, found, flags = Follower(SETUP, geometry), [], set()
    frame = np.zeros((120, 200, 3), np.uint8)
    with open_odometry(str(path), SETUP) as odometry:
        for i in range(FRAMES):
            now = Captured(frame_id=i, name=f"{i}", frame=frame, mono_ns=i * 10**8 + 1)
            pose = odometry.at(now)
            flags |= set(pose.flags)
            placed = place(i, trace_cracks(mask), None, geometry, pose)
            found += follower.see(now, placed, pose)
    return found + follower.finish(), flags


def check(found: list[Observation]) -> None:
    assert [one.seq for one in found] == list(range(1, len(found) + 1))
    for one in found:
        assert one.start_m is not None
        assert one.end_m is not None
        assert one.start_m <= one.end_m
        assert one.length_mm is not None
        assert one.length_mm.value > 0
        travelled_mm = 1000 * (one.end_m - one.start_m)
        assert one.length_mm.value == pytest.approx(travelled_mm, rel=0.03)


def test_a_steady_odometer_leaves_one_segment(tmp_path: Path) -> None:
    found, flags = surveyed(tmp_path, STEADY)
    check(found)
    assert ([one.segment for one in found], flags) == ([0], set())


def test_a_reset_to_zero(tmp_path: Path) -> None:
    found, flags = surveyed(tmp_path, STEADY[:30] + STEADY[:30])
    check(found)
    assert [one.segment for one in found] == [0, 1]
    assert flags == {"odometry_reset"}
    assert "odometry_reset" in found[1].flags


@pytest.mark.parametrize("leap_m", [-0.4, 5.0, -90.0])
def test_a_jump(tmp_path: Path, leap_m: float) -> None:
    leapt = [chainage_m + leap_m for chainage_m in STEADY[30:]]
    found, flags = surveyed(tmp_path, STEADY[:30] + leapt)
    check(found)
    assert [one.segment for one in found] == [0, 1]
    assert flags == {"odometry_jump"}
    assert "odometry_jump" in found[1].flags


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_what_is_not_a_number(tmp_path: Path, broken: float) -> None:
    found, flags = surveyed(tmp_path, [*STEADY[:30], broken, broken, *STEADY[32:]])
    check(found)
    assert [one.segment for one in found] == [0, 1]
    assert flags == {"odometry_nan"}


def test_nothing_but_nan(tmp_path: Path) -> None:
    found, flags = surveyed(tmp_path, [float("nan")] * FRAMES)
    assert flags == {"odometry_lost"}
    assert [one.start_m for one in found] == [None]
    assert "odometry_lost" in found[0].flags


def test_backing_up_is_no_fault(tmp_path: Path) -> None:
    found, flags = surveyed(tmp_path, STEADY[:30] + STEADY[29::-1])
    check(found)
    assert ([one.segment for one in found], flags) == ([0], set())
