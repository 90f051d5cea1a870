"""Joints, told by how evenly records lie along a pipe."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hand_made import observation

from scnet_edge.inspection.records import Observation
from scnet_edge.survey.joint_spacing import distances_to_joints_m, find_spacing
from scnet_edge.survey.sorting import find_structures


def records_at_joints(
    rng: np.random.Generator, *, first_m: float, length_m: float, joints: int, spread_m: float
) -> list[float]:
    """Return three chainages around each joint."""
    at = first_m + length_m * np.repeat(np.arange(joints), 3)
    return [float(x) for x in at + rng.uniform(-spread_m, spread_m, len(at))]


@pytest.mark.parametrize("length_m", [0.75, 1.0, 2.5, 3.05])
def test_the_length_of_the_pipes_is_found(length_m: float) -> None:
    rng = np.random.default_rng(1)
    at = records_at_joints(rng, first_m=0.4, length_m=length_m, joints=9, spread_m=0.04)
    cracks = rng.uniform(0, max(at), 8).tolist()
    spacing = find_spacing([*at, *cracks])
    assert spacing is not None
    assert spacing.length_m == pytest.approx(length_m, abs=0.02)
    for joint in range(9):
        assert spacing.distance_m(0.4 + joint * length_m) < 0.04
    assert spacing.distance_m(0.4 + 2.5 * length_m) > 0.3


@pytest.mark.parametrize("count", [4, 20, 100])
def test_records_anywhere_tell_no_joints(count: int) -> None:
    for seed in range(10):
        at = np.random.default_rng(seed).uniform(0, 30, count)
        assert find_spacing(at.tolist()) is None
    assert find_spacing([4.0] * count) is None  # one joint tells no distance


def test_each_stretch_has_joints_of_its_own() -> None:
    """Of another length, as where a pipe was laid by two crews, and none where there is none."""
    rng = np.random.default_rng(2)
    first = records_at_joints(rng, first_m=0.5, length_m=1.0, joints=28, spread_m=0.03)
    second = records_at_joints(rng, first_m=31.0, length_m=2.0, joints=14, spread_m=0.03)
    distances = distances_to_joints_m([*first, 10.0, *second, 32.0, 65.0, 80.0])
    assert max(distances[: len(first)]) < 0.06
    assert distances[len(first)] == pytest.approx(0.5, abs=0.05)
    assert max(distances[len(first) + 1 : -3]) < 0.06
    assert distances[-3] == pytest.approx(1.0, abs=0.05)
    assert distances[-2:] == [math.inf, math.inf]


def at_joint(seq: int, chainage_m: float, **changes: Any) -> Observation:
    values = {"confidence": 0.72, "clock_from": 1.0 + seq % 9, "clock_to": 1.3 + seq % 9}
    return observation(
        seq, start_m=chainage_m - 0.02, end_m=chainage_m + 0.02, **{**values, **changes}
    )


def test_what_is_short_where_pipes_meet_is_of_the_joint() -> None:
    every = [at_joint(n, 1.0 * n) for n in range(1, 13)]  # one at each: no bunch, no ring
    assert find_structures(every) == dict.fromkeys(range(1, 13), "roots")
    beside = {
        20: at_joint(20, 5.5),
        21: at_joint(21, 5.0, confidence=0.9),
        22: observation(22, start_m=5.0, end_m=5.4, confidence=0.72),
        23: at_joint(23, 6.05, kind="circumferential"),
        24: at_joint(24, 7.0, kind="circumferential", tortuosity=1.4),
    }
    found = find_structures([*every, *beside.values()])
    assert set(beside) & set(found) == {24}
    assert found[24] == "joint"
