"""What a person says of a record: the only change that one may ever see, and how to take it back.

Each change is kept with who made it and when, and with the record and the mask as they were. That
comes onto the disk first, then the mask, then the record: a crash in between loses nothing.
"""

from __future__ import annotations

import getpass
import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace

from scnet_edge.errors import ConfigError, SurveyError
from scnet_edge.inspection.records import Kind, Observation, Opening, Review
from scnet_edge.survey.database import bounded, connect, migrate
from scnet_edge.survey.evidence import (
    encode_mask,
    read_crack_mask,
    read_mask_file,
    remove_crack_mask,
    write_crack_mask,
    write_sidecar,
)
from scnet_edge.survey.facts import Change
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import JOURNAL, lock_survey
from scnet_edge.survey.mend import decode_row
from scnet_edge.types import Mask

MASK, CODE, CLOCK = "mask_corrected", "code_corrected", "clock_corrected"  # flags of a record
MOST_NAME, MOST_REMARKS = 80, 2000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A record as it shall be, and its mask, as `encode_mask` gives it, where that changes."""

    after: Observation
    mask: bytes | None = None


def review_record(
    folder: Path,
    seq: int,
    *,
    by: str | None = None,
    verdict: Review | None = None,
    remarks: str | None = None,
    kind: Kind | None = None,
    opening: Opening | None = None,
    clock_h: tuple[float, float] | None = None,
    mask: Mask | None = None,
) -> Observation:
    """Record what a person says of an observation, durably, and return it as it is now.

    What is None stays. Whoever corrects the code, the clock or the mask accepts the record, unless
    a verdict says otherwise; its measured figures stay those of the program.

    Args:
        folder: the survey's, which nobody may be writing.
        seq: the number of the observation.
        by: who says so; None for the name of this machine's user.
        clock_h: from and to, clockwise, in hours of [0, 12).
        mask: the crack in the record's picture, (h, w) bool.

    Raises:
        SurveyError: no survey, none with this number, or a survey that is being written.
        ConfigError: a clock position, a name or remarks that cannot be.
    """
    name = name_reviewer(by)
    if remarks is not None and len(remarks) > MOST_REMARKS:
        raise ConfigError(f"expected remarks of up to {MOST_REMARKS} characters")
    with _open_for_change(folder) as db:
        old = _read_observation(db, folder, seq)
        new = old
        if (kind or old.kind) != old.kind or (opening or old.opening) != old.opening:
            new = _flag(new, CODE, kind=kind or old.kind, opening=opening or old.opening)
        if clock_h is not None and clock_h != (old.clock_from, old.clock_to):
            new = _turn(new, clock_h)
        if mask is not None:
            before = read_crack_mask(folder, old)
            mask = None if before is not None and np.array_equal(before, mask) else mask
        if mask is not None:
            new = _flag(new, MASK)
        said = verdict or ("accepted" if new is not old else old.review)
        new = replace(new, review=said, remarks=old.remarks if remarks is None else remarks)
        drawn = None if mask is None else encode_mask(mask)
        [now] = _write(db, folder, [Edit(after=new, mask=drawn)], name)
    return now


def edit(folder: Path, edits: Sequence[Edit], *, by: str | None = None) -> None:
    """Record edits of several observations, all of them or none; `by` as in `review`.

    Raises:
        SurveyError: no survey, or one that is being written.
    """
    with _open_for_change(folder) as db:
        _write(db, folder, edits, name_reviewer(by))


def undo_review(folder: Path, *, by: str | None = None) -> Observation:
    """Take back the last change of a person that stands, and return the observation as it is now.

    Raises:
        SurveyError: there is none, or another person has changed the record since.
    """
    name = name_reviewer(by)
    with _open_for_change(folder) as db:
        number, change, png = _find_last(db, folder, name)
        now = None if png is None else read_mask_file(folder, change.before.seq)
        _write_change(db, folder, change.before.seq, name, now, undoes=number)
        if png:
            write_crack_mask(folder, change.before.seq, png)
        elif png is not None:
            remove_crack_mask(folder, change.before.seq)
        _update(db, [change.before])
        write_sidecar(folder, change.before)
    return change.before


def name_reviewer(by: str | None) -> str:
    """Return a reviewer's name; this machine's user for None.

    Raises:
        ConfigError: the user has none, or it is too long or not printable.
    """
    if by is None:
        try:
            by = getpass.getuser()
        except (OSError, KeyError):
            raise ConfigError("this user has no name; say --by NAME") from None
    name = by.strip()
    if not 0 < len(name) <= MOST_NAME or not name.isprintable():
        raise ConfigError(f"expected a name of 1 to {MOST_NAME} printable characters")
    return name


def check_clock(clock_h: tuple[float, float]) -> None:
    """Raise ConfigError where two clock positions are not hours in [0, 12)."""
    if not all(math.isfinite(hour) and 0 <= hour < 12 for hour in clock_h):
        raise ConfigError(f"clock {clock_h}: expected two hours from 0 (the crown) to below 12")


@contextmanager
def _open_for_change(folder: Path) -> Iterator[sqlite3.Connection]:
    """Hold a survey and its open journal, brought up to date."""
    read_survey(folder)  # says what is wrong with it
    try:
        with closing(lock_survey(folder)), closing(connect(folder / JOURNAL)) as db:
            migrate(db)
            yield db
    except sqlite3.OperationalError as e:
        reason = f"the change could not be written ({e}); it is not recorded"
        raise SurveyError(f"{folder / JOURNAL}: {reason}") from e
    except OSError as e:
        reason = f"the change could not be written ({e.strerror}); it is not recorded"
        raise SurveyError(f"{folder}: {reason}") from e


@contextmanager
def _commit_together(db: sqlite3.Connection) -> Iterator[None]:
    """Put statements into one transaction; closing the connection takes back what is not whole."""
    db.execute("BEGIN IMMEDIATE")
    yield
    db.execute("COMMIT")


def _write(
    db: sqlite3.Connection, folder: Path, edits: Sequence[Edit], by: str
) -> list[Observation]:
    """Write what was before, then the masks, then the records, which are accepted no earlier."""
    utc = datetime.now(timezone.utc).isoformat(timespec="seconds")
    now = [replace(one.after, reviewed_by=by, reviewed_utc=utc) for one in edits]
    masks = {one.after.seq: one.mask for one in edits if one.mask is not None}
    with _commit_together(db):
        for record in now:
            before = read_mask_file(folder, record.seq) if record.seq in masks else None
            _write_change(db, folder, record.seq, by, before, utc=utc)
        half_done = [record for record in now if record.seq in masks]
        _update(db, [replace(record, review="needs_review") for record in half_done])
    for seq, mask in masks.items():
        write_crack_mask(folder, seq, mask)
    with _commit_together(db):
        _update(db, now)
    for record in now:
        write_sidecar(folder, record)
    return now


def _write_change(
    db: sqlite3.Connection,
    folder: Path,
    seq: int,
    by: str,
    mask: bytes | None,
    *,
    utc: str | None = None,
    undoes: int | None = None,
) -> None:
    before = _read_observation(db, folder, seq)
    utc = utc or datetime.now(timezone.utc).isoformat(timespec="seconds")
    record = msgspec.json.encode(Change(by=by, utc=utc, before=before, undoes=undoes)).decode()
    db.execute("INSERT INTO change (record, mask) VALUES (?, ?)", (record, mask))


def _update(db: sqlite3.Connection, records: Sequence[Observation]) -> None:
    for one in records:
        text = msgspec.json.encode(one).decode()
        db.execute("UPDATE observation SET record = ? WHERE seq = ?", (text, one.seq))


def _read_observation(db: sqlite3.Connection, folder: Path, seq: int) -> Observation:
    row = db.execute("SELECT record FROM observation WHERE seq = ?", (seq,)).fetchone()
    if row is None:
        [count] = db.execute("SELECT ifnull(max(seq), 0) FROM observation").fetchone()
        raise SurveyError(f"{folder}: no observation {seq}, expected one of 1 to {count}")
    return decode_row(row[0], Observation)


def _find_last(db: sqlite3.Connection, folder: Path, by: str) -> tuple[int, Change, bytes | None]:
    """Return the last change of a person that stands, with its number and the mask before it."""
    undone, later = set[int](), dict[int, str]()
    changes = db.execute("SELECT id, record, mask FROM change ORDER BY id DESC")
    for number, record, mask in bounded(changes):
        change = decode_row(record, Change)
        if change.undoes is not None:
            undone.add(change.undoes)
        elif number not in undone and change.by == by:
            if other := later.get(change.before.seq):
                seq = change.before.seq
                raise SurveyError(f"{folder}: {other} has changed observation {seq} since")
            return number, change, mask
        elif number not in undone:
            later.setdefault(change.before.seq, change.by)
    raise SurveyError(f"{folder}: nothing to undo for {by}")


def _flag(record: Observation, flag: str, **changes: object) -> Observation:
    return replace(record, flags=tuple(dict.fromkeys((*record.flags, flag))), **changes)


def _turn(record: Observation, clock_h: tuple[float, float]) -> Observation:
    """Return a record at another clock position; its outline is turned with it."""
    check_clock(clock_h)
    outline = record.outline_m_h
    if record.clock_from is not None and record.clock_to is not None:
        turn_h = _middle(*clock_h) - _middle(record.clock_from, record.clock_to)
        outline = tuple((along_m, (hour + turn_h) % 12) for along_m, hour in outline)
    values = {"clock_from": clock_h[0], "clock_to": clock_h[1], "outline_m_h": outline}
    return _flag(record, CLOCK, **values)


def _middle(clock_from: float, clock_to: float) -> float:
    return clock_from + (clock_to - clock_from) % 12 / 2
