"""How many frames came and what became of each: the books of a run, which always balance."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from scnet_edge.errors import EngineCrash


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
