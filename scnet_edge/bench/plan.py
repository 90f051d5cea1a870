"""Which bundle for which device: measured where it was measured, estimated and marked elsewhere.

An estimate is a roofline on top of a fixed cost. On a device that somebody timed several networks
on, their times lie on a line over their operations: what a frame costs however small the network,
and the share of the dense rate that the rest reaches. A frame takes the fixed cost and then the
longer of its operations at that share and its activations' bytes at the memory's rate. The range is
that of the lines; nothing of ours ran on these devices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scnet_edge.bench.devices import ANCHORS, DEVICES, Anchor, GpuPrecision, is_device
from scnet_edge.bench.schema import Environment, Result, Row
from scnet_edge.errors import ConfigError

MEMORY_EFFICIENCY = 0.7  # of the published bandwidth, an assumption
BYTES = {"fp16": 2, "int8": 1}
HERE = "here"
GATE_LOSS = 0.005  # of F1, what `build --int8` lets INT8 lose unless told otherwise


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
    f1: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One bundle on the device.

    Attributes:
        fps: The middle; of a measurement the median.
        low, high: The range of the estimate, or the slowest and fastest measured round.
        f1: At this precision, or in FP32 where `f1_of` says so; None where neither was measured.
        basis: `measured`, or what the estimate rests on.
    """

    model: str
    precision: str
    fps: float
    low: float
    high: float
    f1: float | None
    f1_of: str
    measured: bool
    basis: str

    @property
    def least_f1(self) -> float:
        """What F1 to count on: INT8 that was not scored may lose what the gate allows."""
        loss = GATE_LOSS if (self.precision, self.f1_of) == ("int8", "fp32") else 0.0
        return (self.f1 or 0.0) - loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What networks reached on a device: a fixed cost a frame, then a share of the dense rate."""

    device: str
    fixed_ms: float
    share: float


def options(
    device: str,
    workloads: Sequence[Workload],
    results: Sequence[Result],
    size_hw: tuple[int, int],
) -> tuple[str, list[Option]]:
    """Return the device's full name and every bundle's speed on it, the fastest first.

    Args:
        device: A name of `DEVICES`, or `here` for the machine of the results.
        workloads: What each model asks.
        results: Measurements; those of this device at this size are used as they are.
        size_hw: Of the networks.

    Raises:
        ConfigError: an unknown device, or `here` without a result at this size.
    """
    if device != HERE and device not in DEVICES:
        raise ConfigError(f"device {device!r}: expected {HERE} or one of {', '.join(DEVICES)}")
    if device == HERE and not results:
        raise ConfigError("--device here needs results: run 'scnet-edge bench' and pass --results")
    name = _here(results[0].environment) if device == HERE else DEVICES[device].name
    found = [
        _measured(row)
        for result in results
        if device == HERE or _is_of(result, device)
        for row in result.rows
        if row.scope == "camera_to_mask" and row.size_hw == size_hw
    ]
    if device == HERE and not found:
        height, width = size_hw
        raise ConfigError(
            f"--device here: no result is of {height}x{width}; name a --size that was measured, or "
            "measure this one"
        )
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
            return max(reached, key=lambda o: (o.least_f1, o.fps))
    return None


def _here(environment: Environment) -> str:
    """Return the machine in words, its GPU first where it has one."""
    return ", ".join(filter(None, (environment.gpu, environment.cpu)))


def _is_of(result: Result, device: str) -> bool:
    here = result.environment
    return is_device(device, here.machine, here.memory_gb, here.power_mode)


def _measured(row: Row) -> Option:
    return Option(
        model=row.model,
        precision=row.precision,
        fps=row.fps,
        low=min(row.round_fps),
        high=max(row.round_fps),
        f1=row.f1,
        f1_of=row.precision,
        measured=True,
        basis=f"camera to mask, {row.label}",
    )


def _estimated(w: Workload, precision: GpuPrecision, device: str) -> Option:
    paces, basis = _paces(device, precision)
    d = DEVICES[device]
    memory_ms = w.mega_activations * BYTES[precision] / (d.gb_s * MEMORY_EFFICIENCY)
    ms = [p.fixed_ms + max(w.gflop / (d.tops[precision] * p.share), memory_ms) for p in paces]
    f1_of = precision if precision in w.f1 else "fp32"
    return Option(
        model=w.model,
        precision=precision,
        fps=1e3 / float(np.median(ms)),
        low=1e3 / max(ms),
        high=1e3 / min(ms),
        f1=w.f1.get(f1_of),
        f1_of=f1_of,
        measured=False,
        basis=basis,
    )


def _paces(device: str, precision: GpuPrecision) -> tuple[list[Pace], str]:
    """Return what was reached on a device, its family, or failing that on others; and in words."""
    everywhere = paces(precision)
    family = DEVICES[device].family
    own = [p for p in everywhere if p.device == device]
    kin = [p for p in everywhere if DEVICES[p.device].family == family]
    found = own or kin or everywhere
    whose = "this device" if own else "its family" if kin else "other families"
    named = {DEVICES[p.device].name: None for p in found}
    return found, (
        f"{_range([p.fixed_ms for p in found], 1)} ms a frame and "
        f"{_range([100 * p.share for p in found], 0)} % of the dense {precision.upper()} rate, "
        f"as other networks on {', '.join(named)} ({whose}); memory at "
        f"{100 * MEMORY_EFFICIENCY:.0f} %"
    )


def paces(precision: GpuPrecision) -> list[Pace]:
    """Return what was reached on every device with an anchor.

    One network alone does not tell a fixed cost from a share, so there the fixed cost is taken from
    each of the devices that have more, and the share is what then gives the network's own time.
    """
    by_device: dict[str, list[Anchor]] = {}
    for anchor in ANCHORS:
        if anchor.precision == precision:
            by_device.setdefault(anchor.device, []).append(anchor)
    lines = [_line(anchors) for anchors in by_device.values() if len(anchors) > 1]
    single = [
        Pace(device=a.device, fixed_ms=line.fixed_ms, share=a.share_beyond(line.fixed_ms))
        for anchors in by_device.values()
        if len(anchors) == 1
        for a in anchors
        for line in lines
    ]
    return lines + single


def _line(anchors: Sequence[Anchor]) -> Pace:
    """Return the straight line through the times of networks on one device."""
    first = anchors[0]
    slope, fixed_ms = np.polyfit([a.gflop for a in anchors], [a.ms for a in anchors], 1)
    tops = DEVICES[first.device].tops[first.precision]
    return Pace(device=first.device, fixed_ms=float(fixed_ms), share=1 / float(slope) / tops)


def _range(values: Sequence[float], digits: int) -> str:
    low, high = (f"{v:.{digits}f}" for v in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"
