"""Whether picture and odometer agree: on simulated rides, whose way is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
import pytest

from scnet_edge.inspection.motion_watch import MotionWatch, compare, detail_of
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.setup import Setup
from scnet_edge.simulation.footage import pipe_toml
from scnet_edge.simulation.optics import Mode
from scnet_edge.simulation.render import render_frames
from scnet_edge.simulation.scene import RideStep, ScenePlan, make_scene
from scnet_edge.types import Captured, Frame

FPS, SPEED_MPS = 4, 0.1
PLAN = ScenePlan(seed=3, metres=1.5, cracks=1, size_hw=(192, 272))
RIDING = [SPEED_MPS * i / FPS for i in range(34)]
STUCK = [*RIDING[:8], *[RIDING[8]] * 12, *[RIDING[8] + SPEED_MPS * i / FPS for i in range(1, 9)]]


@cache
def film(mode: Mode, places_m: tuple[float, ...]) -> list[Frame]:
    """Return what a camera sees at these places; the sensor's noise is new in each picture."""
    scene = make_scene(replace(PLAN, mode=mode))
    steps = [
        RideStep(time_s=i / FPS, chainage_m=m, roll_deg=0.0, speed_mps=0.0)
        for i, m in enumerate(places_m)
    ]
    return [frame for _, frame, _ in render_frames(replace(scene, steps=steps))]


def setup_of(mode: Mode) -> Setup:
    """Return the setup that `simulate` writes beside its film."""
    return msgspec.toml.decode(pipe_toml(make_scene(replace(PLAN, mode=mode))), type=Setup)


def lines(mode: Mode, frames: Sequence[Frame], says_m: Sequence[float]) -> list[str]:
    """Return what is said of a film whose odometer says this."""
    watch, said, flagged = MotionWatch(setup_of(mode)), [], []
    for i, (frame, chainage_m) in enumerate(zip(frames, says_m, strict=True)):
        seen = Captured(
            frame_id=i, name=f"{i}", frame=frame, mono_ns=i * 10**9 // FPS, time_s=i / FPS
        )
        said.append(watch.see(seen, Pose(chainage_m=chainage_m)))
        flagged.append(watch.disagrees)
    said.append(watch.end())
    found = list(filter(None, said))
    assert any(flagged) or not found
    assert not watch.disagrees
    return found


@pytest.mark.parametrize("mode", ["side", "forward"])
def test_an_odometer_that_is_right_is_not_spoken_of(mode: Mode) -> None:
    """Also where the robot stands: no picture of a camera is like the one before it."""
    assert lines(mode, film(mode, tuple(RIDING)), RIDING) == []
    assert lines(mode, film(mode, tuple(STUCK)), STUCK) == []


@pytest.mark.parametrize("mode", ["side", "forward"])
def test_wheels_that_spin_are_said(mode: Mode) -> None:
    says_m = [SPEED_MPS * i / FPS for i in range(len(STUCK))]
    [line] = lines(mode, film(mode, tuple(STUCK)), says_m)
    found = re.fullmatch(
        r"runs from ([\d.]+) m to ([\d.]+) m while the picture stands still, "
        r"from ([\d.]+) s to ([\d.]+) s of the film: wheels or cable slip",
        line,
    )
    assert found is not None
    first_m, last_m, first_s, last_s = map(float, found.groups())
    assert first_s == pytest.approx(2.0, abs=0.8)
    assert last_s == pytest.approx(4.75, abs=0.8)
    assert last_m - first_m == pytest.approx(SPEED_MPS * (last_s - first_s), abs=0.011)


@pytest.mark.parametrize("mode", ["side", "forward"])
def test_an_odometer_that_is_stuck_is_said(mode: Mode) -> None:
    [line] = lines(mode, film(mode, tuple(RIDING)), [0.4] * len(RIDING))
    assert line.startswith("stands at 0.40 m while the picture moves, from 0.0 s to ")


def test_a_wall_without_detail_tells_nothing() -> None:
    rng = np.random.default_rng(0)
    plain = [rng.normal(128, 4, (192, 272, 3)).astype(np.uint8) for _ in range(30)]
    assert lines("forward", plain, [0.1 * i for i in range(30)]) == []
    assert lines("forward", plain, [0.1] * 30) == []
    assert compare(detail_of(plain[0]), detail_of(plain[1])) == "unclear"
