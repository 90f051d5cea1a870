"""Frames with a crack, as a loop hands them to its sinks, and a device that misbehaves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scnet_edge.events import Event
from scnet_edge.machine.telemetry import Telemetry
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.runtime.status import SinkStats
from scnet_edge.sinks.run_records import Recorder
from scnet_edge.types import Captured, Result

BOARD = Telemetry(power_mode="15W", clocks_mhz={"gpu": 612.0}, temperatures_c={"cpu": 51.0})


@dataclass(frozen=True)
class DrawnCrack:
    length_px: float = 40.0
    width_mean_px: float = 4.0
    width_max_px: float = 4.0
    angle_deg: float = 0.0
    area_px: int = 160
    bbox_xyxy: tuple[int, int, int, int] = (10, 20, 50, 24)


def frame_result(frame_id: int, *, crack: bool = True) -> FrameResult:
    frame = np.full((48, 64, 3), 200, np.uint8)
    mask = np.zeros((48, 64), bool)
    if crack:
        mask[20:24, 10:50] = True
        frame[mask] = 10
    return FrameResult(
        captured=Captured(
            frame_id=frame_id,
            name=f"frame-{frame_id:06d}",
            frame=frame,
            mono_ns=time.monotonic_ns(),
            utc_ns=time.time_ns(),
        ),
        result=Result(mask=mask, probability=mask.astype(np.float32), edges=None),
        cracks=[DrawnCrack()] if crack else [],
        timing_ms={"engine": 5.0, "measure": 1.0},
        age_ms=2.0,
        camera_to_mask_ms=8.0,
    )


def recorder() -> Recorder:
    return Recorder(lambda: BOARD, {"Bundle": "small"})


class Device:
    """An outlet that keeps what it is given, and can be made to hang or to fail."""

    depth = 4

    def __init__(self, do: Callable[[object], None] = lambda item: None) -> None:
        self.do = do
        self.items: list[FrameResult | Event] = []
        self.flushes = self.closes = 0

    def prepare(self, item: FrameResult | Event) -> FrameResult | Event:
        return item

    def put(self, item: FrameResult | Event) -> None:
        self.do(item)
        self.items.append(item)

    def flush(self) -> None:
        self.flushes += 1

    def close(self) -> None:
        self.closes += 1


def balanced(stats: SinkStats) -> bool:
    return stats.accepted == stats.written + stats.dropped + stats.failed + stats.waiting
