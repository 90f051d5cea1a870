"""A survey, read: also while it is being written, and from an older version's journal."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec

from scnet_edge.config import NOT_JSON
from scnet_edge.errors import SurveyError
from scnet_edge.inspection.records import Gap, Observation
from scnet_edge.survey.database import require_plain, version_of
from scnet_edge.survey.facts import Alarm, Facts, Progress
from scnet_edge.survey.journal import JOURNAL
from scnet_edge.survey.mend import decode_row

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All that a survey's folder holds, observations and gaps in the order they were recorded.

    Attributes:
        min_confidence, left_out: what `sure` was asked for, and how many observations it took out.
    """

    folder: Path
    facts: Facts
    observations: tuple[Observation, ...]
    gaps: tuple[Gap, ...]
    alarms: tuple[Alarm, ...]
    progress: Progress | None
    min_confidence: float = 0.0
    left_out: int = 0


def read_survey(folder: Path) -> Survey:
    """Return what the journal holds, without changing it.

    Raises:
        SurveyError: no survey there, a damaged journal, another program's or a newer version's.
    """
    path = folder / JOURNAL
    if not path.is_file():
        raise SurveyError(f"{folder}: no survey here, expected a folder that 'inspect' wrote")
    try:
        require_plain(path)
        with closing(sqlite3.connect(_uri(path), uri=True)) as db:
            db.text_factory = bytes  # what is damaged may be no UTF-8
            db.execute("PRAGMA trusted_schema = OFF")
            return _read(folder, db, version_of(db))
    except SurveyError as e:
        raise SurveyError(f"{path}: {e}") from None
    except sqlite3.OperationalError as e:
        raise SurveyError(f"{path}: cannot be opened ({e}); expected a folder to write to") from e
    except (sqlite3.DatabaseError, *NOT_JSON) as e:
        raise SurveyError(
            f"{path}: damaged ({e}); run 'inspect' on it again, which keeps what is whole, and the "
            "damaged journal beside it"
        ) from e


def sure(survey: Survey, min_confidence: float) -> Survey:
    """Return a survey without what is less sure, but with all that a person has accepted.

    Args:
        survey: what `read_survey` gave.
        min_confidence: in [0, 1], of an observation's mean probability; 0 keeps everything.
    """
    kept = tuple(
        o for o in survey.observations if o.confidence >= min_confidence or o.review == "accepted"
    )
    return replace(
        survey,
        observations=kept,
        min_confidence=min_confidence,
        left_out=len(survey.observations) - len(kept),
    )


def next_segment(survey: Survey) -> int:
    """Return the number of the next segment, where an odometer starts anew."""
    seen = [o.segment for o in survey.observations] + [g.segment for g in survey.gaps]
    return 1 + max(seen, default=-1)


def _uri(path: Path) -> str:
    """Return how to open a journal for reading; on a medium that cannot be written, as a file."""
    log = path.with_name(path.name + "-wal")
    writable = os.access(path.parent, os.W_OK)
    frozen = not writable and not (log.exists() and log.stat().st_size)
    return path.absolute().as_uri() + ("?immutable=1" if frozen else "?mode=ro")


def _read(folder: Path, db: sqlite3.Connection, version: int) -> Survey:
    row = db.execute("SELECT facts FROM survey").fetchone() if version else None
    if row is None:
        raise SurveyError("an empty journal: the survey was cut before it began; run it again")
    db.execute("BEGIN")  # one state of it all, though another process goes on writing
    progress = _rows(db, "progress", Progress)
    return Survey(
        folder=folder,
        facts=decode_row(row[0], Facts),
        observations=_rows(db, "observation", Observation),
        gaps=_rows(db, "gap", Gap),
        alarms=_rows(db, "alarm", Alarm) if version > 1 else (),
        progress=progress[0] if progress else None,
    )


def _rows(db: sqlite3.Connection, table: str, kind: type[T]) -> tuple[T, ...]:
    rows = db.execute(f"SELECT record FROM {table} ORDER BY rowid").fetchall()
    return tuple(decode_row(row[0], kind) for row in rows)
