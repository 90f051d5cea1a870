"""A run of some minutes under faults, and whether it came through all of them."""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from scnet_edge.bundle.device import opening_for
from scnet_edge.bundle.manifest import read_manifest
from scnet_edge.engines.base import default_engine
from scnet_edge.engines.isolated.parent import IsolatedBackend
from scnet_edge.errors import ConfigError
from scnet_edge.inspection.measure import measure_cracks
from scnet_edge.live.app import Show
from scnet_edge.live.board import Board
from scnet_edge.live.server import open_live
from scnet_edge.machine.telemetry import TelemetrySampler
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.delivery import Sink
from scnet_edge.runtime.liveness import Liveness
from scnet_edge.runtime.loop import run_loop
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge.runtime.status import Monitor
from scnet_edge.sinks.json_lines import JsonLines
from scnet_edge.sinks.mcap_file import McapFile
from scnet_edge.sinks.queued import Queued
from scnet_edge.sinks.records import Recorder
from scnet_edge.soak.faults import FAULTS, Hurt, Stage
from scnet_edge.soak.faulty_camera import SoakCamera, soak_camera
from scnet_edge.soak.verdict import Log, SoakReport, judge
from scnet_edge.soak.vitals import read_vitals
from scnet_edge.video.camera import camera_items
from scnet_edge.video.frame_checks import watched
from scnet_edge.video.sources import Source
from scnet_edge.video.uris import Camera

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
    counters, log = Counters(), Log()
    with _staged(bundle, counters, engine, threads) as (stage, source, pipeline, sinks, monitor):
        over_s = time.monotonic() + 60 * minutes
        with ThreadPoolExecutor(2, thread_name_prefix="soak") as pool:
            pool.submit(_sample, source.stop, log)
            hurting = pool.submit(_hurt, stage, source, counters, faults, over_s, log, progress)
            hurting.add_done_callback(lambda done: source.stop.set())
            try:
                run_loop(
                    source,
                    pipeline,
                    sinks,
                    measure=lambda mask, frame: measure_cracks(mask, frame=frame),
                    counters=counters,
                )
            finally:
                source.stop.set()
        hurting.result()
    return judge(minutes, counters, monitor.status(), log)


@contextmanager
def _staged(
    bundle: Path, counters: Counters, engine: str | None, threads: int | None
) -> Iterator[tuple[Stage, Source, Pipeline, list[Sink], Monitor]]:
    """Yield everything a run has, each part of it the real one, on a folder that is removed."""
    manifest = read_manifest(bundle)
    opening = opening_for(bundle, manifest, engine or default_engine(), threads=threads)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        backend = IsolatedBackend([opening], run_timeout_s=ENGINE_DEADLINE_S)
        pipeline = stack.enter_context(Pipeline(manifest, backend))
        camera = stack.enter_context(soak_camera(manifest.input.frame_hw, FPS))
        sampler = stack.enter_context(TelemetrySampler())
        recorder = Recorder(lambda: sampler.latest, {"Source": camera.uri})
        hurt = Hurt(McapFile(folder / "run.mcap", recorder, room_bytes=0))
        files = [
            Queued(JsonLines(folder / "run.jsonl", recorder), "jsonl"),
            Queued(hurt, "mcap"),
        ]
        for queued in files:
            stack.callback(queued.close)
        liveness, board = Liveness(counters), Board()
        monitor = Monitor(
            counters,
            liveness,
            telemetry=lambda: sampler.latest,
            engine=lambda: pipeline.engine,
            sinks=lambda: [queued.stats for queued in files],
        )
        live = stack.enter_context(
            open_live("127.0.0.1:0", Show(board, monitor, {"Source": camera.uri}))
        )
        stage = Stage(camera=camera, engine=backend, sink=hurt, live_port=live.port)
        yield stage, _source(camera), pipeline, [monitor, liveness, board, *files], monitor


def _source(camera: SoakCamera) -> Source:
    stop = threading.Event()
    items = camera_items(Camera(kind="http", target=camera.uri), stop, frame_s=FRAME_DEADLINE_S)
    return watched(Source(items=items, count=None, live=True, stop=stop))


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
