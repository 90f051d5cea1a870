"""Cracks over the crown, where clock positions jump from 12 to 0: each is one record, clockwise.

The masks are drawn by the simulator's own camera model; what is under test goes back to the wall.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scnet_edge.inspection.geometry import geometry_of
from scnet_edge.inspection.localization import place
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.records import Observation
from scnet_edge.inspection.setup import read_setup
from scnet_edge.inspection.tracing import trace_cracks
from scnet_edge.inspection.tracking import Follower
from scnet_edge.simulation.defects import Defect, Kind, WallStrand
from scnet_edge.simulation.footage import pipe_toml
from scnet_edge.simulation.optics import Mode
from scnet_edge.simulation.scene import RideStep, Scene, ScenePlan, make_scene
from scnet_edge.types import Captured

SIZE_HW = (192, 272)
HOUR_MM = math.pi * 300 / 12


def straight(kind: Kind, *, along_m: tuple[float, float], clock_h: tuple[float, float]) -> Defect:
    """A crack 6 mm wide from one place to another; hours run below 0 to be before the crown."""
    t = np.linspace(0, 1, 60)[:, None]
    start, end = np.array([along_m, clock_h]).T * (1000, HOUR_MM)
    strand = WallStrand(places_mm=start + t * (end - start), width_mm=np.full(60, 6.0))
    return Defect(number=1, kind=kind, strands=[strand])


def ridden(
    defect: Defect, tmp_path: Path, *, rolls_deg: tuple[float, float], mode: Mode = "forward"
) -> list[Observation]:
    """Observations of 25 frames, 2 cm apart, while the robot rolls from one angle to another."""
    blank = make_scene(ScenePlan(mode=mode, metres=0.9, cracks=0, size_hw=SIZE_HW, fps=4))
    camera = replace(blank.camera, look_clock_h=0.0)
    scene: Scene = replace(blank, camera=camera, defects=[defect])
    (tmp_path / "pipe.toml").write_text(pipe_toml(scene))
    setup = read_setup(tmp_path / "pipe.toml")
    geometry = geometry_of(setup, SIZE_HW)
    follower, found = Follower(setup, geometry), []
    frame = np.zeros((*SIZE_HW, 3), np.uint8)
    for i, roll_deg in enumerate(np.linspace(*rolls_deg, 25)):
        step = RideStep(time_s=i / 4, chainage_m=0.02 * i, roll_deg=float(roll_deg), speed_mps=0.08)
        pose = Pose(chainage_m=step.chainage_m, sigma_m=0.001, roll_deg=step.roll_deg)
        now = Captured(frame_id=i, name=f"{i}", frame=frame, mono_ns=i * 250_000_000)
        placed = place(i, trace_cracks(scene.mask(step)), None, geometry, pose)
        found += follower.see(now, placed, pose)
    return found + follower.finish()


@pytest.mark.parametrize(
    ("mode", "rolls_deg"),
    [("forward", (0, 0)), ("forward", (-25, 25)), ("side", (0, 0)), ("side", (-4, 4))],
)
def test_a_crack_around_the_crown_is_one_from_half_past_eleven_to_half_past_twelve(
    tmp_path: Path, mode: Mode, rolls_deg: tuple[float, float]
) -> None:
    crack = straight("circumferential", along_m=(0.4, 0.4), clock_h=(-0.5, 0.5))
    [found] = ridden(crack, tmp_path, rolls_deg=rolls_deg, mode=mode)
    assert found.sightings > 3
    assert found.kind == "circumferential"
    assert (found.clock_from, found.clock_to) == pytest.approx((11.5, 0.5), abs=0.1)
    assert found.length_mm is not None
    assert found.length_mm.value == pytest.approx(
        HOUR_MM, abs=6
    )  # two pixels, as coarse as the forward view is there
    assert (found.start_m, found.end_m) == pytest.approx((0.4, 0.4), abs=0.01)


@pytest.mark.parametrize("rolls_deg", [(-25, 25), (25, -25)])
def test_a_crack_along_the_crown_is_one_while_the_robot_rolls_under_it(
    tmp_path: Path, rolls_deg: tuple[float, float]
) -> None:
    crack = straight("longitudinal", along_m=(0.3, 0.6), clock_h=(-0.1, 0.1))
    [found] = ridden(crack, tmp_path, rolls_deg=rolls_deg)
    assert found.sightings > 10
    assert found.kind == "longitudinal"
    assert (found.clock_from, found.clock_to) == pytest.approx((11.9, 0.1), abs=0.1)
    assert found.length_mm is not None
    assert found.length_mm.value == pytest.approx(300, rel=0.03)
    assert (found.start_m, found.end_m) == pytest.approx((0.3, 0.6), abs=0.01)
