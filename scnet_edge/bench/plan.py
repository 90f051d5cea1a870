"""Which bundle for which device: measured where it was measured, estimated and marked elsewhere.

An estimate is a roofline with the efficiency that others reached: a frame takes at least its
operations at the device's dense rate times that efficiency, and at least its activations' bytes at
the memory's. The range is that of the anchors; nothing of ours ran on these devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scnet_edge.bench.devices import ANCHORS, DEVICES, Anchor, Device, GpuPrecision
from scnet_edge.bench.schema import Result, Row
from scnet_edge.errors import ConfigError

MEMORY_EFFICIENCY = 0.7  # of the published bandwidth, an assumption
BYTES = {"fp16": 2, "int8": 1}
HERE = "here"
SIMILAR = 3.0  # anchors within this factor of a model's operations are preferred


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a model asks of a device, at the size it would run at.

    Attributes:
        gflop: 1e9 operations a frame.
        mega_activations: 1e6 numbers that its convolutions read and write.
        f1: On the DeepCrack test split, by precision; what was not measured is missing.
    """

    model: str
    gflop: float
    mega_activations: float
    f1: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One bundle on the device.

    Attributes:
        fps: The middle; of a measurement the median.
        low, high: The range of the estimate, or the slowest and fastest measured round.
        basis: `measured`, or what the estimate rests on.
    """

    model: str
    precision: str
    fps: float
    low: float
    high: float
    f1: float | None
    measured: bool
    basis: str


def options(
    device: str, workloads: Sequence[Workload], results: Sequence[Result]
) -> tuple[str, list[Option]]:
    """Return the device's full name and every bundle's speed on it, the fastest first.

    Args:
        device: A name of `DEVICES`, or `here` for the machine of the results.
        workloads: What each model asks.
        results: Measurements; those of this device are used as they are.

    Raises:
        ConfigError: an unknown device, or `here` without a result.
    """
    if device != HERE and device not in DEVICES:
        raise ConfigError(f"device {device!r}: expected {HERE} or one of {', '.join(DEVICES)}")
    if device == HERE and not results:
        raise ConfigError("--device here needs results: run 'scnet-edge bench' and pass --results")
    name = results[0].environment.cpu if device == HERE else DEVICES[device].name
    found = [
        _measured(row)
        for result in results
        if device == HERE or _is_of(result, DEVICES[device])
        for row in result.rows
        if row.scope == "camera_to_mask"
    ]
    if device != HERE:
        known = {(o.model, o.precision) for o in found}
        found += [
            _estimated(w, precision, device)
            for w in workloads
            for precision in DEVICES[device].tops
            if (w.model, precision) not in known
        ]
    return name, sorted(found, key=lambda o: -o.fps)


def choose(found: Sequence[Option], target_fps: float) -> Option | None:
    """Return the bundle of the highest F1 that reaches the target even at its low end.

    Where none does, the one whose middle reaches it; None where no middle does either.
    """
    for reached in (
        [o for o in found if o.low >= target_fps],
        [o for o in found if o.fps >= target_fps],
    ):
        if reached:
            return max(reached, key=lambda o: (o.f1 or 0.0, o.fps))
    return None


def _is_of(result: Result, device: Device) -> bool:
    words = device.name.removeprefix("Jetson ").split()
    return all(word.lower() in result.environment.machine.lower() for word in words)


def _measured(row: Row) -> Option:
    return Option(
        model=row.model,
        precision=row.precision,
        fps=row.fps,
        low=min(row.round_fps),
        high=max(row.round_fps),
        f1=row.f1,
        measured=True,
        basis=f"camera to mask, {row.label}",
    )


def _estimated(w: Workload, precision: GpuPrecision, device: str) -> Option:
    anchors, basis = _anchors(device, precision, w.gflop)
    d, efficiencies = DEVICES[device], [a.efficiency for a in anchors]
    memory_s = 1e6 * w.mega_activations * BYTES[precision] / (1e9 * d.gb_s * MEMORY_EFFICIENCY)
    fps = [
        1 / max(w.gflop / 1e3 / (d.tops[precision] * e), memory_s)
        for e in (min(efficiencies), float(np.median(efficiencies)), max(efficiencies))
    ]
    return Option(
        model=w.model,
        precision=precision,
        fps=fps[1],
        low=fps[0],
        high=fps[2],
        f1=w.f1.get(precision),
        measured=False,
        basis=basis,
    )


def _anchors(device: str, precision: GpuPrecision, gflop: float) -> tuple[list[Anchor], str]:
    """Return the anchors nearest to a device and workload, and how to name them."""
    of_precision = [a for a in ANCHORS if a.precision == precision]
    family = DEVICES[device].family
    own = [a for a in of_precision if a.device == device]
    kin = [a for a in of_precision if DEVICES[a.device].family == family]
    pool = own or kin or of_precision
    alike = [a for a in pool if 1 / SIMILAR <= a.gflop / gflop <= SIMILAR] or pool
    shares = [round(100 * a.efficiency) for a in alike]
    whose = "this device" if own else "its family" if kin else "other families"
    names = ", ".join(f"{a.what} on {DEVICES[a.device].name}" for a in alike)
    return alike, (
        f"{min(shares)} to {max(shares)} % of the dense {precision.upper()} rate, what {names} "
        f"reached ({whose}); memory at {100 * MEMORY_EFFICIENCY:.0f} %"
    )
