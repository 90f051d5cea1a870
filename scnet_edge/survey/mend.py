"""A journal that SQLite reads and whose records are damaged: what is whole stays."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_type_hints

import msgspec

from scnet_edge.config import NOT_JSON
from scnet_edge.errors import SurveyError
from scnet_edge.inspection.records import Gap, Observation
from scnet_edge.inspection.setup import Setup
from scnet_edge.survey.database import aside
from scnet_edge.survey.evidence import read_sidecars
from scnet_edge.survey.facts import Alarm, Change, Facts, Progress, progress_behind

T = TypeVar("T", bound=msgspec.Struct)

TABLES: dict[str, type[msgspec.Struct]] = {
    "observation": Observation,
    "gap": Gap,
    "alarm": Alarm,
    "progress": Progress,
    "change": Change,
}
MAX_RECORD_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What was damaged: how many rows, how many of them came back, and where the journal is kept
    as it was.
    """

    damaged: int
    restored: int
    kept_as: Path


def decode_row(value: object, kind: type[T]) -> T:
    """Return the record in a column.

    Raises:
        one of `NOT_JSON`: it is damaged.
    """
    if not isinstance(value, (str, bytes)) or len(value) > MAX_RECORD_BYTES:
        raise msgspec.ValidationError(f"Expected a record as text, got {type(value).__name__}")
    record = msgspec.json.decode(value, type=kind)
    if isinstance(record, Facts):
        check_geometry(record)
    return record


def check_geometry(facts: Facts) -> None:
    """Raise ValidationError where the facts' geometry has what no `pipe.toml` can say."""
    kinds = get_type_hints(Setup, include_extras=True)
    for name, value in facts.geometry.items():
        if name not in kinds:
            raise msgspec.ValidationError(f"Object contains unknown field `{name}`")
        msgspec.convert(value, kinds[name])


def mend_records(db: sqlite3.Connection, folder: Path, journal: Path) -> Mended | None:
    """Take damaged records out of a journal, observations from beside their snapshots in.

    The facts, if they are damaged, go as well: whoever resumes the survey gives them anew.

    Returns:
        What was done; None where nothing was damaged.

    Raises:
        SurveyError: the journal as it was cannot be kept.
    """
    damaged = {table: _find_damaged(db, table, kind) for table, kind in TABLES.items()}
    facts = [text for (text,) in db.execute("SELECT facts FROM survey")]
    lost_facts = not all(_is_whole(text, Facts) for text in facts)
    count = lost_facts + sum(map(len, damaged.values()))
    if not count:
        return None
    kept_as = aside(journal)
    try:
        with closing(sqlite3.connect(kept_as)) as copy:
            db.backup(copy)
    except sqlite3.Error as e:
        raise SurveyError(f"damaged, and it cannot be kept as {kept_as.name} ({e})") from e
    known = {o.seq: o for o in read_sidecars(folder)}
    restored = 0
    db.execute("BEGIN IMMEDIATE")
    if lost_facts:
        db.execute("DELETE FROM survey")
    for table, rows in damaged.items():
        for row in rows:
            if table == "observation" and row in known:
                record = msgspec.json.encode(known[row]).decode()
                db.execute("UPDATE observation SET record = ? WHERE seq = ?", (record, row))
                restored += 1
            else:
                db.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))
    if damaged["progress"]:
        _rewind(db)
    db.execute("COMMIT")
    return Mended(damaged=count, restored=restored, kept_as=kept_as)


def _rewind(db: sqlite3.Connection) -> None:
    """Let the survey go on behind its last observation: what came before is recorded."""
    rows = db.execute("SELECT record FROM observation")
    found = [decode_row(record, Observation) for (record,) in rows]
    if not found:
        return
    record = msgspec.json.encode(progress_behind(found)).decode()
    db.execute("INSERT INTO progress VALUES (1, ?)", (record,))


def _find_damaged(db: sqlite3.Connection, table: str, kind: type[msgspec.Struct]) -> list[int]:
    rows = db.execute(f"SELECT rowid, record FROM {table}")
    return [row for row, record in rows if not _is_whole(record, kind, row=row)]


def _is_whole(value: object, kind: type[msgspec.Struct], *, row: int | None = None) -> bool:
    try:
        record = decode_row(value, kind)
    except NOT_JSON:
        return False
    return not isinstance(record, Observation) or record.seq == row
