"""Percentiles of a stream of durations in constant memory, however long the run."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

PER_DECADE = 100  # buckets; a percentile is right within 1.2 %
SMALLEST_MS, DECADES = 1e-3, 9


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
