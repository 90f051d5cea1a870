"""How a drive may end besides well: what was seen until then is kept."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from hand_made import facts
from test_inspector import FRAMES, PIPE, SMALL, places, segment
from test_inspector import drive as filmed

from scnet_edge.errors import CutShort, EngineGone
from scnet_edge.inspection.odometry import open_odometry
from scnet_edge.robot.inspection import Inspection
from scnet_edge.robot.monitoring import Monitoring
from scnet_edge.robot.robot_toml import Robot
from scnet_edge.robot.run import Run, RunOptions
from scnet_edge.robot.segmentation import Segmentation
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.loop import Segment, unusable
from scnet_edge.survey.folder import Survey, read_survey
from scnet_edge.survey.inspector import Inspector
from scnet_edge.survey.journal import Journal
from scnet_edge.types import Frame, Result
from scnet_edge.video.sources import Source

IN_VIEW = 40  # frames, the last of which show cracks that go on


def survey(
    folder: Path,
    items: Iterable[Any],
    segment: Segment = segment,
    *,
    live: bool = False,
    frames: int | None = None,
) -> Survey:
    """Drive, a camera in step with the engine, so that none of its frames is dropped."""
    free, stop = threading.Semaphore(), threading.Event()

    def in_step() -> Generator[Any]:
        for item in items:
            while live and not free.acquire(timeout=0.05):
                if stop.is_set():
                    return
            yield item

    def stepping(frame: Frame) -> Result:
        try:
            return segment(frame)
        finally:
            free.release()

    with (
        Journal(folder, facts(), limits=SMALL, replays=not live) as journal,
        open_odometry("step://6mm", PIPE) as where,
    ):
        inspector = Inspector(journal, PIPE, where, live=live)
        unseen = inspector.unseen(in_step())
        run = Run(
            robot=Robot(),
            options=RunOptions(survey=folder, frames=frames),
            source=Source(items=unseen, count=None, live=live, stop=stop),
            segmentation=Segmentation(segment=stepping, skip=unusable, pipeline=Any),
            monitoring=Monitoring(sinks=[], queued=[], monitor=Any, recorder=Any, pages=[]),
            results=None,
            inspection=Inspection(journal=journal, inspector=inspector, odometry=where, live=live),
            terminal=None,
            event_queue=SimpleQueue(),
            counters=Counters(),
            facts={},
        )
        with suppress(CutShort):
            run.loop()
    return read_survey(folder)


def failing_after(frames: int, error: Exception) -> Segment:
    """Return an engine that fails after so many frames."""
    calls = itertools.count()

    def until_then(frame: Frame) -> Result:
        if next(calls) == frames:
            raise error
        return segment(frame)

    return until_then


def finished(found: Survey) -> bool:
    assert found.progress is not None
    return found.progress.finished


def test_a_camera_s_cracks_in_view_are_recorded_when_the_engine_is_gone(tmp_path: Path) -> None:
    whole = survey(tmp_path / "whole", filmed(0, IN_VIEW), live=True)
    gone = failing_after(IN_VIEW, EngineGone("engine fake: died 5 times"))
    with pytest.raises(EngineGone):
        survey(tmp_path / "gone", filmed(), gone, live=True)
    found = read_survey(tmp_path / "gone")
    assert len(whole.observations) == 2
    assert places(found) == places(whole)
    assert not finished(found)


def test_a_file_goes_on_where_the_engine_was_gone(tmp_path: Path) -> None:
    whole = survey(tmp_path / "whole", filmed())
    gone = failing_after(FRAMES - 1, EngineGone("engine fake: died 5 times"))
    with pytest.raises(EngineGone):
        survey(tmp_path / "gone", filmed(), gone)
    assert not finished(read_survey(tmp_path / "gone"))
    found = survey(tmp_path / "gone", filmed())
    assert places(found) == places(whole)
    assert finished(found)


def test_a_file_that_is_cut_is_finished_where_it_ends(tmp_path: Path) -> None:
    def cut() -> Iterator[Any]:
        yield from filmed(0, IN_VIEW)
        raise CutShort("drive.avi: ends after 40 of 60 frames")

    whole = survey(tmp_path / "whole", filmed(0, IN_VIEW))
    found = survey(tmp_path / "cut", cut())
    assert places(found) == places(whole)
    assert finished(found)


def test_a_limit_near_the_end_leaves_the_rest_for_later(tmp_path: Path) -> None:
    ended, calls = threading.Event(), itertools.count(1)

    def items() -> Iterator[Any]:
        yield from filmed()
        ended.set()

    def waiting(frame: Frame) -> Result:
        """Take the last frame of the limit when the source has given all, one more among it."""
        assert next(calls) < FRAMES - 1 or ended.wait(10)
        return segment(frame)

    assert not finished(survey(tmp_path, items(), waiting, frames=FRAMES - 1))
    assert finished(survey(tmp_path, filmed()))


def test_after_an_error_in_the_inspector_nothing_more_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(Inspector, "_advance", fail)
    with pytest.raises(ZeroDivisionError):
        survey(tmp_path, filmed(0, IN_VIEW), live=True)
    found = read_survey(tmp_path)
    assert (found.observations, found.progress) == ((), None)
