"""A survey, read: also while it is being written, and from an older version's journal."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from scnet_edge.config import NOT_JSON
from scnet_edge.errors import SurveyError
from scnet_edge.inspection.records import Gap, Observation
from scnet_edge.survey.database import bounded, require_plain, version_of
from scnet_edge.survey.facts import Alarm, Facts, Progress
from scnet_edge.survey.journal import JOURNAL
from scnet_edge.survey.mend import decode_row

T = TypeVar("T", bound=msgspec.Struct)
BEFORE_START = "before_start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All that a survey's folder holds, observations and gaps in the order they were recorded.

    A camera sees a little behind its start. What lies before 0 m is given at 0 m, and says so by
    the flag `before_start`; the journal keeps the place that was measured.

    Attributes:
        aside: records that `sorting.set_aside` took out of `observations`, each with its reason.
    """

    folder: Path
    facts: Facts
    observations: tuple[Observation, ...]
    gaps: tuple[Gap, ...]
    alarms: tuple[Alarm, ...]
    progress: Progress | None
    aside: tuple[tuple[Observation, str], ...] = ()

    @property
    def length_m(self) -> float | None:
        """From 0 to the furthest place that was seen; None where no chainage is known.

        That is where the camera was, or the end of a crack that it saw ahead and nobody rejected.
        """
        found = (*self.observations, *(o for o, _ in self.aside))
        ends_m = [o.end_m for o in found if o.end_m is not None and o.review != "rejected"]
        if self.progress is not None and self.progress.chainage_m is not None:
            ends_m.append(self.progress.chainage_m)
        return round(max(0.0, *ends_m), 2) if ends_m else None

    @property
    def counted(self) -> tuple[Observation, ...]:
        """The observations that nobody has rejected: what all figures are of."""
        return tuple(o for o in self.observations if o.review != "rejected")


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
    observations = _rows(db, "observation", Observation)
    return Survey(
        folder=folder,
        facts=decode_row(row[0], Facts),
        observations=tuple(map(_from_start, observations)),
        gaps=tuple(map(_gap_from_start, _gaps(db, version))),
        alarms=_rows(db, "alarm", Alarm) if version > 1 else (),
        progress=progress[0] if progress else None,
    )


def _from_start(one: Observation) -> Observation:
    """Return an observation with its place from 0 m on."""
    if one.start_m is None or one.end_m is None or one.start_m >= 0:
        return one
    return replace(
        one,
        start_m=0.0,
        end_m=max(0.0, one.end_m),
        outline_m_h=tuple((max(0.0, along_m), clock_h) for along_m, clock_h in one.outline_m_h),
        flags=(*one.flags, BEFORE_START),
    )


def _gap_from_start(gap: Gap) -> Gap:
    """Return a gap with its place from 0 m on."""
    if gap.start_m is None or gap.end_m is None:
        return gap
    return replace(gap, start_m=max(0.0, gap.start_m), end_m=max(0.0, gap.end_m))


def _gaps(db: sqlite3.Connection, version: int) -> tuple[Gap, ...]:
    """Return the gaps, but for those of pictures that could be read later."""
    gaps = _rows(db, "gap", Gap)
    if version < 3:
        return gaps
    files = bounded(db.execute("SELECT file FROM picture"))
    seen = {name.decode("utf-8", "replace") for (name,) in files if isinstance(name, bytes)}
    return tuple(gap for gap in gaps if gap.file not in seen)


def _rows(db: sqlite3.Connection, table: str, kind: type[T]) -> tuple[T, ...]:
    rows = bounded(db.execute(f"SELECT record FROM {table} ORDER BY rowid"))
    return tuple(decode_row(record, kind) for (record,) in rows)
