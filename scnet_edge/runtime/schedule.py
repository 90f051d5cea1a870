"""Which model sees a frame, and how often: a cheap one that wakes the full one, and cheaper ways of
working, one step at a time, while the machine is hot or late.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue
from statistics import median

import numpy as np

from scnet_edge.events import Event, event_now
from scnet_edge.runtime.loop import Segment, Skip, unusable
from scnet_edge.types import Captured, Frame, Result

WINDOW = 15  # frames whose median says whether we are late
LOOK_S = 1.0  # between two looks at the thermometer
MARGIN_C = 5.0  # a machine that was hot is cool again so far below
LONGEST_RECOVERY_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DegradationStep:
    """A way of working: what segments, and every how many frames."""

    name: str
    segment: Segment
    every: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When to step down, and when to step up again.

    Attributes:
        late_ms: late when the median time from camera to mask is above this; None for never.
        hot_c: hot when the temperature is at least this, cool when 5 degrees below; None for never.
        settle_s: so long a step has to show its effect before the next one down.
        recover_s: all must have been well for so long before a step up. It doubles each time that
            a step up had to be taken back within it, up to ten minutes.
    """

    late_ms: float | None = None
    hot_c: float | None = None
    settle_s: float = 5.0
    recover_s: float = 30.0


class Degradation:
    """Pass `segment` and `skip` to `run_loop`; what changes is told in `event_queue`.

    Args:
        steps: The first is the full way of working, each further one is cheaper.
        rule: When to change.
        temperature_c: The hottest zone of the machine; None where it cannot be read.
        event_queue: Where `degraded` and `recovered` events go.
        skip: Which frames not to segment in any case.
        clock_s: Monotonic seconds.
    """

    def __init__(
        self,
        steps: Sequence[DegradationStep],
        rule: Rule,
        *,
        temperature_c: Callable[[], float | None],
        event_queue: SimpleQueue[Event],
        skip: Skip = unusable,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps = steps
        self._rule = rule
        self._read_temperature_c = temperature_c
        self._temperature_c: float | None = None
        self._read_s = clock_s() - LOOK_S
        self._event_queue = event_queue
        self._skip = skip
        self._clock_s = clock_s
        self._level = 0
        self._frames = 0
        self._captured_ns: int | None = None
        self._latencies_ms: deque[float] = deque(maxlen=WINDOW)
        self._changed_s = self._well_since_s = clock_s()
        self._stepped_up = False
        self._recover_s = rule.recover_s

    @property
    def step(self) -> DegradationStep:
        """How it works now."""
        return self._steps[self._level]

    def skip(self, captured: Captured) -> str | None:
        """Return the fault that keeps a frame from the model, or `rate` where it is thinned out."""
        if fault := self._skip(captured):
            return fault
        self._frames += 1
        if self._frames % self.step.every:
            return "rate"
        self._captured_ns = captured.mono_ns
        return None

    def segment(self, frame: Frame) -> Result:
        """Return the current step's result, flagged `degraded` on any but the first."""
        result = self.step.segment(frame)
        if self._captured_ns is not None:
            self._latencies_ms.append((time.monotonic_ns() - self._captured_ns) / 1e6)
        degraded = self._level > 0
        self._judge()
        return replace(result, flags=(*result.flags, "degraded")) if degraded else result

    def _judge(self) -> None:
        """Step down where it is too hot or too late, step up where all has long been well."""
        now_s = self._clock_s()
        if reason := self._trouble(now_s):
            self._well_since_s = now_s
            if now_s - self._changed_s >= self._rule.settle_s and self.step is not self._steps[-1]:
                if self._stepped_up and now_s - self._changed_s < self._recover_s:
                    doubled_s = min(2 * self._recover_s, LONGEST_RECOVERY_S)
                    self._recover_s = max(self._recover_s, doubled_s)
                self._move(1, reason, now_s)
        elif self._level and now_s - self._well_since_s >= self._recover_s:
            self._move(-1, "well", now_s)

    def _trouble(self, now_s: float) -> str | None:
        if self._rule.hot_c is not None and self._hot(self._rule.hot_c, now_s):
            return "hot"
        if self._rule.late_ms is not None and len(self._latencies_ms) == WINDOW:
            return "late" if median(self._latencies_ms) > self._rule.late_ms else None
        return None

    def _hot(self, hot_c: float, now_s: float) -> bool:
        if now_s - self._read_s >= LOOK_S:
            self._temperature_c, self._read_s = self._read_temperature_c(), now_s
        margin_c = MARGIN_C if self._level else 0.0
        return self._temperature_c is not None and self._temperature_c >= hot_c - margin_c

    def _move(self, by: int, reason: str, now_s: float) -> None:
        before, self._level = self.step.name, self._level + by
        self._changed_s = self._well_since_s = now_s
        self._stepped_up = by < 0
        self._latencies_ms.clear()
        detail = f"{before} -> {self.step.name}"
        self._event_queue.put(event_now("degraded" if by > 0 else "recovered", reason, detail))


class Cascade:
    """Segments with `cheap` and, on frames in which that sees enough, with `full`.

    Args:
        cheap, full: Frame -> `Result`.
        threshold: A pixel counts where the cheap model's probability is at least this; below the
            model's own threshold, so that it errs towards waking.
        wake_px: The full model wakes from so many pixels on.
        hold: And stays awake for so many frames after, since a crack seldom ends at once.
    """

    def __init__(
        self,
        cheap: Callable[[Frame], Result],
        full: Callable[[Frame], Result],
        *,
        threshold: float,
        wake_px: int,
        hold: int = 5,
    ) -> None:
        self._cheap = cheap
        self._full = full
        self._threshold = threshold
        self._wake_px = wake_px
        self._hold = hold
        self._awake = 0  # frames it will stay so

    def __call__(self, frame: Frame) -> Result:
        """Return the full model's result, or one without cracks, flagged `gated`."""
        seen = self._cheap(frame)
        timing = {f"gate_{stage}": ms for stage, ms in seen.timing.items()}
        if np.count_nonzero(seen.probability >= self._threshold) >= self._wake_px:
            self._awake = self._hold + 1
        if not self._awake:
            empty = np.zeros_like(seen.mask)
            return replace(seen, mask=empty, timing=timing, flags=(*seen.flags, "gated"))
        self._awake -= 1
        result = self._full(frame)
        return replace(result, timing={**timing, **result.timing})
