"""A simulated ride of 20 m past 40 cracks, with perfect masks: each is found, once, in its place.

The simulator projects the wall to pixels by its own camera model; what is under test goes from
pixels to the wall. The masks are drawn without texture, at a modest resolution, to be quick.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from scnet_edge.inspection.geometry import geometry_of
from scnet_edge.inspection.localization import place
from scnet_edge.inspection.odometry import open_odometry
from scnet_edge.inspection.records import Observation
from scnet_edge.inspection.setup import read_setup
from scnet_edge.inspection.tracing import trace_cracks
from scnet_edge.inspection.tracking import Follower
from scnet_edge.simulation.defects import Defect
from scnet_edge.simulation.footage import pipe_toml
from scnet_edge.simulation.scene import Scene, ScenePlan, make_scene, odometer
from scnet_edge.types import Captured

SIZE_HW = (192, 272)
FRAME_M = 0.05  # travelled from frame to frame, about


def surveyed(scene: Scene, folder: Path) -> list[Observation]:
    (folder / "pipe.toml").write_text(pipe_toml(scene))
    rows = odometer(np.random.default_rng(1), scene.steps)
    lines = ["time_s,chainage_m,roll_deg", *(f"{t},{m},{roll}" for t, m, roll in rows)]
    (folder / "odometry.csv").write_text("\n".join(lines))
    setup = read_setup(folder / "pipe.toml")
    geometry = geometry_of(setup, SIZE_HW)
    follower, found = Follower(setup, geometry), []
    frame = np.zeros((*SIZE_HW, 3), np.uint8)
    with open_odometry(str(folder / "odometry.csv"), setup) as odometry:
        for i, step in enumerate(scene.steps):
            mono_ns = round(step.time_s * 1e9)
            now = Captured(frame_id=i, name=f"{i}", frame=frame, mono_ns=mono_ns)
            pose = odometry.at(now)
            placed = place(i, trace_cracks(scene.mask(step)), None, geometry, pose)
            found += follower.see(now, placed, pose)
    return found + follower.finish()


def shows(one: Observation, defect: Defect, around_mm: float) -> bool:
    """Whether most of an observation's outline lies within 20 mm of a crack."""
    outline = np.array(one.outline_m_h) * (1000, around_mm / 12)
    way = defect.places_mm()[:, None] - outline[None]
    way[..., 1] = (way[..., 1] + around_mm / 2) % around_mm - around_mm / 2
    return bool((np.hypot(way[..., 0], way[..., 1]).min(axis=0) < 20).mean() > 0.5)


@pytest.mark.parametrize(("mode", "seed"), [("side", 1), ("forward", 3)])
def test_every_crack_is_found_once_in_its_place(tmp_path: Path, mode: str, seed: int) -> None:
    plan = msgspec.convert(
        {"seed": seed, "mode": mode, "metres": 20, "cracks": 40, "size_hw": SIZE_HW}
        | {"speed_mps": FRAME_M * 8, "fps": 8},
        ScenePlan,
    )
    scene, around_mm = make_scene(plan), math.pi * plan.diameter_mm
    found = surveyed(scene, tmp_path)
    pairs = []
    for defect in scene.defects:
        [one] = [one for one in found if shows(one, defect, around_mm)]  # no miss, no duplicate
        pairs.append((defect, one))
    assert len({one.seq for _, one in pairs}) == len(found) == 40  # no merge, no false alarm
    for defect, one in pairs:
        places = defect.places_mm()
        ends_m = (places[:, 0].min() / 1000, places[:, 0].max() / 1000)
        assert (one.start_m, one.end_m) == pytest.approx(ends_m, abs=FRAME_M)
        assert one.clock_from is not None
        assert one.clock_to is not None
        seen_h = one.clock_from + (one.clock_to - one.clock_from) % 12 / 2
        extremes = (places[:, 1].min() + places[:, 1].max()) / 2 / around_mm * 12
        assert abs((seen_h - extremes + 6) % 12 - 6) * 30 < 3
    lengths = [one.length_mm.value / defect.length_mm() for defect, one in pairs if one.length_mm]
    assert len(lengths) == 40
    assert np.median(lengths) == pytest.approx(1, abs=0.03)
    kinds = [one.kind == defect.kind for defect, one in pairs]
    assert np.mean(kinds) > 0.8
