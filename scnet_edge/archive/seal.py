"""A finished survey, made the same to the byte however often its worker was killed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec.structs import replace

from scnet_edge.files import sync_folder
from scnet_edge.survey.database import COMPANIONS, migrate
from scnet_edge.survey.evidence import write_sidecar
from scnet_edge.survey.folder import Survey, read_survey
from scnet_edge.survey.journal import JOURNAL, RESERVE

_SEALED = f"{JOURNAL}.sealed"


def seal(folder: Path, complete: Callable[[Survey], Survey] = lambda survey: survey) -> None:
    """Write the journal anew, in order, and remove what only a survey that goes on needs.

    A crash leaves the journal as it was, or the new one.

    Args:
        folder: the survey's, finished, which nobody is writing.
        complete: adds what is known only now.
    """
    survey = complete(read_survey(folder))
    for o in survey.observations:
        write_sidecar(folder, o)
    new = folder / _SEALED
    new.unlink(missing_ok=True)
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        db.execute("PRAGMA page_size = 4096")
        migrate(db)
        db.execute("BEGIN")
        _fill(db, survey)
        db.execute("COMMIT")
    for companion in COMPANIONS[1:]:  # all of it is in the journal: its last user closed it
        (folder / f"{JOURNAL}{companion}").unlink(missing_ok=True)
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
