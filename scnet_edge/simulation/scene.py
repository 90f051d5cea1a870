"""A whole pipe with its cracks, the camera and the robot's way: all that a seed decides.

The robot stops and jerks on its way; its odometer and its level say where it was, not exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scnet_edge.errors import InputError
from scnet_edge.simulation.cracks import truth_mask
from scnet_edge.simulation.defects import Defect, scatter_defects
from scnet_edge.simulation.optics import Mode, PipeCamera, coverage_of, in_view, wall_of
from scnet_edge.simulation.walls import Material
from scnet_edge.types import Mask

_ODOMETER_HZ = 25.0
_TICK_MM = 0.5  # of the encoder
_ROLL_NOISE_DEG = 0.15
_LONGEST_S = 4 * 3600.0
_SMALLEST_PX = 96
_LEAD_M = 0.15  # before the first crack and after the last
_BELIEVED_DIAMETERS = 2.5
_MOST_CRACKS_PER_M = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RideStep:
    """Where the robot truly is at a time, and how fast it goes."""

    time_s: float
    chainage_m: float
    roll_deg: float
    speed_mps: float


def ride(
    rng: np.random.Generator,
    *,
    from_m: float,
    to_m: float,
    speed_mps: float,
    fps: float,
    sway_deg: float,
) -> list[RideStep]:
    """Return a step for every frame of a way from one chainage to another.

    The speed wavers by a tenth; every few metres the robot stops for a second, slips, or is pulled
    back by its cable for a moment.

    Raises:
        InputError: a speed, a rate or a way that no robot has.
    """
    if not (speed_mps > 0 and fps > 0 and to_m > from_m):
        raise InputError("a ride needs a speed, frames per second and a length above 0")
    if (to_m - from_m) / speed_mps > _LONGEST_S:
        raise InputError("a ride of over 4 hours; choose a higher speed or a shorter pipe")
    steps: list[RideStep] = []
    phase, event_s, factor = rng.uniform(0, 2 * np.pi, 2), 0.0, 1.0
    chainage_m, next_m = from_m, from_m + rng.uniform(0.3, 1.2)
    while chainage_m < to_m:
        t = len(steps) / fps
        if chainage_m > next_m:
            factor, lasts_s = [(0.0, 1.0), (2.2, 0.25), (-0.6, 0.3)][rng.integers(3)]
            event_s, next_m = t + lasts_s, chainage_m + rng.uniform(0.8, 2.5)
        factor = factor if t < event_s else 1.0
        speed = speed_mps * factor * (1 + 0.1 * np.sin(0.9 * t + phase[0]))
        roll_deg = sway_deg * np.sin(0.35 * t + phase[1]) + 0.15 * sway_deg * np.sin(2.3 * t)
        steps.append(
            RideStep(
                time_s=t, chainage_m=chainage_m, roll_deg=float(roll_deg), speed_mps=float(speed)
            )
        )
        chainage_m += float(speed) / fps
    return steps


def odometer(rng: np.random.Generator, steps: list[RideStep]) -> list[tuple[float, float, float]]:
    """Return (time_s, chainage_m, roll_deg) as an encoder and a level report them."""
    times = np.array([step.time_s for step in steps])
    at = np.arange(0, times[-1] + 1 / _ODOMETER_HZ, 1 / _ODOMETER_HZ)
    chainage_mm = 1000 * np.interp(at, times, [step.chainage_m for step in steps])
    ticks_mm = np.round(chainage_mm / _TICK_MM) * _TICK_MM
    roll_deg = np.interp(at, times, [step.roll_deg for step in steps])
    roll_deg += rng.normal(0, _ROLL_NOISE_DEG, len(at))
    return [
        (round(float(t), 4), round(float(mm) / 1000, 5), round(float(roll), 3))
        for t, mm, roll in zip(at, ticks_mm, roll_deg, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePlan:
    """What to simulate; the seed decides the rest."""

    seed: int = 0
    mode: Mode = "side"
    material: Material = "concrete"
    metres: float = 3.0
    cracks: int = 6
    diameter_mm: float = 300.0
    size_hw: tuple[int, int] = (384, 544)
    speed_mps: float = 0.12
    fps: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A plan worked out: the camera, the cracks, and where the robot is at every frame.

    Attributes:
        believed: (h, w) bool, False so far ahead that nobody could mark a crack there.
    """

    plan: ScenePlan
    camera: PipeCamera
    believed: Mask
    defects: list[Defect]
    steps: list[RideStep]

    def mask(self, step: RideStep) -> Mask:
        """Return the pixels of which a crack covers at least half, (h, w) bool."""
        along_mm = 1000 * step.chainage_m
        most_mm = _BELIEVED_DIAMETERS * self.plan.diameter_mm
        near = in_view(self.camera, self.defects, along_mm, most_mm=most_mm)
        return truth_mask(coverage_of(self.camera, near, along_mm=along_mm, roll_deg=step.roll_deg))


def make_scene(plan: ScenePlan) -> Scene:
    """Return the scene of a plan.

    Raises:
        InputError: sizes or numbers that cannot be simulated.
    """
    _check(plan)
    crack_rng, ride_rng = np.random.default_rng(plan.seed).spawn(2)
    camera = _camera(plan)
    around_mm = math.pi * plan.diameter_mm
    if plan.mode == "forward":
        # From 8 to 4 over the crown and the seam at 12; below runs the water.
        band_mm, lanes, width_mm = (-0.33 * around_mm, 0.33 * around_mm), 2, (4.0, 8.0)
    else:
        look_mm = camera.look_clock_h / 12 * around_mm
        half_mm = 0.42 * plan.size_hw[0] * camera.mm_per_px()
        band_mm, lanes = (look_mm - half_mm, look_mm + half_mm), 1
        width_mm = (4.5 * camera.mm_per_px(), 11 * camera.mm_per_px())
    defects = scatter_defects(
        crack_rng,
        count=plan.cracks,
        from_mm=1000 * _LEAD_M,
        to_mm=1000 * (plan.metres - _LEAD_M),
        band_mm=band_mm,
        lanes=lanes,
        width_mm=width_mm,
    )
    ahead_m = 0.003 * plan.diameter_mm if plan.mode == "forward" else 0.0
    steps = ride(
        ride_rng,
        from_m=-ahead_m / 2,
        to_m=plan.metres,
        speed_mps=plan.speed_mps,
        fps=plan.fps,
        sway_deg=1.5 if plan.mode == "side" else 4.0,
    )
    with np.errstate(invalid="ignore"):
        believed = np.abs(wall_of(camera)[0]) <= _BELIEVED_DIAMETERS * plan.diameter_mm
    return Scene(plan=plan, camera=camera, believed=believed, defects=defects, steps=steps)


def _camera(plan: ScenePlan) -> PipeCamera:
    width = plan.size_hw[1]
    if plan.mode == "forward":
        return PipeCamera(
            mode="forward",
            size_hw=plan.size_hw,
            diameter_mm=plan.diameter_mm,
            focal_px=0.62 * width,
            distortion=(-0.18, 0.03, 0.0, 0.0),
            far_mm=8 * plan.diameter_mm,
        )
    return PipeCamera(
        mode="side",
        size_hw=plan.size_hw,
        diameter_mm=plan.diameter_mm,
        focal_px=0.8 * width,
        distortion=(-0.08, 0.01, 0.0, 0.0),
        distance_mm=0.36 * plan.diameter_mm,
    )


def _check(plan: ScenePlan) -> None:
    if min(plan.size_hw) < _SMALLEST_PX:
        raise InputError(f"frames need at least {_SMALLEST_PX} px a side, got {plan.size_hw}")
    if not 100 <= plan.diameter_mm <= 3000:
        raise InputError(f"a diameter of 100 to 3000 mm, got {plan.diameter_mm:g}")
    if not 0.6 <= plan.metres <= 200:
        raise InputError(f"a pipe of 0.6 to 200 m, got {plan.metres:g}")
    if not 0 <= plan.cracks <= _MOST_CRACKS_PER_M * plan.metres:
        most = int(_MOST_CRACKS_PER_M * plan.metres)
        raise InputError(f"0 to {most} cracks in {plan.metres:g} m, got {plan.cracks}")
