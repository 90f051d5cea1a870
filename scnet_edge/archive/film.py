"""One film, the unit of work: inspected like any other, sealed, and marked as done."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace as replaced
from datetime import datetime, timezone
from pathlib import Path

import cv2
import msgspec
from msgspec.structs import replace

from scnet_edge import __version__
from scnet_edge.archive.chainage import (
    LEAST_READINGS,
    coded_readings,
    has_no_scale,
    with_chainage,
    write_readings,
)
from scnet_edge.archive.coding import CodedInspection
from scnet_edge.archive.folder import SURVEY, Done, Job, own_film_folder, seal
from scnet_edge.archive.manifest import ManifestRow
from scnet_edge.errors import ConfigError, CutShort, EngineError, InputError, SurveyError
from scnet_edge.events import Event
from scnet_edge.files import make_subfolder
from scnet_edge.inspection.odometry import (
    Odometry,
    moves,
    notes_of,
    open_odometry,
    usual_odometry,
)
from scnet_edge.inspection.odometry_file import FilmSpan
from scnet_edge.inspection.osd_counter import SCHEME
from scnet_edge.inspection.osd_odometry import parse_counter, read_counter
from scnet_edge.inspection.setup import Setup
from scnet_edge.machine.description import machine_name
from scnet_edge.robot.monitoring import stop_on_signals
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.loop import run_loop
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge.survey.begin import facts_of, open_survey
from scnet_edge.survey.evidence import write_sidecar
from scnet_edge.survey.facts import Facts
from scnet_edge.survey.folder import Survey, read_survey
from scnet_edge.survey.inspector import Inspector
from scnet_edge.survey.sorting import set_aside
from scnet_edge.types import Captured
from scnet_edge.video.frame_checks import watch_frames
from scnet_edge.video.sources import Source, open_source

DATABASE = "database"


def open_net(job: Job) -> Pipeline:
    """Return the net of a worker, which is all on one thread but for the engine: one for a core.

    Raises:
        ScnetEdgeError: as `Pipeline.open`, or no memory is left for it.
    """
    cv2.setNumThreads(1)
    try:
        return Pipeline.open(job.bundle, engine=job.engine, threads=job.threads)
    except MemoryError:
        remedy = "take fewer --workers, or raise the limit"
        raise EngineError(f"{job.bundle}: no memory is left to load it; {remedy}") from None


def inspect_film(film: ManifestRow, job: Job, pipeline: Pipeline, archive: Path) -> Done | None:
    """Inspect a film, or go on with it where a worker died; without the marker.

    Returns:
        What came of it; None if SIGTERM or Ctrl-C ended it before its end.
    """
    place = own_film_folder(archive, film)
    make_subfolder(place, SURVEY)
    path = Path(os.fsdecode(os.path.join(os.fsencode(job.root), film.path_bytes)))  # noqa: PTH118
    suffix = path.suffix.lower() if path.suffix.isascii() else ""
    link = place / f"film{suffix}"  # a name that every log and page can show
    link.unlink(missing_ok=True)
    link.symlink_to(path)
    done: Done | None
    try:
        done = _inspect(film, job, pipeline, link)
    except (InputError, ConfigError) as e:  # of this film; anything else is of the machine
        done = Done(film=film.film_id, path=film.path, state="failed", reason=str(e))
        shutil.rmtree(place / SURVEY, ignore_errors=True)
    finally:
        link.unlink()
    return done and replace(done, reason=done.reason.replace(str(link), film.path))


def setup_of(setup: Setup, inspection: CodedInspection | None) -> Setup:
    """Return the geometry with what a database knows of the pipe."""
    if inspection is None:
        return setup
    upstream = inspection.direction == "upstream"
    nodes = (inspection.from_node, inspection.to_node)
    known: dict[str, object] = {
        "pipe_id": inspection.pipe,
        "material": inspection.material,
        "operator": inspection.operator,
        "from_node": nodes[upstream],  # in the direction of travel
        "to_node": nodes[not upstream],
    }
    if setup.mode != "wall" and inspection.diameter_mm is not None:
        known["diameter_mm"] = inspection.diameter_mm
    return replace(setup, **{name: value for name, value in known.items() if value})


def _inspect(film: ManifestRow, job: Job, pipeline: Pipeline, link: Path) -> Done | None:
    setup, survey = setup_of(job.setup, film.inspection), link.parent / SURVEY
    if _is_finished(survey):  # and not marked: killed in between, when what was cut was known
        shutil.rmtree(survey)
    odometry, name = _odometry_of(film, job, setup, link)
    readings = Path(odometry) if odometry in _write_odometry(link) and has_no_scale(setup) else None
    followed = usual_odometry(setup) if readings else odometry
    with open_source(str(link)) as opened:
        source = replaced(opened, items=_from_zero(opened.items))
        whole = FilmSpan(seconds=source.length_s, frames=source.count)
        span = None if name == DATABASE else whole  # codes are few, and need not fill a film
        facts = _facts(film, job, setup, pipeline, name, source.fps)
        with (
            open_survey(survey, facts, live=False) as journal,
            open_odometry(followed, setup, span=None if readings else span) as where,
            stop_on_signals(source.stop),
        ):
            for note in notes_of(where):
                journal.alarm("odometry", note.replace(f"{link.parent}/", ""))
            cut = _driven(source, pipeline, Inspector(journal, setup, where), where)
            if journal.progress is None or not journal.progress.finished:
                return None
            if not journal.progress.frames:
                raise InputError(f"{link}: no frame of it could be used")
    found = read_survey(survey)
    _require_pictures(survey, found)
    if readings:
        found = with_chainage(found, readings, setup)
        for observation in found.observations:
            write_sidecar(survey, observation)
    seal(survey, found)
    return _describe(film, found, name, cut)


def _driven(
    source: Source, pipeline: Pipeline, inspector: Inspector, odometry: Odometry
) -> CutShort | None:
    """Inspect all that a film holds, and return what is wrong with one that is cut."""
    counters, cut = Counters(), None
    source = replaced(source, items=inspector.unseen(source.items))
    source = watch_frames(source, moving=lambda captured: moves(odometry, captured))
    try:
        run_loop(source, pipeline, [inspector], counters=counters, apart=False)
    except CutShort as e:
        cut = e
    finally:
        left = counters.dropped["stopped"] + counters.dropped["failed"]
        inspector.close(finished=inspector.exhausted and not left)
    return cut


def _require_pictures(folder: Path, survey: Survey) -> None:
    """Raise OSError where the disk had no room for pictures: such a film is no result."""
    if any(alarm.reason == "disk_full" for alarm in survey.alarms):
        shutil.rmtree(folder)
        raise OSError(errno.ENOSPC, "no room for the pictures of a film's cracks", str(folder))


def _is_finished(survey: Path) -> bool:
    try:
        progress = read_survey(survey).progress
    except SurveyError:
        return False
    return progress is not None and progress.finished


def _from_zero(items: Generator[Captured | Event]) -> Generator[Captured | Event]:
    """Yield the items of a film as if the machine's clock had begun with it."""
    start_ns = 0
    with closing(items):
        for item in items:
            if isinstance(item, Captured):
                start_ns = item.mono_ns - round((item.time_s or 0.0) * 1e9)
            elif item.from_mono_ns is not None:
                item = replaced(item, from_mono_ns=item.from_mono_ns - start_ns)
            yield replaced(item, mono_ns=item.mono_ns - start_ns)


def _odometry_of(film: ManifestRow, job: Job, setup: Setup, link: Path) -> tuple[str | None, str]:
    """Return what says where each frame was taken, and how that is called.

    A counter in the picture is read once and kept beside the survey, so that a film that is gone
    on with need not be read again. Where there is none, the database's times and distances stand.
    """
    shown, coded = _write_odometry(link)
    if job.odometry is not None and not job.odometry.startswith(SCHEME):
        return job.odometry, job.odometry
    if job.odometry is not None:
        if not Path(shown).exists():
            read = read_counter(link, parse_counter(job.odometry))
            write_readings(Path(shown), read.readings)
        if len(Path(shown).read_text(encoding="utf-8").splitlines()) > 1:
            return shown, job.odometry
    readings = (
        [] if film.inspection is None else coded_readings(film.inspection, setup.max_speed_mps)
    )
    if len(readings) >= LEAST_READINGS:
        write_readings(Path(coded), readings)
        return coded, DATABASE
    usual = usual_odometry(setup)
    return usual, usual or ""


def _write_odometry(link: Path) -> tuple[str, str]:
    """Return the files that hold what the counter showed, and what the database says."""
    return str(link.with_name("counter.csv")), str(link.with_name("coded.csv"))


def _facts(
    film: ManifestRow, job: Job, setup: Setup, pipeline: Pipeline, odometry: str, fps: float | None
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


def _date(inspection: CodedInspection | None) -> str:
    try:
        day = datetime.fromisoformat("" if inspection is None else inspection.date)
    except ValueError:
        return ""
    return day.replace(tzinfo=timezone.utc).isoformat(timespec="seconds")


def _describe(film: ManifestRow, survey: Survey, odometry: str, cut: CutShort | None) -> Done:
    progress = survey.progress
    return Done(
        film=film.film_id,
        path=film.path,
        state="inspected" if cut is None else "cut",
        reason="" if cut is None else str(cut),
        frames=0 if progress is None else progress.frames,
        cracks=len(set_aside(survey).observations),
        length_m=survey.length_m,
        odometry=odometry,
    )
