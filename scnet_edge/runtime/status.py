"""The state of a run as one value: what the live page, the metrics and the logs show."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from scnet_edge.events import Event
from scnet_edge.machine.clock import clock_synced
from scnet_edge.machine.telemetry import Telemetry
from scnet_edge.runtime.counters import Counters, Latency
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.runtime.liveness import Liveness

FPS_WINDOW_S = 3.0


class SinkStats(msgspec.Struct, frozen=True, kw_only=True):
    """The books of one sink: accepted = written + dropped + failed + waiting.

    Attributes:
        dropped: items that a newer one pushed out of the full queue.
        failed: items that could not be written; `error` says why, empty while all is well.
    """

    name: str
    accepted: int = 0
    written: int = 0
    dropped: int = 0
    failed: int = 0
    waiting: int = 0
    error: str = ""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A run at one moment.

    Attributes:
        fps: frames processed per second over the last three.
        recent_ms: (p50, p95) over those of the time from camera to mask, or of all stages for a
            file; None without a frame.
        latency_ms: (p50, p95, p99) of the whole run by stage; `camera_to_mask` and `age` of a
            live source among them.
    """

    state: str
    mono_s: float
    uptime_s: float
    clock_synced: bool | None
    fps: float
    recent_ms: tuple[float, float] | None
    captured: int
    processed: int
    in_flight: int
    dropped: dict[str, int]
    faults: dict[str, int]
    cracks: int
    engine: str
    engine_crashes: int
    latency_ms: dict[str, tuple[float, float, float]]
    telemetry: Telemetry
    sinks: list[SinkStats]
    events: int


class Monitor:
    """A `Sink` that counts, and gives the status of the run to whoever asks."""

    def __init__(
        self,
        counters: Counters,
        liveness: Liveness,
        *,
        telemetry: Callable[[], Telemetry],
        engine: Callable[[], str] = lambda: "",
        sinks: Callable[[], Sequence[SinkStats]] = lambda: (),
    ) -> None:
        self.liveness = liveness
        self._counters = counters
        self._telemetry = telemetry
        self._engine = engine
        self._sinks = sinks
        self._latency = Latency()
        self._start_s = time.monotonic()
        self._recent: deque[tuple[float, float]] = deque()  # when in s, how long in ms
        self._cracks = 0

    def write(self, frame_result: FrameResult) -> None:
        """Count one frame's figures."""
        timing = dict(frame_result.timing_ms)
        for stage, ms in (
            ("age", frame_result.age_ms),
            ("camera_to_mask", frame_result.camera_to_mask_ms),
        ):
            if ms is not None:
                timing[stage] = ms
        self._latency.add(timing)
        self._cracks += len(frame_result.cracks)
        took_ms = frame_result.camera_to_mask_ms or sum(frame_result.timing_ms.values())
        self._recent.append((time.monotonic(), took_ms))
        while self._recent[-1][0] - self._recent[0][0] > FPS_WINDOW_S:
            self._recent.popleft()

    def note(self, event: Event) -> None:
        """Leave events to `Liveness`."""

    def close(self) -> None:
        """Do nothing: the figures stay readable."""

    def status(self) -> Status:
        """Return the run as it is now; safe from any thread."""
        counters, now_s = self._counters, time.monotonic()
        dropped = dict(counters.dropped)
        fps, recent_ms = self._window(now_s)
        return Status(
            state=self.liveness.state,
            mono_s=now_s,
            uptime_s=now_s - self._start_s,
            clock_synced=clock_synced(),
            fps=fps,
            recent_ms=recent_ms,
            captured=counters.captured,
            processed=counters.processed,
            in_flight=counters.in_flight,
            dropped=dropped,
            faults=dict(counters.faults),
            cracks=self._cracks,
            engine=self._engine(),
            engine_crashes=dropped.get("engine_crashed", 0),
            latency_ms=self._latency.summary_ms(),
            telemetry=self._telemetry(),
            sinks=list(self._sinks()),
            events=self.liveness.events_total,
        )

    def _window(self, now_s: float) -> tuple[float, tuple[float, float] | None]:
        """Return frames per second and their (p50, p95) in ms, over the last seconds."""
        recent_ms = [ms for at_s, ms in tuple(self._recent) if now_s - at_s <= FPS_WINDOW_S]
        window_s = min(FPS_WINDOW_S, now_s - self._start_s)
        if not recent_ms or window_s <= 0:
            return 0.0, None
        p50, p95 = np.percentile(recent_ms, (50, 95)).tolist()
        return len(recent_ms) / window_s, (p50, p95)
