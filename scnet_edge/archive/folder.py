"""The folder that an archive's results live in, and the marker that says a film is done.

    ARCHIVE/
      archive.json         what was asked for: the bundle, the geometry, the odometry
      archive.parquet      the manifest, as it was when the run began
      films/FILM/survey/   a survey as `inspect` makes it: review, report and export take it
      films/FILM/done.json written last, whole or not at all: what came of the film
      index.html           the report over all pipes

Nothing in it says when or how often it was tried: the same films give the same bytes.
A finished survey is sealed: made the same to the byte however often its worker was killed.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from scnet_edge.archive.manifest import MAX_BYTES, ArchiveManifest, ManifestRow, read_manifest
from scnet_edge.config import read_json, write_json
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.files import make_subfolder, read_file, sync_folder, write_file
from scnet_edge.inspection.setup import Setup
from scnet_edge.survey.database import COMPANIONS, migrate
from scnet_edge.survey.folder import Survey, read_survey
from scnet_edge.survey.journal import JOURNAL, RESERVE
from scnet_edge.survey.sorting import set_aside

FACTS, MANIFEST, FILMS, DONE, SURVEY = (
    "archive.json",
    "archive.parquet",
    "films",
    "done.json",
    "survey",
)
_SEALED = f"{JOURNAL}.sealed"


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done to every film.

    Attributes:
        root: the folder of the films, in whose terms the manifest speaks.
        bundle: the bundle's folder, and the SHA-256 of its graph.
        odometry: as `inspect --odometry` takes it; None for the database's times and distances.
        setup: the geometry; what a database knows of a pipe is filled in.
        engine, threads: as `inspect` takes them.
    """

    root: str
    bundle: str
    sha256: str
    setup: Setup = Setup(mode="wall")
    odometry: str | None = None
    engine: str | None = None
    threads: int | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came of one film.

    Attributes:
        state: `inspected`; `cut`, which is all that a cut file holds; `failed`, with the reason.
        odometry: what the chainage comes from: `database`, a URI, or nothing.
    """

    film: str
    path: str
    state: Literal["inspected", "cut", "failed"]
    reason: str = ""
    frames: int = 0
    cracks: int = 0
    length_m: float | None = None
    odometry: str = ""


def open_archive(folder: Path, manifest: Path, job: Job) -> ArchiveManifest:
    """Begin a folder of results, or go on with it; return the manifest that counts.

    Raises:
        ConfigError: the folder holds something else, or results of another bundle or geometry.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: expected a folder for the results, found a file")
    facts, copy = folder / FACTS, folder / MANIFEST
    if facts.exists():
        _check_same(folder, read_json(facts, Job), job)
        if _content(manifest) != _content(copy):
            raise ConfigError(f"{folder}: holds results of another manifest; choose another folder")
        return read_manifest(copy)
    present = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if foreign := [name for name in present if name not in (MANIFEST, FILMS, ".lock")]:
        raise ConfigError(
            f"{folder}: holds {min(foreign)!r} and no archive; choose an empty folder"
        )
    read = read_manifest(manifest)
    make_subfolder(folder, FILMS)
    write_file(copy, _content(manifest))
    write_json(facts, job)
    return read


def read_archive(folder: Path) -> tuple[Job, ArchiveManifest, dict[str, Done]]:
    """Return what was asked for, the manifest, and what is done by film.

    Raises:
        InputError: no archive there, or a damaged one.
    """
    if not (folder / FACTS).is_file():
        raise InputError(f"{folder}: no archive here, expected a folder that 'archive run' wrote")
    job = read_json(folder / FACTS, Job, error=InputError)
    manifest = read_manifest(folder / MANIFEST)
    markers = ((film.film_id, read_done(folder, film)) for film in manifest.films)
    return job, manifest, {name: done for name, done in markers if done is not None}


def film_folder(folder: Path, film: ManifestRow) -> Path:
    """Return the folder of one film's results."""
    return folder / FILMS / film.film_id


def read_cracks(folder: Path, film: ManifestRow) -> Survey:
    """Return the survey of a film that is done; joints, water lines and the unsure stand aside.

    Raises:
        SurveyError: it is damaged.
    """
    return set_aside(read_survey(film_folder(folder, film) / SURVEY))


def own_film_folder(folder: Path, film: ManifestRow) -> Path:
    """Return the folder of one film's results to write into, made if it was missing.

    Raises:
        ConfigError: it is a link, which may lead anywhere.
    """
    return make_subfolder(make_subfolder(folder, FILMS), film.film_id)


def read_done(folder: Path, film: ManifestRow) -> Done | None:
    """Return what came of a film; None where it is not done."""
    path = film_folder(folder, film) / DONE
    return read_json(path, Done, error=InputError) if path.is_file() else None


def mark_done(folder: Path, film: ManifestRow, done: Done) -> None:
    """Write the marker: the last thing that is written of a film."""
    write_json(own_film_folder(folder, film) / DONE, done)


def _content(path: Path) -> bytes:
    try:
        return read_file(path, MAX_BYTES)
    except OSError as e:
        raise ConfigError(f"{path}: cannot be read ({e.strerror}); choose another folder") from e


def _check_same(folder: Path, before: Job, now: Job) -> None:
    for what in ("sha256", "setup", "odometry", "root"):
        if getattr(before, what) != getattr(now, what):
            name = {"sha256": "bundle", "setup": "geometry"}.get(what, what)
            raise ConfigError(f"{folder}: holds results with another {name}; choose another folder")


def seal(folder: Path, survey: Survey) -> None:
    """Write the journal anew, in order, and remove what only a survey that goes on needs.

    A crash leaves the journal as it was, or the new one.

    Args:
        folder: of a finished survey, which nobody is writing.
        survey: what the journal is to hold.
    """
    new = folder / _SEALED
    new.unlink(missing_ok=True)
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        db.execute("PRAGMA page_size = 4096")
        db.execute("PRAGMA journal_mode = OFF")  # nobody reads it before it is whole
        db.execute("PRAGMA synchronous = OFF")
        migrate(db)
        db.execute("BEGIN")
        _fill(db, survey)
        db.execute("COMMIT")
    for companion in COMPANIONS[1:]:  # all of it is in the journal: its last user closed it
        (folder / f"{JOURNAL}{companion}").unlink(missing_ok=True)
    with new.open("rb") as f:
        os.fsync(f.fileno())
    new.replace(folder / JOURNAL)
    for name in (RESERVE, ".lock"):
        (folder / name).unlink(missing_ok=True)
    sync_folder(folder)


def _fill(db: sqlite3.Connection, survey: Survey) -> None:
    db.execute("INSERT INTO survey VALUES (1, ?)", (_json(survey.facts),))
    for o in survey.observations:
        db.execute("INSERT INTO observation VALUES (?, ?)", (o.seq, _json(o)))
    filmed = survey.facts.created  # not when: every attempt notes the same alarms anew
    alarms = dict.fromkeys(replace(alarm, utc=filmed) for alarm in survey.alarms)
    for table, records in (("gap", survey.gaps), ("alarm", tuple(alarms))):
        for record in records:
            db.execute(f"INSERT INTO {table} (record) VALUES (?)", (_json(record),))
    if survey.progress is not None:
        db.execute("INSERT INTO progress VALUES (1, ?)", (_json(survey.progress),))


def _json(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()
