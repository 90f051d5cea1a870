"""The simulated survey: repeatable, complete, and true to its own geometry."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.errors import InputError
from scnet_edge.simulation.defects import Defect, WallStrand
from scnet_edge.simulation.optics import PipeCamera, coverage_of, to_pixels, wall_of
from scnet_edge.simulation.scene import ScenePlan, make_scene, odometer, ride

SIDE = PipeCamera(
    mode="side", size_hw=(240, 320), diameter_mm=1e6, focal_px=400, distortion=(0.0, 0.0, 0.0, 0.0),
    distance_mm=100,
)  # fmt: skip
FORWARD = PipeCamera(
    mode="forward", size_hw=(240, 320), diameter_mm=300, focal_px=200,
    distortion=(-0.2, 0.05, 0.0, 0.0),
)  # fmt: skip


@pytest.mark.parametrize("roll_deg", [0.0, 12.0])
@pytest.mark.parametrize("camera", [SIDE, FORWARD], ids=["side", "forward"])
def test_wall_to_pixel_undoes_pixel_to_wall(camera: PipeCamera, roll_deg: float) -> None:
    along, around, _ = wall_of(camera)
    y, x = np.nonzero(~np.isnan(along))
    some = np.random.default_rng(0).permutation(len(y))[:300]
    places = np.stack([along[y[some], x[some]], around[y[some], x[some]]], axis=1).astype(float)
    places[:, 1] += roll_deg / 360 * np.pi * camera.diameter_mm
    pixels = to_pixels(camera, places, roll_deg)
    np.testing.assert_allclose(pixels, np.stack([x[some], y[some]], axis=1), atol=0.2)


@pytest.mark.parametrize("width_mm", [0.75, 1.25, 2.5])
@pytest.mark.parametrize("angle_deg", [0, 20, 45, 90])
def test_a_crack_covers_its_length_times_its_width(angle_deg: float, width_mm: float) -> None:
    t, angle = np.linspace(-15, 15, 40), np.radians(angle_deg)
    middle_mm = 0.75 * np.pi * SIDE.diameter_mm
    places = np.stack([t * np.cos(angle), middle_mm + t * np.sin(angle)], axis=1)
    strand = WallStrand(places_mm=places, width_mm=np.full(40, width_mm))
    defect = Defect(number=1, kind="spiral", strands=[strand])
    coverage = coverage_of(SIDE, [defect], along_mm=0, roll_deg=0)
    assert coverage.sum() == pytest.approx(30 * width_mm / 0.25**2, rel=0.01)


def test_a_ride_stops_and_slips_and_arrives() -> None:
    steps = ride(np.random.default_rng(0), from_m=0, to_m=20, speed_mps=0.2, fps=10, sway_deg=2)
    speeds = np.array([step.speed_mps for step in steps])
    assert (speeds == 0).any()
    assert speeds.min() < 0
    assert speeds.max() > 0.35
    assert steps[-1].chainage_m == pytest.approx(20, abs=0.1)
    rows = np.array(odometer(np.random.default_rng(1), steps))
    times = [step.time_s for step in steps]
    told_m = np.interp(times, rows[:, 0], rows[:, 1])
    assert np.abs(told_m - [step.chainage_m for step in steps]).max() < 0.01


def test_all_four_kinds_in_slots_of_their_own() -> None:
    scene = make_scene(ScenePlan(seed=3, metres=10, cracks=20))
    assert {defect.kind for defect in scene.defects} == {
        "longitudinal", "circumferential", "spiral", "multiple"
    }  # fmt: skip
    ends = [(d.places_mm()[:, 0].min(), d.places_mm()[:, 0].max()) for d in scene.defects]
    assert all(after[0] - before[1] > 30 for before, after in pairwise(ends))


@pytest.mark.parametrize(
    "plan",
    [
        ScenePlan(metres=0.1),
        ScenePlan(cracks=500),
        ScenePlan(diameter_mm=-1),
        ScenePlan(size_hw=(10, 10)),
        ScenePlan(speed_mps=0),
        ScenePlan(fps=-3),
    ],
)
def test_what_cannot_be_simulated_is_refused(plan: ScenePlan) -> None:
    with pytest.raises(InputError):
        make_scene(plan)


def test_the_command_leaves_a_folder_to_inspect(tmp_path: Path, command_line) -> None:
    size = ["--size", "96x128", "--metres", "0.8", "--cracks", "2", "--speed-mps", "0.4"]
    for name, wall in (("one", "concrete"), ("again", "concrete")):
        out = str(tmp_path / name)
        done = command_line("simulate", "pipe", "--out", out, "--seed", "3", "--wall", wall, *size)
        assert done.returncode == 0, done.stderr
    truth = json.loads((tmp_path / "one" / "truth.json").read_text())
    assert len(truth["cracks"]) == 2
    masks = sorted((tmp_path / "one" / "masks").iterdir())
    video = cv2.VideoCapture(str(tmp_path / "one" / "footage.mp4"))
    for frame, path in zip(truth["frames"], masks, strict=True):
        assert video.read()[0]
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert mask.shape == (96, 128)
        assert (mask > 0).sum() == frame["crack_px"]
    assert sum(frame["crack_px"] > 0 for frame in truth["frames"]) > 2
    for name in ("truth.json", "odometry.csv", "pipe.toml", "footage.mp4"):
        one, again = (tmp_path / which / name for which in ("one", "again"))
        assert one.read_bytes() == again.read_bytes()
    refused = command_line("simulate", "pipe", "--out", str(tmp_path / "one"), *size)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    wrong = command_line("simulate", "pipe", "--out", str(tmp_path / "x"), "--wall", "marble")
    assert "concrete, brick, steel" in wrong.stderr
