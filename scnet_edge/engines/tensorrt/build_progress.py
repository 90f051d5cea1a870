"""How far a build is, from what TensorRT tells its progress monitor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from scnet_edge.engines.tensorrt.library import capabilities, tensorrt


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildProgress:
    """A moment of a build.

    Attributes:
        phase: What TensorRT calls what it does.
        share: Done so far, 0 to 1, by steps; steps differ in length.
        remaining_s: Estimated from the steps done; None at the start.
    """

    phase: str
    share: float
    remaining_s: float | None


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Phases:
    """The phases of a build, nested; each step of a phase counts alike. Used from many threads."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()
        self._phases: dict[str, _Phase] = {}
        self._finished = 0.0  # so that the share never falls when a phase is gone
        self._lock = Lock()

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """Begin a phase, within another or at the top."""
        with self._lock:
            self._phases[name] = _Phase(parent, max(steps, 1))

    def step(self, name: str, done: int) -> BuildProgress:
        """Record that step number `done` of a phase is complete, from 0."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done = done + 1
            return self._now(name)

    def finish(self, name: str) -> None:
        """End a phase."""
        with self._lock:
            self._phases.pop(name, None)

    def _now(self, name: str) -> BuildProgress:
        tops = [n for n, phase in self._phases.items() if phase.parent not in self._phases]
        share = max((self._share(top) for top in tops), default=0.0)
        self._finished = max(self._finished, min(share, 1.0))
        took_s = time.monotonic() - self._start_s
        left_s = took_s * (1 - self._finished) / self._finished if self._finished > 0 else None
        return BuildProgress(phase=name, share=self._finished, remaining_s=left_s)

    def _share(self, name: str) -> float:
        phase = self._phases[name]
        inner = [self._share(n) for n, child in self._phases.items() if child.parent == name]
        under_way = max(inner, default=0.0) if phase.done < phase.steps else 0.0
        return (phase.done + under_way) / phase.steps


def progress_monitor(report: Callable[[BuildProgress], bool]) -> Any:
    """Return a progress monitor for a builder's configuration; None where TensorRT has none."""
    if not capabilities().progress:
        return None
    base: Any = tensorrt().IProgressMonitor

    class Monitor(base):  # type: ignore[misc]
        """Hands each step on; `cancelled` once the report said False."""

        def __init__(self) -> None:
            base.__init__(self)
            self.phases = Phases()
            self.cancelled = False

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.phases.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if not report(self.phases.step(phase_name, step)):
                self.cancelled = True
            return not self.cancelled

        def phase_finish(self, phase_name: str) -> None:
            self.phases.finish(phase_name)

    return Monitor()
