"""A run of some minutes under faults, and whether it came through all of them."""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from scnet_edge.bundle.manifest import read_manifest
from scnet_edge.engines.isolated.parent import IsolatedBackend
from scnet_edge.errors import ConfigError
from scnet_edge.robot.robot_toml import Robot
from scnet_edge.robot.run import Run, RunOptions, open_run
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.status import SinkStats, Status
from scnet_edge.soak.faults import FAULTS, Hurt, SoakCamera, Stage, soak_camera
from scnet_edge.soak.vitals import Growth, Vitals, growth, read_vitals, rss_slope_mb_per_h
from scnet_edge.video.sources import Source

FPS = 10.0
FRAME_DEADLINE_S, ENGINE_DEADLINE_S = 2.0, 10.0  # shorter than in the field
CALM_S = 3.0  # between a recovery and the next fault
RECOVERY_S = 60.0  # so long a fault may take to be recovered from
FRAMES_BACK = 3  # processed after it: then it is
LOOK_S = 0.05
SAMPLE_S = 1.0
FDS_PEAK = 300  # of us and the processes below us, while the page is flooded


def parse_faults(text: str) -> list[str]:
    """Return the faults of `all`, `none` or a list with commas.

    Raises:
        ConfigError: an unknown one.
    """
    if text in ("all", "none"):
        return list(FAULTS) if text == "all" else []
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in FAULTS:
            raise ConfigError(f"fault {name!r}: expected all, none or some of {', '.join(FAULTS)}")
    return names


def run_soak(
    bundle: Path,
    *,
    minutes: float,
    faults: Sequence[str],
    engine: str | None = None,
    threads: int | None = None,
    progress: Callable[[str], object] = lambda line: None,
) -> SoakReport:
    """Run a bundle on a simulated camera, hurt it again and again, and judge.

    Args:
        minutes: how long; faults come one after another, each after the last was recovered from.
        faults: names of `FAULTS`; empty for a run in peace.
        progress: gets a line for every fault.
    """
    log, size_hw = Log(), read_manifest(bundle).input.frame_hw
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        soak_camera(size_hw, FPS) as camera,
        open_run(bundle, _robot(camera, Path(folder), engine, threads), RunOptions()) as run,
    ):
        source, stage = run.source, _stage(run, camera)
        over_s = time.monotonic() + 60 * minutes
        with ThreadPoolExecutor(2, thread_name_prefix="soak") as pool:
            pool.submit(_sample, source.stop, log)
            hurting = pool.submit(_hurt, stage, source, run.counters, faults, over_s, log, progress)
            hurting.add_done_callback(lambda done: source.stop.set())
            try:
                run.loop()
            finally:
                source.stop.set()
        hurting.result()
        return judge(minutes, run.counters, run.monitoring.monitor.status(), log)


def _robot(camera: SoakCamera, folder: Path, engine: str | None, threads: int | None) -> Robot:
    """Return a run as in the field, with shorter deadlines."""
    return Robot(
        source=camera.uri,
        engine=engine,
        threads=threads,
        isolate=True,
        sinks=(f"jsonl:{folder / 'run.jsonl'}", f"mcap:{folder / 'run.mcap'}"),
        live="127.0.0.1:0",
        frame_timeout_s=FRAME_DEADLINE_S,
        engine_timeout_s=ENGINE_DEADLINE_S,
    )


def _stage(run: Run, camera: SoakCamera) -> Stage:
    """Return what there is to hurt of an open run; its MCAP sink becomes one that can be hurt."""
    mcap = run.monitoring.queued[-1]
    hurt = mcap.outlet = Hurt(mcap.outlet)
    backend = run.segmentation.pipeline.backend
    assert isinstance(backend, IsolatedBackend)
    return Stage(camera=camera, engine=backend, sink=hurt, live_port=run.monitoring.pages[0].port)


def _hurt(
    stage: Stage,
    source: Source,
    counters: Counters,
    faults: Sequence[str],
    over_s: float,
    log: Log,
    progress: Callable[[str], object],
) -> None:
    """Do one fault after another until the time is over."""
    names = itertools.cycle(faults)
    _wait_for_frames(counters, RECOVERY_S, over_s)
    while time.monotonic() < over_s and not source.stop.is_set():
        if not faults:
            source.stop.wait(max(0.0, over_s - time.monotonic()))
            break
        name = next(names)
        fault, held_s = FAULTS[name]
        with fault(stage):
            source.stop.wait(held_s)
        took_s = _wait_for_frames(counters, RECOVERY_S, None)
        log.recoveries_s.setdefault(name, []).append(took_s)
        progress(f"{name}: " + ("not recovered" if took_s is None else f"{took_s:.1f} s"))
        source.stop.wait(CALM_S)


def _sample(stop: threading.Event, log: Log) -> None:
    while not stop.wait(SAMPLE_S):
        log.samples.append(read_vitals(time.monotonic()))


def _wait_for_frames(counters: Counters, limit_s: float, over_s: float | None) -> float | None:
    """Return after how many seconds some more frames were processed; None if not in time."""
    start_s, wanted = time.monotonic(), counters.processed + FRAMES_BACK
    while counters.processed < wanted:
        now_s = time.monotonic()
        if now_s - start_s > limit_s or (over_s is not None and now_s > over_s):
            return None
        time.sleep(LOOK_S)
    return time.monotonic() - start_s


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
