"""NVIDIA's Jetsons as published, and what others measured on them: the planner's only sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

GpuPrecision = Literal["fp16", "int8"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One module at its highest power mode.

    Attributes:
        board: The words of the device tree's model that tell it from every other board.
        memory_gb: What tells modules of one board apart.
        tops: Dense 1e12 operations a second of the GPU, by precision; none where its cores have
            no such instruction. Computed from cores and clocks that NVIDIA publishes.
        gb_s: Memory bandwidth.
    """

    name: str
    board: str
    memory_gb: int
    family: Literal["maxwell", "pascal", "volta", "ampere", "blackwell"]
    tops: Mapping[GpuPrecision, float]
    gb_s: float

    @property
    def super_mode(self) -> bool:
        """Whether this is the module in its faster power mode, which nvpmodel calls MAXN_SUPER."""
        return "Super" in self.name


DEVICES = {
    "nano": Device(
        family="maxwell",
        name="Jetson Nano 4GB",
        board="Nano",
        memory_gb=4,
        tops={"fp16": 0.47},
        gb_s=25.6,
    ),
    "tx2": Device(
        family="pascal", name="Jetson TX2", board="TX2", memory_gb=8, tops={"fp16": 1.33}, gb_s=59.7
    ),
    "xavier-nx": Device(
        family="volta",
        name="Xavier NX",
        board="Xavier NX",
        memory_gb=8,
        tops={"fp16": 6.8, "int8": 13.5},
        gb_s=59.7,
    ),
    "agx-xavier": Device(
        family="volta",
        name="AGX Xavier",
        board="AGX Xavier",
        memory_gb=32,
        tops={"fp16": 11.3, "int8": 22.6},
        gb_s=136.5,
    ),
    "orin-nano-4gb": Device(
        family="ampere",
        name="Orin Nano 4GB",
        board="Orin Nano",
        memory_gb=4,
        tops={"fp16": 5.1, "int8": 10.2},
        gb_s=34,
    ),
    "orin-nano-4gb-super": Device(
        family="ampere",
        name="Orin Nano Super 4GB",
        board="Orin Nano",
        memory_gb=4,
        tops={"fp16": 8.4, "int8": 16.7},
        gb_s=51,
    ),
    "orin-nano": Device(
        family="ampere",
        name="Orin Nano 8GB",
        board="Orin Nano",
        memory_gb=8,
        tops={"fp16": 10.2, "int8": 20.5},
        gb_s=68,
    ),
    "orin-nano-super": Device(
        family="ampere",
        name="Orin Nano Super 8GB",
        board="Orin Nano",
        memory_gb=8,
        tops={"fp16": 16.7, "int8": 33.4},
        gb_s=102,
    ),
    "orin-nx-8gb": Device(
        family="ampere",
        name="Orin NX 8GB",
        board="Orin NX",
        memory_gb=8,
        tops={"fp16": 12.5, "int8": 25.1},
        gb_s=102.4,
    ),
    "orin-nx-8gb-super": Device(
        family="ampere",
        name="Orin NX 8GB Super",
        board="Orin NX",
        memory_gb=8,
        tops={"fp16": 19.2, "int8": 38.4},
        gb_s=102.4,
    ),
    "orin-nx": Device(
        family="ampere",
        name="Orin NX 16GB",
        board="Orin NX",
        memory_gb=16,
        tops={"fp16": 15.0, "int8": 30.1},
        gb_s=102.4,
    ),
    "orin-nx-super": Device(
        family="ampere",
        name="Orin NX 16GB Super",
        board="Orin NX",
        memory_gb=16,
        tops={"fp16": 19.2, "int8": 38.4},
        gb_s=102.4,
    ),
    "agx-orin-32gb": Device(
        family="ampere",
        name="AGX Orin 32GB",
        board="AGX Orin",
        memory_gb=32,
        tops={"fp16": 26.7, "int8": 53.3},
        gb_s=204.8,
    ),
    "agx-orin": Device(
        family="ampere",
        name="AGX Orin 64GB",
        board="AGX Orin",
        memory_gb=64,
        tops={"fp16": 42.6, "int8": 85.2},
        gb_s=204.8,
    ),
    # Its dense INT8 rate is not published; half of FP8's is no safe guess, so FP16 alone.
    "thor-t4000": Device(
        family="blackwell",
        name="Thor T4000",
        board="AGX Thor",
        memory_gb=64,
        tops={"fp16": 150.0},
        gb_s=273,
    ),
    "thor": Device(
        family="blackwell",
        name="Thor T5000",
        board="AGX Thor",
        memory_gb=128,
        tops={"fp16": 258.5},
        gb_s=273,
    ),
}


def is_device(name: str, machine: str, memory_gb: float, power_mode: str | None) -> bool:
    """Return whether a machine is a device of `DEVICES`, in its power mode.

    Args:
        name: Of the device.
        machine: The device tree's model, such as `NVIDIA Orin Nano Developer Kit`.
        memory_gb: What the system has, always a little less than the module.
        power_mode: nvpmodel's name for it; None where there is none.
    """
    device, words = DEVICES[name], set(machine.lower().split())
    known = {word for d in DEVICES.values() for word in d.board.lower().split()}
    if words & known != set(device.board.lower().split()):
        return False
    sizes = {d.memory_gb for d in DEVICES.values() if d.board == device.board}
    nearest = min(sizes, key=lambda gb: abs(gb - memory_gb))
    in_super_mode = "SUPER" in (power_mode or "").upper()
    return (device.memory_gb, device.super_mode) == (nearest, in_super_mode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A network that somebody timed in TensorRT on a device, network time alone.

    Attributes:
        gflop: 1e9 operations a frame, two a multiply-accumulate, as its authors state them.
    """

    device: str
    precision: GpuPrecision
    what: str
    gflop: float
    ms: float
    source: str

    def share_beyond(self, fixed_ms: float) -> float:
        """Return the share of the device's dense rate, where a frame costs `fixed_ms` anyhow."""
        return self.gflop / (self.ms - fixed_ms) / DEVICES[self.device].tops[self.precision]


TORCH2TRT = "torch2trt, its benchmarks folder"
ULTRALYTICS = "Ultralytics' Jetson guide, YOLO11 at 640 px"
ORIN_COLUMNS: tuple[tuple[str, GpuPrecision], ...] = (
    ("agx-orin", "fp16"),
    ("agx-orin", "int8"),
    ("orin-nano-super", "fp16"),
    ("orin-nano-super", "int8"),
    ("orin-nx", "fp16"),
    ("orin-nx", "int8"),
)
# Plain convolutional networks; VGG-16 is SCNet's encoder and HED itself.
ANCHORS = (
    Anchor(device="nano", precision="fp16", what="VGG-16", gflop=30.9, ms=84.0, source=TORCH2TRT),
    Anchor(
        device="agx-xavier", precision="fp16", what="VGG-16", gflop=30.9, ms=7.46, source=TORCH2TRT
    ),
    *(
        Anchor(
            device=device, precision=precision, what=what, gflop=gflop, ms=ms, source=ULTRALYTICS
        )
        for what, gflop, times in (
            ("YOLO11n", 6.5, (2.60, 2.45, 4.91, 3.91, 4.85, 4.37)),
            ("YOLO11s", 21.5, (3.68, 3.01, 7.30, 5.25, 7.55, 5.63)),
            ("YOLO11m", 68.0, (6.79, 5.12, 13.99, 9.58, 14.45, 10.19)),
            ("YOLO11l", 86.9, (8.11, 6.60, 17.57, 12.37, 18.53, 13.36)),
            ("YOLO11x", 194.9, (13.66, 9.78, 32.94, 20.72, 35.99, 22.32)),
        )
        for (device, precision), ms in zip(ORIN_COLUMNS, times, strict=True)
    ),
)
