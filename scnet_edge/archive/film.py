"""One film, the unit of work: inspected like any other, sealed, and marked as done."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace as replaced
from datetime import datetime, timezone
from pathlib import Path

import msgspec
from msgspec.structs import replace

from scnet_edge import __version__
from scnet_edge.archive.coded_odometry import LEAST_READINGS, coded_readings, write_readings
from scnet_edge.archive.coding import Inspection
from scnet_edge.archive.folder import SURVEY, Done, Job, film_folder
from scnet_edge.archive.manifest import Row
from scnet_edge.archive.seal import seal
from scnet_edge.errors import ConfigError, CutShort, InputError, SurveyError
from scnet_edge.events import Event
from scnet_edge.inspection.odometry import open_odometry, usual_odometry
from scnet_edge.inspection.osd_odometry import SCHEME, parse_counter, read_counter
from scnet_edge.inspection.setup import Setup
from scnet_edge.machine.description import machine_name
from scnet_edge.robot.monitoring import stopped_by_signals
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.loop import run_loop
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge.survey.begin import facts_of, open_survey
from scnet_edge.survey.facts import Facts
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.inspector import Inspector
from scnet_edge.survey.journal import Journal
from scnet_edge.types import Captured
from scnet_edge.video.sources import VIDEO_SUFFIXES, Source, open_source

DATABASE = "database"


def inspect_film(film: Row, job: Job, pipeline: Pipeline, archive: Path) -> Done | None:
    """Inspect a film, or go on with it where a worker died; without the marker.

    Returns:
        What came of it; None if SIGTERM or Ctrl-C ended it before its end.
    """
    place = film_folder(archive, film)
    place.mkdir(parents=True, exist_ok=True)
    path = Path(os.fsdecode(os.path.join(os.fsencode(job.root), film.path_bytes)))  # noqa: PTH118
    suffix = path.suffix.lower() if path.suffix.lower() in VIDEO_SUFFIXES else ".mpg"
    link = place / f"film{suffix}"  # a name that every decoder takes
    link.unlink(missing_ok=True)
    link.symlink_to(path)
    done: Done | None
    try:
        done = _inspected(film, job, pipeline, link)
    except (InputError, ConfigError) as e:  # of this film; anything else is of the machine
        done = Done(film=film.film_id, path=film.path, state="failed", reason=str(e))
    finally:
        link.unlink()
    return done and replace(done, reason=done.reason.replace(str(link), film.path))


def setup_of(setup: Setup, inspection: Inspection | None) -> Setup:
    """Return the geometry with what a database knows of the pipe."""
    if inspection is None:
        return setup
    upstream = inspection.direction == "upstream"
    nodes = (inspection.from_node, inspection.to_node)
    known = {
        "pipe_id": inspection.pipe,
        "material": inspection.material,
        "operator": inspection.operator,
        "from_node": nodes[upstream],  # in the direction of travel
        "to_node": nodes[not upstream],
    }
    if setup.mode != "wall" and inspection.diameter_mm is not None:
        known["diameter_mm"] = inspection.diameter_mm  # type: ignore[assignment]
    return replace(setup, **{name: value for name, value in known.items() if value})


def _inspected(film: Row, job: Job, pipeline: Pipeline, link: Path) -> Done | None:
    setup, survey = setup_of(job.setup, film.inspection), link.parent / SURVEY
    if _is_finished(survey):  # and not marked: killed in between, when what was cut was known
        shutil.rmtree(survey)
    odometry, name = _odometry_of(film, job, setup, link)
    with open_source(str(link)) as opened:
        source = replaced(opened, items=_from_zero(opened.items))
        facts = _facts(film, job, setup, pipeline, name, source.fps)
        with (
            open_survey(survey, facts, live=False) as journal,
            open_odometry(odometry, setup) as where,
            stopped_by_signals(source.stop),
        ):
            cut = _driven(source, pipeline, Inspector(journal, setup, where))
            done = _counted(film, journal, name, cut)
            finished = journal.progress is not None and journal.progress.finished
    if not finished:
        return None
    seal(survey)
    return done


def _driven(source: Source, pipeline: Pipeline, inspector: Inspector) -> CutShort | None:
    """Inspect all that a film holds, and return what is wrong with one that is cut."""
    counters, cut = Counters(), None
    source = replaced(source, items=inspector.unseen(source.items))
    try:
        run_loop(source, pipeline, [inspector], counters=counters)
    except CutShort as e:
        cut = e
    finally:
        left = counters.dropped["stopped"] + counters.dropped["failed"]
        inspector.close(finished=inspector.exhausted and not left)
    return cut


def _is_finished(survey: Path) -> bool:
    try:
        progress = read_survey(survey).progress
    except SurveyError:
        return False
    return progress is not None and progress.finished


def _from_zero(items: Generator[Captured | Event]) -> Generator[Captured | Event]:
    """Yield the items of a file as if the machine's clock had begun with it."""
    start_ns: int | None = None
    with closing(items):
        for item in items:
            if isinstance(item, Captured):
                start_ns = item.mono_ns if start_ns is None else start_ns
                item = replaced(item, mono_ns=item.mono_ns - start_ns)
            yield item


def _odometry_of(film: Row, job: Job, setup: Setup, link: Path) -> tuple[str | None, str]:
    """Return what says where each frame was taken, and how that is called.

    A counter in the picture is read once and kept beside the survey, so that a film that is gone
    on with need not be read again. Where there is none, the database's times and distances stand.
    """
    if job.odometry is not None and not job.odometry.startswith(SCHEME):
        return job.odometry, job.odometry
    if job.odometry is not None:
        shown = link.with_name("counter.csv")
        if not shown.exists():
            write_readings(shown, read_counter(link, parse_counter(job.odometry)))
        if len(shown.read_text(encoding="utf-8").splitlines()) > 1:
            return str(shown), job.odometry
    coded = link.with_name("coded.csv")
    readings = [] if film.inspection is None else coded_readings(film.inspection)
    if len(readings) >= LEAST_READINGS:
        write_readings(coded, readings)
        return str(coded), DATABASE
    usual = usual_odometry(setup)
    return usual, usual or ""


def _facts(
    film: Row, job: Job, setup: Setup, pipeline: Pipeline, odometry: str, fps: float | None
) -> Facts:
    """Return the facts of a film's survey; the same whenever it is made."""
    facts = facts_of(
        pipeline.manifest,
        setup,
        source=film.path,
        odometry=odometry or None,
        engine=pipeline.engine,
        machine=machine_name(),
        version=__version__,
        fps=fps,
    )
    filmed = datetime.fromtimestamp(film.modified_ns // 10**9, timezone.utc)
    about = [film.film_id, facts.bundle.sha256, msgspec.json.encode(setup).decode()]
    return replace(
        facts,
        survey_id=hashlib.sha256("\n".join(about).encode()).hexdigest()[:12],
        created=_date(film.inspection) or filmed.isoformat(timespec="seconds"),
    )


def _date(inspection: Inspection | None) -> str:
    try:
        day = datetime.fromisoformat("" if inspection is None else inspection.date)
    except ValueError:
        return ""
    return day.replace(tzinfo=timezone.utc).isoformat(timespec="seconds")


def _counted(film: Row, journal: Journal, odometry: str, cut: CutShort | None) -> Done:
    progress = journal.progress
    return Done(
        film=film.film_id,
        path=film.path,
        state="inspected" if cut is None else "cut",
        reason="" if cut is None else str(cut),
        frames=0 if progress is None else progress.frames,
        cracks=journal.acknowledged,
        length_m=None if progress is None else progress.chainage_m,
        odometry=odometry,
    )
