"""A robot's way along a pipe, with stops and jerks, and what its odometer and its level say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scnet_edge.errors import InputError

_ODOMETER_HZ = 25.0
_TICK_MM = 0.5  # of the encoder
_ROLL_NOISE_DEG = 0.15
_LONGEST_S = 4 * 3600.0


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
