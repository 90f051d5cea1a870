"""The figures of a run: what became of each frame, which always balances, and times by stage."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock

import numpy as np

from scnet_edge.errors import EngineCrash

PER_DECADE = 100  # buckets; a percentile is right within 1.2 %
SMALLEST_MS, DECADES = 1e-3, 9


class Counters:
    """Frames by fate; safe to read and to write from any thread.

    At every moment captured = processed + dropped by reason + in flight, and when the run has
    ended nothing is in flight.

    Attributes:
        captured: frames the camera gave, those included that never reached us.
        processed: frames segmented, measured and handed to every sink.
        dropped: reason -> frames: `stale` for one replaced by a newer before the engine was free,
            `overrun` for one lost between camera and loop, `rate`, `stopped`, `failed` for the one
            whose error ended the run, or a fault.
        faults: reason -> frames that had it, dropped or not.
        last_processed_ns: CLOCK_MONOTONIC of the last processed frame; what health is judged by.
    """

    def __init__(self) -> None:
        self.captured = 0
        self.processed = 0
        self.dropped: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.last_processed_ns: int | None = None
        self._lock = Lock()

    @property
    def in_flight(self) -> int:
        """Frames waiting or being worked on."""
        with self._lock:
            return self.captured - self.processed - self.dropped.total()

    @property
    def settled(self) -> int:
        """Frames that the engine is done with: processed, or lost to a crash that was survived."""
        with self._lock:
            return self.processed + self.dropped["engine_crashed"]

    def capture(self, frames: int = 1, *, faults: tuple[str, ...] = ()) -> None:
        """Count frames that the camera gave."""
        with self._lock:
            self.captured += frames
            self.faults.update(faults)

    def drop(self, reason: str, frames: int = 1) -> None:
        """Count captured frames that will not be processed."""
        if frames:
            with self._lock:
                self.dropped[reason] += frames

    def process(self) -> None:
        """Count one captured frame that every sink has."""
        with self._lock:
            self.processed += 1
            self.last_processed_ns = time.monotonic_ns()

    @contextmanager
    def drop_on_error(self) -> Iterator[None]:
        """Count a frame as `engine_crashed`, or else `failed`, where working on it raises."""
        try:
            yield
        except EngineCrash:
            self.drop("engine_crashed")
            raise
        except BaseException:
            self.drop("failed")
            raise


class Percentiles:
    """Durations of one stage, counted in buckets that widen with their value."""

    def __init__(self) -> None:
        self.count = 0
        self._buckets = np.zeros(PER_DECADE * DECADES, np.int64)

    def add(self, duration_ms: float) -> None:
        """Count one duration, from a microsecond to eleven days."""
        at = PER_DECADE * math.log10(max(duration_ms, SMALLEST_MS) / SMALLEST_MS)
        self._buckets[min(int(at), len(self._buckets) - 1)] += 1
        self.count += 1

    def __call__(self, percent: float) -> float:
        """Return the duration in ms that `percent` of those counted do not exceed; NaN if none."""
        if not self.count:
            return math.nan
        rank = max(1, math.ceil(percent / 100 * self.count))
        at = int(np.searchsorted(np.cumsum(self._buckets), rank))
        return float(SMALLEST_MS * 10 ** ((at + 0.5) / PER_DECADE))


class Latency:
    """Percentiles by stage; one thread writes."""

    def __init__(self) -> None:
        self.stages: dict[str, Percentiles] = {}

    def add(self, timing_ms: Mapping[str, float]) -> None:
        """Count the stages of one frame."""
        for stage, duration_ms in timing_ms.items():
            self.stages.setdefault(stage, Percentiles()).add(duration_ms)

    def summary_ms(self) -> dict[str, tuple[float, float, float]]:
        """Return (p50, p95, p99) in milliseconds by stage."""
        return {name: (p(50), p(95), p(99)) for name, p in self.stages.items()}
