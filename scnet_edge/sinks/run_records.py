"""Frames and events as JSON: one self-contained record each, for files and brokers alike."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from scnet_edge.events import Event
from scnet_edge.machine.clock import clock_synced
from scnet_edge.machine.telemetry import Telemetry
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.types import Photograph

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class RunRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="run"):
    """The first record of a run; monotonic times compare within one `boot_id` alone.

    The mask of one of its frames is `RUN_ID/NAME.png` in the folder of a `masks:` sink.
    """

    run_id: str
    boot_id: str
    mono_ns: int
    utc_ns: int
    clock_synced: bool | None
    facts: dict[str, str]  # bundle, its hash, engine, source without a password, version


class FrameRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="frame"):
    """One frame: when, what was found, how long it took, and how fast the machine then ran."""

    frame_id: int
    name: str
    mono_ns: int
    utc_ns: int | None
    clock_synced: bool | None
    size_hw: tuple[int, int]
    faults: tuple[str, ...]
    flags: tuple[str, ...]
    scale: str  # `native`, `fit` or `auto`, as in `Result`
    tiles: int
    ignored_px: int  # not inspected
    crack_area_px: int
    cracks: Sequence[Any]
    timing_ms: dict[str, float]
    age_ms: float | None
    camera_to_mask_ms: float | None
    power_mode: str | None
    clocks_mhz: dict[str, float]
    clocks_locked: bool | None
    hottest_c: float | None
    total_mw: float | None
    throttled: tuple[str, ...]
    photograph: Photograph | None = None


class EventRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="event"):
    """One line of the fault log; `event` is its kind, the rest as in `Event`."""

    event: str
    reason: str
    detail: str
    mono_ns: int
    utc_ns: int
    clock_synced: bool | None
    from_mono_ns: int | None
    first_frame_id: int | None
    last_frame_id: int | None
    attempt: int | None
    file: str = ""


class Recorder:
    """Makes the records of one run.

    Attributes:
        telemetry: gives the newest sample, at once.
        run: the first record.

    Args:
        telemetry: as the attribute.
        facts: what the run is, by label, for its first record.
    """

    def __init__(self, telemetry: Callable[[], Telemetry], facts: dict[str, str]) -> None:
        self.telemetry = telemetry
        self.run = RunRecord(
            run_id=uuid.uuid4().hex,
            boot_id=BOOT_ID.read_text().strip() if BOOT_ID.exists() else "",
            mono_ns=time.monotonic_ns(),
            utc_ns=time.time_ns(),
            clock_synced=clock_synced(),
            facts=facts,
        )

    def record(self, item: FrameResult | Event) -> FrameRecord | EventRecord:
        """Return the record of a frame or an event."""
        return self.frame_record(item) if isinstance(item, FrameResult) else _event(item)

    def steady_utc_ns(self, mono_ns: int) -> int:
        """Return a wall-clock time that never jumps: that of the start plus the time since."""
        return self.run.utc_ns + mono_ns - self.run.mono_ns

    def frame_record(self, frame_result: FrameResult) -> FrameRecord:
        """Return the record of a frame."""
        captured, result, board = frame_result.captured, frame_result.result, self.telemetry()
        return FrameRecord(
            frame_id=captured.frame_id,
            name=captured.name,
            mono_ns=captured.mono_ns,
            utc_ns=captured.utc_ns,
            clock_synced=clock_synced(),
            size_hw=(captured.frame.shape[0], captured.frame.shape[1]),
            faults=captured.faults,
            flags=result.flags,
            scale=result.scale,
            tiles=result.tiles,
            ignored_px=0 if result.ignored is None else int(result.ignored.sum()),
            crack_area_px=int(result.mask.sum()),
            cracks=msgspec.to_builtins(list(frame_result.cracks)),
            timing_ms=dict(frame_result.timing_ms),
            age_ms=frame_result.age_ms,
            camera_to_mask_ms=frame_result.camera_to_mask_ms,
            power_mode=board.power_mode,
            clocks_mhz=board.clocks_mhz,
            clocks_locked=board.clocks_locked,
            hottest_c=board.hottest_c,
            total_mw=board.total_mw,
            throttled=board.throttled,
            photograph=captured.photograph,
        )


def _event(event: Event) -> EventRecord:
    return EventRecord(
        event=event.kind,
        reason=event.reason,
        detail=event.detail,
        mono_ns=event.mono_ns,
        utc_ns=event.utc_ns,
        clock_synced=event.clock_synced,
        from_mono_ns=event.from_mono_ns,
        first_frame_id=event.first_frame_id,
        last_frame_id=event.last_frame_id,
        attempt=event.attempt,
        file=event.file,
    )
