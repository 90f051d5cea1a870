"""An inspection on a robot: journal, odometry and inspector, opened around a source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from scnet_edge import __version__
from scnet_edge.inspection.odometry import (
    Odometry,
    moves,
    notes_of,
    open_odometry,
    usual_odometry,
)
from scnet_edge.inspection.odometry_file import FilmSpan
from scnet_edge.inspection.setup import Setup
from scnet_edge.machine.description import machine_name
from scnet_edge.redaction import redact
from scnet_edge.robot.robot_toml import Robot
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge.survey.begin import facts_of, open_survey
from scnet_edge.survey.folder import next_segment, read_survey
from scnet_edge.survey.inspector import Inspector
from scnet_edge.survey.journal import Journal
from scnet_edge.types import Captured
from scnet_edge.video.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What makes a survey of a run; `inspector` is one of its sinks."""

    journal: Journal
    inspector: Inspector
    odometry: Odometry
    live: bool
    files: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether an earlier run has seen all of a file, or every picture of a folder."""
        progress = self.journal.progress
        done = progress is not None and progress.finished and not self.live
        return done and set(self.files) <= self.journal.pictures.keys()

    def is_moving(self, captured: Captured) -> bool | None:
        """Return whether the odometer moves when a frame is taken; None where there is none."""
        return moves(self.odometry, captured)


@contextmanager
def open_inspection(
    folder: Path, robot: Robot, setup: Setup, source: Source, pipeline: Pipeline
) -> Iterator[Inspection]:
    """Open the survey in `folder`, a new one or the same one to go on with, and its odometry.

    Raises:
        SurveyError: the folder holds something else, or a survey of another source or bundle.
        ConfigError: an odometry that cannot be.
    """
    facts = facts_of(
        pipeline.manifest,
        setup,
        source=redact(robot.source),
        odometry=None if robot.odometry is None else redact(robot.odometry),
        engine=pipeline.engine,
        machine=machine_name(),
        version=__version__,
        fps=source.fps,
    )
    # Photographs without odometry show different places, not one drive.
    separate = source.fps is None and not source.live and robot.odometry is None
    uri = robot.odometry if robot.odometry or separate else usual_odometry(setup)
    bag = robot.source.startswith("rosbag:")
    whole = FilmSpan(seconds=source.length_s, frames=source.count, utc=bag)
    span = whole if source.step_s else None

    def open_at(first_segment: int) -> AbstractContextManager[Odometry]:
        return open_odometry(uri, setup, first_segment=first_segment, film=robot.source, span=span)

    with ExitStack() as stack:
        # That of a film is refused before a survey begins, which would be one with that odometry.
        of_film = None if source.live else stack.enter_context(open_at(0))
        journal = stack.enter_context(open_survey(folder, facts, live=source.live))
        before = read_survey(folder)
        if source.left_out and source.left_out not in {alarm.detail for alarm in before.alarms}:
            journal.alarm("files", source.left_out)
        odometry = of_film or stack.enter_context(open_at(next_segment(before)))
        for note in notes_of(odometry):
            journal.alarm("odometry", note)
        inspector = Inspector(journal, setup, odometry, live=source.live, separate=separate)
        yield Inspection(
            journal=journal,
            inspector=inspector,
            odometry=odometry,
            live=source.live,
            files=source.files,
        )
