"""What a soak found, and whether the run came through."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.status import SinkStats, Status
from scnet_edge.soak.vitals import Growth, Vitals, growth, rss_slope_mb_per_h

FDS_PEAK = 300  # of us and the processes below us, while the page is flooded


@dataclass(slots=True)
class Log:
    """What is noted while the run goes on."""

    samples: list[Vitals] = field(default_factory=list)
    recoveries_s: dict[str, list[float | None]] = field(default_factory=dict)


class FaultReport(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: how often it was done, and how long the slowest return of frames took."""

    injected: int
    recovered: int
    worst_recovery_s: float


class SoakReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a soak found; `reasons` is empty for a pass."""

    verdict: str
    reasons: list[str]
    minutes: float
    engine: str
    fps: float
    captured: int
    processed: int
    dropped: dict[str, int]
    frame_faults: dict[str, int]
    faults: dict[str, FaultReport]
    latency_ms: dict[str, tuple[float, float, float]]
    sinks: list[SinkStats]
    growth: dict[str, Growth]
    rss_slope_mb_per_h: float | None
    samples: list[Vitals]


def judge(minutes: float, counters: Counters, status: Status, log: Log) -> SoakReport:
    """Return the verdict and all that it rests on."""
    grown = growth(log.samples)
    faults = {name: _fault_report(took_s) for name, took_s in log.recoveries_s.items()}
    reasons = [f"{name} was not recovered from" for name, f in faults.items() if not _well(f)]
    reasons += [
        f"{name} grew by {g.grew:.1f}, from {g.settled:.1f} to {g.end:.1f}"
        for name, g in grown.items()
        if g.leaks
    ]
    most_fds = max(sample.fds for sample in log.samples) - grown["fds"].settled
    if most_fds > FDS_PEAK:
        reasons.append(f"descriptors rose by {most_fds:.0f} for a while, expected {FDS_PEAK}")
    if counters.in_flight or not counters.processed:
        reasons.append(f"the books do not balance: {counters.in_flight} frames are missing")
    reasons += [
        f"sink {s.name}: {s.accepted} items came, {s.written + s.dropped + s.failed} are booked"
        for s in status.sinks
        if s.accepted != s.written + s.dropped + s.failed
    ]
    return SoakReport(
        verdict="fail" if reasons else "pass",
        reasons=reasons,
        minutes=minutes,
        engine=status.engine,
        fps=counters.processed / status.uptime_s,
        captured=counters.captured,
        processed=counters.processed,
        dropped=status.dropped,
        frame_faults=status.faults,
        faults=faults,
        latency_ms=status.latency_ms,
        sinks=status.sinks,
        growth=grown,
        rss_slope_mb_per_h=rss_slope_mb_per_h(log.samples),
        samples=log.samples,
    )


def _fault_report(recoveries_s: list[float | None]) -> FaultReport:
    took_s = [s for s in recoveries_s if s is not None]
    return FaultReport(
        injected=len(recoveries_s),
        recovered=len(took_s),
        worst_recovery_s=max(took_s, default=0.0),
    )


def _well(report: FaultReport) -> bool:
    return report.recovered == report.injected
