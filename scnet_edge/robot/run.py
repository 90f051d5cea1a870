"""The one assembly of a run: source, engine, measurement, inspection, sinks.

    source -> checked frame -> engine -> mask -> cracks -> (inspector) -> sinks

`run`, `inspect` and `soak` all open their runs here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

import msgspec

from scnet_edge.errors import ConfigError, Incomplete, InputError
from scnet_edge.events import Event
from scnet_edge.inspection.measure import Crack, Scale, measure_cracks
from scnet_edge.inspection.setup import Setup, read_setup
from scnet_edge.redaction import redact
from scnet_edge.robot.inspection import Inspection, open_inspection
from scnet_edge.robot.monitoring import Monitoring, describe_run, open_monitoring, stop_on_signals
from scnet_edge.robot.open_source import open_any
from scnet_edge.robot.robot_toml import Robot, fit_to_source
from scnet_edge.robot.segmentation import Segmentation, open_segmentation
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.delivery import Sink
from scnet_edge.runtime.loop import run_loop
from scnet_edge.sinks.run_folder import KnownMask, RunFolder, open_run_folder, output_folder
from scnet_edge.survey.folder import Survey, read_survey
from scnet_edge.types import FAULTS, Frame, Mask
from scnet_edge.video.frame_checks import watch_frames
from scnet_edge.video.sources import Source

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What is asked of one run, beside how the robot works.

    Attributes:
        out: a folder for masks, overlay, JSON lines and a page; it appears when the run has ended.
        survey: a folder for the records of an inspection; an older one of it is gone on with.
        known_mask: from a frame's name and number to its true mask, for scores on `out`'s page.
        frames: stop after so many.
        cache: where the engine keeps what it compiles.
    """

    out: Path | None = None
    overwrite: bool = False
    survey: Path | None = None
    known_mask: KnownMask | None = None
    frames: int | None = None
    cache: Path | None = None


class Terminal(Sink, Protocol):
    """A sink for whoever watches the run; told what the run is before it begins."""

    def announce(self, url: str) -> None:
        """Take the address of the live page, its token with it."""
        ...

    def begin(self, total: int | None, changed: str) -> None:
        """Take about how many frames there will be, and what is done to a film's pictures."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run whose parts are all open; `loop` runs it.

    Attributes:
        results: the folder of `RunOptions.out`.
        inspection: the survey of `RunOptions.survey`.
        counters: how many frames came, and what became of each.
        facts: what the run is, by label, without passwords.
    """

    robot: Robot
    options: RunOptions
    source: Source
    segmentation: Segmentation
    monitoring: Monitoring
    results: RunFolder | None
    inspection: Inspection | None
    terminal: Terminal | None
    event_queue: SimpleQueue[Event]
    counters: Counters
    facts: dict[str, str]

    def loop(self) -> InputError | None:
        """Run until the source ends, enough frames were segmented, or SIGTERM or SIGINT.

        Returns:
            What is wrong with a file that was read to its end: it is cut, or no frame of it could
            be used. All that it holds was processed and is kept.

        Raises:
            As `run_loop`; what was inspected until then is recorded as after an orderly stop.
        """
        inspector = self.inspection and self.inspection.inspector
        sinks = [s for s in (inspector, self.results, *self.monitoring.sinks, self.terminal) if s]
        if self.terminal:
            known = (n for n in (self.source.count, self.options.frames) if n is not None)
            self.terminal.begin(min(known, default=None), self.source.changed)
        trouble: InputError | None = None
        try:
            run_loop(
                self.source,
                self.segmentation.segment,
                sinks,
                policy=self.robot.policy,
                frames=self.options.frames,
                measure=_measure(self.robot),
                skip=self.segmentation.skip,
                counters=self.counters,
                event_queue=self.event_queue,
            )
        except Incomplete as e:
            trouble = e
        finally:
            if inspector:
                left = self.counters.dropped["stopped"] + self.counters.dropped["failed"]
                inspector.close(finished=inspector.exhausted and not left)
        if self.results:
            self.results.write_page(self.facts)
        return trouble or self._nothing_seen()

    def _nothing_seen(self) -> InputError | None:
        """Return what to say where a file gave frames and none of them could be used."""
        unused = {k: n for k, n in self.counters.dropped.items() if n and k in FAULTS}
        earlier = self.inspection.journal.progress if self.inspection else None
        if self.source.live or self.counters.processed or (earlier and earlier.frames):
            return None
        if not unused:
            return None
        why = ", ".join(f"{count} {reason}" for reason, count in unused.items())
        return InputError(f"{redact(self.robot.source)}: no frame could be used ({why})")


@contextmanager
def open_run(
    bundle: Path,
    robot: Robot,
    options: RunOptions,
    *,
    terminal: Terminal | None = None,
) -> Iterator[Run]:
    """Open everything that a run needs, and close it in order.

    Args:
        bundle: A bundle folder.
        robot: How to work; `source` must be set.
        options: What this run is to give.
        terminal: Shows the run while it lasts.

    Raises:
        ScnetEdgeError: a part that cannot be opened; nothing has been segmented then.
    """
    if not robot.source:
        raise ConfigError("source: expected a camera or files; pass --source or set it in --config")
    events, counters = SimpleQueue[Event](), Counters()
    setup = Setup(mode="wall") if robot.pipe is None else read_setup(Path(robot.pipe))
    with ExitStack() as stack:
        enter = stack.enter_context
        out = options.out and enter(output_folder(options.out, overwrite=options.overwrite))
        limits_s = {"open_s": robot.open_timeout_s, "frame_s": robot.frame_timeout_s}
        source = enter(open_any(robot.source, **limits_s))
        enter(stop_on_signals(source.stop))
        robot = fit_to_source(robot, live=source.live, fps=source.fps)
        segmentation = enter(
            open_segmentation(bundle, robot, event_queue=events, setup=setup, cache=options.cache)
        )
        inspection = None
        if options.survey:
            survey = open_inspection(options.survey, robot, setup, source, segmentation.pipeline)
            inspection = enter(survey)
        source = _check_frames(source, robot, inspection)
        facts = describe_run(bundle, robot.source, segmentation.pipeline, source.left_out)
        if source.left_out and inspection is None:  # whose journal says it
            logger.warning("%s: %s", facts["Source"], source.left_out)
        announce = terminal.announce if terminal else logger.info
        monitoring = enter(_watch(robot, source, segmentation, counters, facts, announce))
        results = None
        if out:
            folder = open_run_folder(out, monitoring.recorder, source.fps, options.known_mask)
            results = enter(folder)
        yield Run(
            robot=robot,
            options=options,
            source=source,
            segmentation=segmentation,
            monitoring=monitoring,
            results=results,
            inspection=inspection,
            terminal=terminal,
            event_queue=events,
            counters=counters,
            facts=facts,
        )


def _watch(
    robot: Robot,
    source: Source,
    segmentation: Segmentation,
    counters: Counters,
    facts: dict[str, str],
    announce: Callable[[str], object],
) -> AbstractContextManager[Monitoring]:
    return open_monitoring(
        counters,
        facts=facts,
        sinks=robot.sinks,
        live=robot.live,
        engine=lambda: segmentation.pipeline.engine,
        fps=source.fps,
        backpressure=not source.live,
        stop_on_failure=source.stop if robot.fail_closed else None,
        announce=announce,
    )


def inspect(
    bundle: Path,
    source: str,
    out: Path,
    *,
    pipe: Path | None = None,
    odometry: str | None = None,
    robot: Robot | None = None,
) -> Survey:
    """Inspect a film, pictures or a camera, as `scnet-edge inspect` does, and return the survey.

    Args:
        bundle: A bundle folder.
        source: As `scnet-edge inspect --source` takes it.
        out: The survey's folder: new, empty, or one to go on with.
        pipe: A pipe.toml; None for a flat wall, in pixels.
        odometry: As `--odometry` takes it.
        robot: How to work; `source`, `pipe` and `odometry` replace what it says of them.

    Raises:
        ScnetEdgeError: a part that cannot be opened, or that fails; what was inspected until then
            is in `out`.
    """
    given = {"source": source, "pipe": None if pipe is None else str(pipe), "odometry": odometry}
    robot = msgspec.structs.replace(robot or Robot(), **given)
    with open_run(bundle, robot, RunOptions(survey=out)) as run:
        assert run.inspection is not None
        if not run.inspection.finished:
            run.loop()
    return read_survey(out)


def _check_frames(source: Source, robot: Robot, inspection: Inspection | None) -> Source:
    """Return the source without what an inspection has seen, each frame with its faults."""
    if inspection:
        source = replace(source, items=inspection.inspector.unseen(source.items))
    if not (source.live or source.step_s):
        return source
    moving = inspection.is_moving if inspection else lambda captured: None
    return watch_frames(source, limits=robot.limits, moving=moving)


def _measure(robot: Robot) -> Callable[[Mask, Frame], Sequence[Crack]]:
    scale = None
    if robot.mm_per_px is not None:
        scale = Scale(mm_per_px=robot.mm_per_px, sigma_mm_per_px=robot.sigma_mm_per_px)
    return lambda mask, frame: measure_cracks(mask, frame=frame, scale=scale)
