"""One run, put together: source, engine, schedule, measurement, sinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

import msgspec

from scnet_edge import __version__
from scnet_edge.events import Event
from scnet_edge.inspection.measure import Crack, Scale, measure_cracks
from scnet_edge.machine.telemetry import read_sensors
from scnet_edge.redaction import redacted
from scnet_edge.robot.config import Robot
from scnet_edge.robot.monitoring import open_monitoring, stopped_by_signals
from scnet_edge.robot.segmentation import Opened, open_segment
from scnet_edge.robot.sources import open_any
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.delivery import Sink
from scnet_edge.runtime.loop import run_loop
from scnet_edge.sinks.run_files import output_folder
from scnet_edge.sinks.run_folder import RunFolder, open_run_folder
from scnet_edge.sinks.run_page import machine_name
from scnet_edge.types import Frame, Mask
from scnet_edge.video.frame_checks import watched
from scnet_edge.video.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What is asked of one run, beside how the robot works.

    Attributes:
        out: a folder for masks, overlay, JSON lines and a page; it appears when the run has ended.
        frames: stop after so many.
        cache: where the engine keeps what it compiles.
    """

    out: Path | None = None
    overwrite: bool = False
    frames: int | None = None
    cache: Path | None = None


class Terminal(Sink, Protocol):
    """A sink for whoever watches the run; told what the run is before it begins."""

    def announce(self, url: str) -> None:
        """Take the address of the live page, its token with it."""
        ...

    def begin(self, total: int | None) -> None:
        """Take how many frames there will be; None where nobody knows."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What came of a run; `results` where there was a folder to write to."""

    counters: Counters
    out: Path | None
    results: RunFolder | None


def run_robot(
    bundle: Path,
    robot: Robot,
    wishes: RunOptions,
    *,
    terminal: Terminal,
    known_mask: Callable[[str], Mask] | None = None,
) -> RunSummary:
    """Run until the source ends, `wishes.frames` were segmented, or SIGTERM or SIGINT.

    Args:
        bundle: A bundle folder.
        robot: How to work; `source` must be set.
        wishes: What this run is to give.
        terminal: Shows the run while it lasts.
        known_mask: From a frame's name to its true mask, for scores on the page.
    """
    event_queue: SimpleQueue[Event] = SimpleQueue()
    counters = Counters()
    with ExitStack() as stack:
        enter = stack.enter_context
        folder = None
        if wishes.out:
            folder = enter(output_folder(wishes.out, overwrite=wishes.overwrite))
        timeouts = {"open_s": robot.open_timeout_s, "frame_s": robot.frame_timeout_s}
        source = enter(open_any(robot.source, **timeouts))
        enter(stopped_by_signals(source.stop))
        if robot.isolate is None:
            robot = msgspec.structs.replace(robot, isolate=source.live)
        opened = enter(
            open_segment(
                bundle, robot, event_queue=event_queue, temperature_c=_hottest_c, cache=wishes.cache
            )
        )
        results = None
        if folder:
            results = enter(open_run_folder(folder, fps=source.fps, known_mask=known_mask))
        facts = run_facts(bundle, robot.source, opened)
        sinks, _ = enter(
            open_monitoring(
                counters,
                facts=facts,
                sinks=robot.sinks,
                live=robot.live,
                engine=lambda: opened.pipeline.engine,
                fps=source.fps,
                backpressure=not source.live,
                stop_on_failure=source.stop if robot.fail_closed else None,
                announce=terminal.announce,
            )
        )
        terminal.begin(_total(source, wishes.frames))
        run_loop(
            watched(source, limits=robot.limits) if source.live else source,
            opened.segment,
            [*([results] if results else []), *sinks, terminal],
            policy=robot.policy,
            frames=wishes.frames,
            measure=_measure(robot),
            skip=opened.skip,
            counters=counters,
            event_queue=event_queue,
        )
        if results:
            results.write_page(facts)
    return RunSummary(counters=counters, out=wishes.out, results=results)


def run_facts(bundle: Path, source: str, opened: Opened) -> dict[str, str]:
    """Return what a run's page and records say of it, label -> text, without passwords."""
    manifest = opened.pipeline.manifest
    (height_px, width_px), prior = manifest.input.size_hw, manifest.model.prior
    return {
        "Source": redacted(source),
        "Bundle": str(bundle),
        "Model": manifest.model.name + (f" with {prior.upper()} edges" if prior != "none" else ""),
        "Precision": manifest.precision.upper(),
        "Model size": f"{width_px} x {height_px} px",
        "Threshold": f"{manifest.threshold:.3g}",
        "Engine": opened.pipeline.engine,
        "Machine": machine_name(),
        "Date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "Version": f"scnet-edge {__version__}",
    }


def _measure(robot: Robot) -> Callable[[Mask, Frame], Sequence[Crack]]:
    scale = None
    if robot.mm_per_px is not None:
        scale = Scale(mm_per_px=robot.mm_per_px, sigma_mm_per_px=robot.sigma_mm_per_px)
    return lambda mask, frame: measure_cracks(mask, frame=frame, scale=scale)


def _total(source: Source, frames: int | None) -> int | None:
    return min((n for n in (source.count, frames) if n is not None), default=None)


def _hottest_c() -> float | None:
    return read_sensors().hottest_c
