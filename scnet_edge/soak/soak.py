"""A run of some minutes under faults, and whether it came through all of them."""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scnet_edge.bundle.manifest import read_manifest
from scnet_edge.engines.isolated.parent import IsolatedBackend
from scnet_edge.errors import ConfigError
from scnet_edge.robot.robot_toml import Robot
from scnet_edge.robot.run import Run, RunOptions, open_run
from scnet_edge.runtime.counters import Counters
from scnet_edge.soak.faults import FAULTS, Hurt, Stage
from scnet_edge.soak.faulty_camera import SoakCamera, soak_camera
from scnet_edge.soak.verdict import Log, SoakReport, judge
from scnet_edge.soak.vitals import read_vitals
from scnet_edge.video.sources import Source

FPS = 10.0
FRAME_DEADLINE_S, ENGINE_DEADLINE_S = 2.0, 10.0  # shorter than in the field
CALM_S = 3.0  # between a recovery and the next fault
RECOVERY_S = 60.0  # so long a fault may take to be recovered from
FRAMES_BACK = 3  # processed after it: then it is
LOOK_S = 0.05
SAMPLE_S = 1.0


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


def soak(
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
