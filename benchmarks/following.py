"""Frames per second of measuring, placing and following on one core, beside the engine.

    python benchmarks/following.py

Two figures, in processor time: a simulated ride past 40 cracks with its exact masks, and one frame
of 384x544 with five cracks in it and the grey image to refine their widths.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from scnet_edge.inspection.geometry import geometry_of
from scnet_edge.inspection.localization import place
from scnet_edge.inspection.measure import measure_cracks
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.setup import read_setup
from scnet_edge.inspection.tracing import trace_cracks
from scnet_edge.inspection.tracking import Follower
from scnet_edge.simulation.cracks import draw_strands, random_crack
from scnet_edge.simulation.footage import pipe_toml
from scnet_edge.simulation.scene import ScenePlan, make_scene
from scnet_edge.types import Captured

LIMIT_MS, LEAST_FPS = 10.0, 30.0
ROUNDS = 60


def ride_fps() -> float:
    """Return the frames per second of a ride with exact masks."""
    scene = make_scene(ScenePlan(seed=1, metres=20, cracks=40, speed_mps=0.4, fps=10))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pipe.toml"
        path.write_text(pipe_toml(scene))
        setup = read_setup(path)
    geometry = geometry_of(setup, scene.plan.size_hw)
    follower = Follower(setup, geometry)
    blank = np.full((*scene.plan.size_hw, 3), 160, np.uint8)
    spent_s = 0.0
    for i, step in enumerate(scene.steps):
        mask = scene.mask(step)
        frame = blank * (1 - 0.7 * mask[..., None])
        now = Captured(frame_id=i, name=f"{i}", frame=frame.astype(np.uint8), mono_ns=i)
        pose = Pose(chainage_m=step.chainage_m, sigma_m=0.001, roll_deg=step.roll_deg)
        began = time.process_time()
        traced = trace_cracks(mask, frame=now.frame)
        follower.see(now, place(i, traced, None, geometry, pose), pose)
        spent_s += time.process_time() - began
    return len(scene.steps) / spent_s


def five_cracks_ms() -> float:
    """Return the mean time to measure five cracks with their image."""
    random = np.random.default_rng(0)
    strands = [
        random_crack(
            random, start_xy=(30 + 110 * i, 60), end_xy=(70 + 110 * i, 320), width_px=5, branches=0
        )
        for i in range(5)
    ]
    coverage = np.max([draw_strands(crack, (384, 544)) for crack in strands], axis=0)
    grey = cv2.GaussianBlur(180 - 120 * coverage, (0, 0), 0.7) + random.normal(0, 5, coverage.shape)
    frame = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    mask = coverage >= 0.5
    assert len(measure_cracks(mask)) == 5
    # One reading of the clock for all rounds: where it is a system call, it is a slow one.
    began = time.process_time()
    for _ in range(ROUNDS):
        measure_cracks(mask, frame=frame)
    return 1000 * (time.process_time() - began) / ROUNDS


def main() -> None:
    """Print both."""
    cv2.setNumThreads(1)
    fps, ms = ride_fps(), five_cracks_ms()
    share = fps / LEAST_FPS
    print(f"measuring, placing and following: {fps:.0f} frames/s, {share:.1f} x the 30 asked for")
    print(f"five cracks with the image: {ms:.1f} ms, {ms / LIMIT_MS:.2f} of the 10 ms allowed")


if __name__ == "__main__":
    main()
