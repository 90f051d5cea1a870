"""The journal's file: its tables, the steps that bring an older journal up to date, and its room.

Records are JSON in one column, checked by `msgspec` when read: a change of a record's fields that
older code cannot read is a new version, with a step here. A step that shipped never changes.

A reserve on the disk holds room for records; pictures and masks stop while there is still some.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path
from typing import Any

from scnet_edge.errors import SurveyError
from scnet_edge.files import open_plain

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
    ("CREATE TABLE change (id INTEGER PRIMARY KEY, record TEXT NOT NULL, mask BLOB)",),
)
VERSION = len(MIGRATIONS)
MAX_BYTES = 512 * 2**20
MAX_ROWS = 1_000_000  # of a table; a gap a second for eleven days
COMPANIONS = ("", "-wal", "-shm")  # of a SQLite file
MIB = 2**20


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
    require_own_tables(db)
    return version


def require_own_tables(db: sqlite3.Connection) -> None:
    """Raise SurveyError where a table, view or trigger is another than the steps above make.

    A view in a table's place may have rows without end, a trigger does what its maker likes.
    """
    known = {" ".join(statement.split()) for step in MIGRATIONS for statement in step}
    for name, sql in db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"):
        if " ".join(_text(sql).split()) not in known:
            raise SurveyError(
                f"{_text(name)!r} is in no survey's journal; it is another's, or altered"
            )


def bounded(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a table, as many and as large as a journal's file can hold.

    Raises:
        SurveyError: there are more: pages that lead back to each other are a table without end.
    """
    size = 0
    for count, row in enumerate(rows):
        size += sum(len(cell) for cell in row if isinstance(cell, (str, bytes)))
        if count >= MAX_ROWS or size > MAX_BYTES:
            raise SurveyError(f"a table of over {MAX_ROWS} rows or {MAX_BYTES >> 20} MiB")
        yield row


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


def migrate(db: sqlite3.Connection) -> None:
    """Bring the tables to this version, in one transaction.

    Raises:
        SurveyError: as `version_of`.
    """
    version = version_of(db)
    if version == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    for statement in chain.from_iterable(MIGRATIONS[version:]):
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that commits through to the disk."""
    require_plain(path)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    db.text_factory = bytes  # what is damaged may be no UTF-8
    try:
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA wal_autocheckpoint = 100")  # pages: less to hold in reserve
    except sqlite3.Error:
        db.close()
        raise
    return db


def require_plain(path: Path) -> None:
    """Raise SurveyError where a journal's file is a link, which leads out, or has no end.

    A file of some years holds some megabytes.
    """
    for file in (path.with_name(path.name + companion) for companion in COMPANIONS):
        try:
            found = file.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise SurveyError(f"{file}: expected a plain file, found a link or a device")
        if found.st_size > MAX_BYTES:
            raise SurveyError(f"{file}: expected at most {MAX_BYTES >> 20} MiB")


def aside(path: Path) -> Path:
    """Return a free name for a journal that is damaged."""
    time = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    return path.with_name(f"{path.name}.corrupt-{time}")


def set_aside_if_corrupt(path: Path) -> Path | None:
    """Move a journal that SQLite cannot read aside; return where to, None if it is sound.

    A write-ahead log that is cut short is no damage: SQLite reads it up to its last whole commit.
    """
    if not path.exists() or _is_sound(path):
        return None
    target = aside(path)
    for companion in COMPANIONS:
        if (file := path.with_name(path.name + companion)).exists():
            file.rename(target.with_name(target.name + companion))
    return target


def _is_sound(path: Path) -> bool:
    try:
        with closing(connect(path)) as db:
            return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == b"ok")
    except sqlite3.OperationalError as e:  # refused, not damaged
        raise SurveyError(f"{path}: cannot be opened ({e})") from e
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # a message may repeat a damaged name
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLimits:
    """Bytes that must be free for a picture, then for a mask; and what the journal holds back.

    A record takes about 2 kB, so the reserve is good for some thousands after the disk is full.
    """

    snapshot_bytes: int = 64 * MIB
    mask_bytes: int = 16 * MIB
    reserve_bytes: int = 8 * MIB


class Reserve:
    """A file that only holds room, given back bit by bit when the disk is full otherwise.

    Attributes:
        size_bytes: what it holds now.
    """

    def __init__(self, path: Path, full_bytes: int) -> None:
        self._path = path
        self._full_bytes = full_bytes
        self._step_bytes = max(full_bytes // 16, 4096)
        self.size_bytes = path.stat().st_size if path.exists() else 0

    @property
    def is_full(self) -> bool:
        """Whether all of it is held."""
        return self.size_bytes >= self._full_bytes

    def fill(self) -> bool:
        """Take what is missing from the disk; return whether all of it is held now."""
        if self.is_full:
            return True
        try:
            with os.fdopen(open_plain(self._path, os.O_RDWR | os.O_CREAT), "r+b") as f:
                os.posix_fallocate(f.fileno(), 0, self._full_bytes)
        except OSError:
            self._cut(self.size_bytes)
            return False
        self.size_bytes = self._full_bytes
        return True

    def release(self) -> bool:
        """Give a sixteenth back to the disk; return whether there was anything left to give."""
        if not self.size_bytes:
            return False
        return self._cut(max(0, self.size_bytes - self._step_bytes))

    def _cut(self, size_bytes: int) -> bool:
        try:
            if self._path.exists():
                with os.fdopen(open_plain(self._path, os.O_RDWR), "r+b") as f:
                    f.truncate(size_bytes)
        except OSError:  # a disk that takes nothing at all, not even this
            return False
        self.size_bytes = size_bytes
        return True
