"""The journal's file: its tables, and the steps that bring an older journal up to date.

Records are JSON in one column, checked by `msgspec` when read: a change of a record's fields that
older code cannot read is a new version, with a step here. A step that shipped never changes.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

from scnet_edge.errors import SurveyError

APPLICATION_ID = 0x53434E45  # "SCNE": tells our files from other SQLite databases

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE survey (id INTEGER PRIMARY KEY CHECK (id = 1), facts TEXT NOT NULL)",
        "CREATE TABLE observation (seq INTEGER PRIMARY KEY, record TEXT NOT NULL)",
        "CREATE TABLE gap (id INTEGER PRIMARY KEY, record TEXT NOT NULL)",
        "CREATE TABLE progress (id INTEGER PRIMARY KEY CHECK (id = 1), record TEXT NOT NULL)",
    ),
    (
        "CREATE TABLE alarm (id INTEGER PRIMARY KEY, record TEXT NOT NULL)",
        """
        CREATE VIEW finding AS SELECT
            seq,
            json_extract(record, '$.kind') AS kind,
            json_extract(record, '$.start_m') AS start_m,
            json_extract(record, '$.end_m') AS end_m,
            json_extract(record, '$.clock_from') AS clock_from,
            json_extract(record, '$.clock_to') AS clock_to,
            json_extract(record, '$.length_mm.value') AS length_mm,
            json_extract(record, '$.width_p95_mm.value') AS width_p95_mm,
            json_extract(record, '$.width_p95_px') AS width_p95_px,
            json_extract(record, '$.confidence') AS confidence,
            json_extract(record, '$.review') AS review
        FROM observation
        """,
    ),
    ("CREATE TABLE picture (file TEXT PRIMARY KEY, frame_id INTEGER NOT NULL)",),
)
VERSION = len(MIGRATIONS)
COMPANIONS = ("", "-wal", "-shm")  # of a SQLite file


def version_of(db: sqlite3.Connection) -> int:
    """Return the version of a journal's tables; 0 for a new, empty file.

    Raises:
        SurveyError: another program's database, or a newer version's journal.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    application = int(db.execute("PRAGMA application_id").fetchone()[0])
    tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if application != APPLICATION_ID and (tables or version or application):
        raise SurveyError("a database of another program, expected a survey's journal")
    if version > VERSION:
        raise SurveyError(
            f"version {version} of the journal, this program reads up to {VERSION}; "
            "update scnet-edge"
        )
    return version


def migrate(db: sqlite3.Connection) -> None:
    """Bring the tables to this version, each step in a transaction of its own.

    Raises:
        SurveyError: as `version_of`.
    """
    for version in range(version_of(db), VERSION):
        db.execute("BEGIN IMMEDIATE")
        for statement in MIGRATIONS[version]:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {version + 1}")
        db.execute("COMMIT")


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that commits through to the disk."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA wal_autocheckpoint = 200")  # pages: less to hold in reserve
    return db


def set_aside_if_corrupt(path: Path) -> Path | None:
    """Move a journal that SQLite cannot read aside; return where to, None if it is sound.

    A write-ahead log that is cut short is no damage: SQLite reads it up to its last whole commit.
    """
    if not path.exists() or _is_sound(path):
        return None
    time = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    target = path.with_name(f"{path.name}.corrupt-{time}")
    for companion in COMPANIONS:
        if (file := path.with_name(path.name + companion)).exists():
            file.rename(target.with_name(target.name + companion))
    return target


def _is_sound(path: Path) -> bool:
    try:
        with closing(connect(path)) as db:
            return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.OperationalError as e:  # refused, not damaged
        raise SurveyError(f"{path}: cannot be opened ({e})") from e
    except sqlite3.DatabaseError:
        return False
