"""A simulated survey as a folder: footage, masks, truth, odometry, and the setup to inspect it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from scnet_edge.config import write_json
from scnet_edge.errors import InputError
from scnet_edge.files import write_file, write_image
from scnet_edge.folders import new_folder
from scnet_edge.simulation.defects import Defect
from scnet_edge.simulation.render import render_frames
from scnet_edge.simulation.scene import Scene, ScenePlan, make_scene, odometer

MARKER = "truth.json"
SIMULATED = (
    "Rendered from noise and geometry by scnet-edge simulate; no photograph is in it. The truth is "
    "exact for the wall before the lens' blur, the sensor's noise and the compression."
)


def write_footage(plan: ScenePlan, out: Path, *, overwrite: bool = False) -> Scene:
    """Write footage.mp4, masks/, truth.json, odometry.csv and pipe.toml, and return the scene.

    Raises:
        InputError: a plan that cannot be simulated.
        ConfigError: `out` is in the way.
    """
    scene = make_scene(plan)
    with new_folder(out, marker=MARKER, overwrite=overwrite) as folder:
        seen = _write_frames(scene, folder)
        write_file(folder / "pipe.toml", pipe_toml(scene).encode())
        rows = odometer(np.random.default_rng([plan.seed, 5]), scene.steps)
        lines = ["time_s,chainage_m,roll_deg", *(f"{t:g},{m:.5f},{r:.3f}" for t, m, r in rows)]
        write_file(folder / "odometry.csv", ("\n".join(lines) + "\n").encode())
        write_json(folder / MARKER, truth_of(scene, seen), indent=1)
    return scene


def _write_frames(scene: Scene, folder: Path) -> list[int]:
    """Write the video and the masks; return how many pixels of each frame are crack."""
    h, w = scene.plan.size_hw
    (folder / "masks").mkdir()
    path = folder / "footage.mp4"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), scene.plan.fps, (w, h))
    if not video.isOpened():
        raise InputError(f"{path}: OpenCV cannot write MPEG-4 here; install opencv-python-headless")
    areas = []
    for number, (_, frame, mask) in enumerate(render_frames(scene)):
        video.write(frame)
        path = folder / "masks" / f"footage-{number:05d}.png"
        write_image(path, mask.astype(np.uint8) * 255, durable=False)
        areas.append(int(mask.sum()))
    video.release()
    return areas


def pipe_toml(scene: Scene) -> str:
    """Return the setup of a scene as `scnet-edge inspect` reads it."""
    camera = scene.camera
    middle_xy = (camera.size_hw[1] - 1) / 2, (camera.size_hw[0] - 1) / 2
    values: dict[str, str | float | int | bool | list[float]] = {
        "mode": camera.mode,
        "diameter_mm": camera.diameter_mm,
        "roll": "odometry",
        "fx": camera.focal_px,
        "fy": camera.focal_px,
        "cx": middle_xy[0],
        "cy": middle_xy[1],
        "distortion": list(camera.distortion),
        "width_px": camera.size_hw[1],
        "height_px": camera.size_hw[0],
        "pipe_id": f"simulated, seed {scene.plan.seed}",
        "material": scene.plan.material,
        "simulated": True,
    }
    if camera.mode == "side":
        values |= {
            "mm_per_px": camera.mm_per_px(),
            "travel": "right",
            "look_clock_h": camera.look_clock_h,
        }
    lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in values.items()]
    return "\n".join([f"# {SIMULATED}", *lines]) + "\n"


def truth_of(scene: Scene, crack_px: list[int]) -> dict[str, Any]:
    """Return what is known of a scene: its cracks, and where the robot was at every frame."""
    plan = scene.plan
    steps = zip(scene.steps, crack_px, strict=True)
    return {
        "schema": 1,
        "simulated": SIMULATED,
        "seed": plan.seed,
        "mode": plan.mode,
        "material": plan.material,
        "diameter_mm": plan.diameter_mm,
        "metres": plan.metres,
        "fps": plan.fps,
        "size_hw": list(plan.size_hw),
        "cracks": [_crack(defect, plan.diameter_mm) for defect in scene.defects],
        "frames": [
            {
                "frame_id": number,
                "time_s": round(step.time_s, 4),
                "chainage_m": round(step.chainage_m, 5),
                "roll_deg": round(step.roll_deg, 3),
                "crack_px": pixels,
            }
            for number, (step, pixels) in enumerate(steps)
        ],
    }


def _crack(defect: Defect, diameter_mm: float) -> dict[str, Any]:
    places, width_mm = defect.places_mm(), defect.width_mm()
    hours = places[:, 1] / (math.pi * diameter_mm) * 12
    return {
        "number": defect.number,
        "kind": defect.kind,
        "start_m": round(float(places[:, 0].min()) / 1000, 4),
        "end_m": round(float(places[:, 0].max()) / 1000, 4),
        "clock_from": round(float(hours.min()) % 12, 3),
        "clock_to": round(float(hours.max()) % 12, 3),
        "length_mm": round(defect.length_mm(), 2),
        "width_mean_mm": round(float(width_mm.mean()), 3),
        "width_p95_mm": round(float(np.percentile(width_mm, 95)), 3),
        "width_max_mm": round(float(width_mm.max()), 3),
        "strands": [
            {
                "outline_m_h": [
                    [round(along / 1000, 4), round(around / (math.pi * diameter_mm) * 12 % 12, 4)]
                    for along, around in strand.places_mm.tolist()
                ],
                "width_mm": strand.width_mm.round(3).tolist(),
            }
            for strand in defect.strands
        ],
    }
