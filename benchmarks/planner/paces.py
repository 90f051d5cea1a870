"""How long a frame takes on a device that nobody here has, from what others timed there.

The times of several networks on one device lie on a line over their operations: what a frame costs
however small the network, and the share of the dense rate that the rest reaches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.planner.devices import ANCHORS, DEVICES, Anchor, GpuPrecision
from benchmarks.planner.workload import Convolutions, Workload

MEMORY_EFFICIENCY = 0.7  # of the published bandwidth, an assumption
BYTES = {"fp16": 2, "int8": 1}
# An instance norm reads a map for its sums and again to scale it, and writes it: the two kernels
# that TensorRT-RTX makes of our graph. INT8 convolutions write FP16 before one, and what it writes
# is read once more to be quantised.
NORM_BYTES = {"fp16": 6, "int8": 6 + 3}
MOVED_BYTES = 2  # what lies between convolutions stays FP16 in an INT8 graph
# The share of a wide convolution's rate that one of few channels attains: OpenVINO's on the EPYC,
# BF16 in FP16's place; below 16 in proportion, from 64 on all. That GPUs do as well is assumed.
CHANNELS = (0, 16, 32, 64)
NARROW = {"fp16": (0.0, 0.76, 0.92, 1.0), "int8": (0.0, 0.58, 0.84, 1.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What networks reached on a device.

    Attributes:
        fixed_ms: A frame's, however small the network.
        share: Of the dense rate.
        miss: The largest error of the line over its own networks, as a share of their times.
    """

    device: str
    fixed_ms: float
    share: float
    miss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What an estimate on a device rests on.

    Attributes:
        middle: The device's own pace; else its family's, or failing that all.
        spread: The family's, or all.
        whose: In words.
    """

    middle: Sequence[Pace]
    spread: Sequence[Pace]
    whose: str


def frame_ms(w: Workload, device: str, precision: GpuPrecision, pace: Pace) -> float:
    """Return the milliseconds that the engine takes for a frame at a pace.

    Equally wide convolutions take the longer of their operations and their bytes; norms and what
    lies between convolutions are passes over memory of their own.
    """
    gflop_ms = DEVICES[device].tops[precision] * pace.share
    mb_ms = DEVICES[device].gb_s * MEMORY_EFFICIENCY
    layers = sum(
        max(c.gflop / (gflop_ms * narrow(c.channels, precision)), _mb(c, precision) / mb_ms)
        + c.mega_normed * NORM_BYTES[precision] / mb_ms
        for c in w.convolutions
    )
    return pace.fixed_ms + layers + w.mega_moved * MOVED_BYTES / mb_ms


def narrow(channels: int, precision: GpuPrecision) -> float:
    """Return the share of a wide convolution's rate that one of so many channels attains."""
    return float(np.interp(channels, CHANNELS, NARROW[precision]))


def _mb(c: Convolutions, precision: GpuPrecision) -> float:
    quantised = c.mega_read + c.mega_written - c.mega_normed
    return quantised * BYTES[precision] + c.mega_normed * BYTES["fp16"]


def find_pace(device: str, precision: GpuPrecision) -> Reached:
    """Return what was reached on a device, its family, or failing that on others."""
    everywhere = paces(precision)
    family = DEVICES[device].family
    own = [p for p in everywhere if p.device == device]
    kin = [p for p in everywhere if DEVICES[p.device].family == family]
    whose = "this device and its family" if own else "its family" if kin else "other families"
    return Reached(middle=own or kin or everywhere, spread=kin or everywhere, whose=whose)


def paces(precision: GpuPrecision) -> list[Pace]:
    """Return what was reached on every device with an anchor.

    One network alone does not tell a fixed cost from a share, so there the fixed cost is taken from
    each of the devices that have more, and the share is what then gives the network's own time.
    A device that was timed in FP16 alone gains from INT8 what each of the others gained.
    """
    by_device: dict[str, list[Anchor]] = {}
    for anchor in ANCHORS:
        if anchor.precision == precision:
            by_device.setdefault(anchor.device, []).append(anchor)
    lines = [_line(anchors) for anchors in by_device.values() if len(anchors) > 1]
    single = [
        replace(line, device=a.device, share=a.share_beyond(line.fixed_ms))
        for anchors in by_device.values()
        if len(anchors) == 1
        for a in anchors
        for line in lines
    ]
    gained = list(_gain(lines)) if precision == "int8" else []
    return lines + single + gained


def _gain(int8: Sequence[Pace]) -> Iterator[Pace]:
    half = paces("fp16")
    timed = {p.device: p for p in int8}
    for pace in half:
        if pace.device not in timed and "int8" in DEVICES[pace.device].tops:
            for other in half:
                if other.device in timed:
                    gain = timed[other.device].share / other.share
                    yield replace(pace, share=pace.share * gain)


def _line(anchors: Sequence[Anchor]) -> Pace:
    """Return the straight line through the times of networks on one device."""
    first = anchors[0]
    gflop, ms = (np.array([getattr(a, key) for a in anchors]) for key in ("gflop", "ms"))
    slope, fixed_ms = np.polyfit(gflop, ms, 1)
    return Pace(
        device=first.device,
        fixed_ms=float(fixed_ms),
        share=1 / float(slope) / DEVICES[first.device].tops[first.precision],
        miss=float(np.max(np.abs(fixed_ms + slope * gflop - ms) / ms)),
    )
