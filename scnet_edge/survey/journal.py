"""The system of record: a SQLite file, committed to the disk before anything is acknowledged.

    SURVEY/
      survey.db            the journal, in WAL mode with full synchronous commits
      reserve              room held back, so that a full disk stops pictures first
      snapshots/000001.jpg .png .json   the frame, the crack's mask, and the record once more

An observation's row is written after its files are durable. A journal that cannot be read is moved
aside as `survey.db.corrupt-TIME`, and a new one is filled from the records beside the snapshots.
While the disk refuses, what is pending stays in memory and is tried again by every `commit`.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

import msgspec

from scnet_edge.errors import SurveyError
from scnet_edge.files import make_subfolder, sweep_partial
from scnet_edge.folders import lock_folder
from scnet_edge.inspection.records import Gap, Observation
from scnet_edge.survey.database import DiskLimits, Reserve, connect, migrate, set_aside_if_corrupt
from scnet_edge.survey.evidence import SNAPSHOTS, read_sidecars, remove_evidence
from scnet_edge.survey.facts import Alarm, Facts, Progress, SeenPicture, progress_behind
from scnet_edge.survey.mend import Mended, decode_row, mend_records

JOURNAL, RESERVE = "survey.db", "reserve"
# What SQLite says when the disk refuses; anything else that is operational is our own bug.
REFUSALS = ("full", "I/O error", "readonly", "unable to open", "locked")

logger = logging.getLogger(__name__)


def removed_message(folder: Path) -> str:
    """Return what is to be said of a survey whose files are gone while it is written."""
    return f"{folder}: the survey was removed while it was written; inspect into another folder"


def lock_survey(folder: Path) -> IO[bytes]:
    """Return the open lock file of a survey, which no other process can have.

    Raises:
        SurveyError: another process writes this survey.
    """
    reason = "another process is writing this survey; wait for it or stop it first"
    return lock_folder(folder, SurveyError(f"{folder}: {reason}"))


class Journal:
    """An open journal, held by one process. One thread at a time.

    Attributes:
        folder: the survey's folder.
        facts: what the survey says of itself.
        progress: how far it has come; None at the start.
        acknowledged: the highest `seq` that is on the disk; 0 for none.
        pictures: the picture files that were looked at, with their numbers.
        pending: what the disk has refused so far, kept in memory.
    """

    def __init__(
        self,
        folder: Path,
        facts: Facts,
        *,
        limits: DiskLimits = DiskLimits(),  # noqa: B008
        replays: bool = False,
    ) -> None:
        """Create the journal, or resume the one that is there.

        Args:
            folder: the survey's; made if it does not exist.
            facts: of a new survey; one that is there keeps its own.
            limits: of the room on the disk.
            replays: the source can be read again from the last progress. A record beside a
                snapshot that never came into the journal is then dropped, else taken in.

        Raises:
            SurveyError: another program's file, a newer version's, or in use.
        """
        self.folder, self.facts, self.limits = folder, facts, limits
        self.progress: Progress | None = None
        self.acknowledged = 0
        self.pending: list[Observation | Gap | Alarm | SeenPicture | Progress] = []
        self._last_alarm: tuple[str, str] | None = None
        self._db: sqlite3.Connection | None = None
        make_subfolder(folder, SNAPSHOTS)
        self._lock = lock_survey(folder)
        sweep_partial(folder / SNAPSHOTS)
        try:
            moved = set_aside_if_corrupt(folder / JOURNAL)
            mended = self._resume()
            self.reserve = Reserve(folder / RESERVE, limits.reserve_bytes)
            reserved = self.reserve.fill()
        except BaseException:
            self._disconnect()
            self._lock.close()
            raise
        if not reserved:
            self.alarm("disk_full", "no room for the journal's reserve")
        if moved is not None:
            self.alarm("journal_corrupt", f"could not be read, is now {moved.name}")
        if mended is not None:
            self.alarm(
                "journal_corrupt",
                f"{mended.damaged} damaged records, {mended.restored} of them restored from beside "
                f"their snapshots; the journal as it was is {mended.kept_as.name}",
            )
        if moved is None and replays:
            remove_evidence(folder, after_seq=self.acknowledged)
        else:
            self._adopt(rewound=moved is not None)

    @property
    def next_seq(self) -> int:
        """The number of the next observation."""
        waiting = [o.seq for o in self.pending if isinstance(o, Observation)]
        return max([self.acknowledged, *waiting]) + 1

    def commit(
        self,
        *,
        observations: Sequence[Observation] = (),
        gaps: Sequence[Gap] = (),
        pictures: Sequence[SeenPicture] = (),
        progress: Progress | None = None,
    ) -> bool:
        """Write these and all that is pending, in one transaction, through to the disk.

        Returns:
            True once all of it is durable; False if the disk refuses and it is kept for later.
        """
        for observation in observations:
            assert observation.seq > self.acknowledged, "a record that is on the disk stays"
        self.pending += [*observations, *gaps, *pictures]
        self.pending += [] if progress is None else [progress]
        if not self.pending:
            return True
        refused = self._attempt()
        while refused is not None and "full" in str(refused) and self.reserve.release():
            refused = self._attempt()
        if refused is None:
            self.acknowledged = self.next_seq - 1
            self.progress = next(
                (p for p in reversed(self.pending) if isinstance(p, Progress)), self.progress
            )
            self.pictures |= {
                seen.file: seen.frame_id for seen in self.pending if isinstance(seen, SeenPicture)
            }
            self.pending.clear()
        else:
            logger.warning("%s: %d records wait: %s", self.folder, len(self.pending), refused)
        return refused is None

    def alarm(self, reason: str, detail: str, *, log: bool = True) -> None:
        """Record something that a person must know of; the same once, not over and over.

        `log` is for what is not shown as an event anyway.
        """
        if (reason, detail) == self._last_alarm:
            return
        self._last_alarm = (reason, detail)
        if log:
            logger.warning("%s: %s: %s", self.folder, reason, detail)
        utc = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.pending.append(Alarm(utc=utc, reason=reason, detail=detail))
        self.commit()

    def close(self) -> None:
        """Write what is pending and let go of the file; calling it twice is harmless.

        Raises:
            SurveyError: the disk still refuses, so that records are lost.
        """
        try:
            written = self.commit()
        finally:
            self._disconnect()
            self._lock.close()
        if not written:
            raise SurveyError(
                f"{self.folder / JOURNAL}: the disk refuses {len(self.pending)} records, "
                "expected room for them; free some and run the survey again, it resumes"
            )

    def __enter__(self) -> Journal:
        """Return itself."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Close it."""
        self.close()

    def _resume(self) -> Mended | None:
        """Bring the tables up to date and read where the survey stood; return what was mended."""
        try:
            db = self._connect()
            migrate(db)
            mended = mend_records(db, self.folder, self.folder / JOURNAL)
            stored = db.execute("SELECT facts FROM survey").fetchone()
            if stored is None:
                db.execute("INSERT INTO survey VALUES (1, ?)", (_json(self.facts),))
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # no torn log can take its name
            row = db.execute("SELECT record FROM progress").fetchone()
            last = db.execute("SELECT ifnull(max(seq), 0) FROM observation").fetchone()[0]
            seen = db.execute("SELECT file, frame_id FROM picture")
            self.pictures = {file.decode("utf-8", "replace"): number for file, number in seen}
        except (SurveyError, sqlite3.OperationalError) as e:
            raise SurveyError(f"{self.folder / JOURNAL}: {e}") from None
        if stored is not None:
            self.facts = decode_row(stored[0], Facts)
        self.progress = None if row is None else decode_row(row[0], Progress)
        self.acknowledged = int(last)
        return mended

    def _adopt(self, *, rewound: bool) -> None:
        """Take in the records beside the snapshots that the journal does not hold."""
        found = read_sidecars(self.folder, after_seq=self.acknowledged)
        if not found:
            return
        progress = progress_behind(found)
        seen = [
            SeenPicture(file=o.photograph.file, frame_id=o.best_frame_id)
            for o in found
            if o.photograph is not None
        ]
        self.commit(observations=found, pictures=seen, progress=progress if rewound else None)
        self.alarm(
            "records_restored",
            f"{len(found)} observations, up to frame {progress.frame_id}, from the files beside "
            "their snapshots; what was in view just then may be missing",
        )

    def _attempt(self) -> sqlite3.OperationalError | None:
        """Write all that is pending; return what the disk says where it refuses."""
        if not (self.folder / JOURNAL).exists():  # SQLite would write on, into nothing
            raise SurveyError(removed_message(self.folder))
        try:
            db = self._connect()
            db.execute("BEGIN IMMEDIATE")
            for value in self.pending:
                db.execute(_INSERT[type(value)], (_json(value),))
            db.execute("COMMIT")
        except sqlite3.OperationalError as e:
            self._disconnect()  # a connection is not to be trusted after an I/O error
            if not any(refusal in str(e) for refusal in REFUSALS):
                raise
            return e
        return None

    def _connect(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = connect(self.folder / JOURNAL)
        return self._db

    def _disconnect(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.OperationalError):
                self._db.close()
        self._db = None


_INSERT: dict[type, str] = {
    Observation: "INSERT OR REPLACE INTO observation VALUES (json_extract(?1, '$.seq'), ?1)",
    Gap: "INSERT INTO gap (record) VALUES (?)",
    SeenPicture: "INSERT OR REPLACE INTO picture VALUES "
    "(json_extract(?1, '$.file'), json_extract(?1, '$.frame_id'))",
    Alarm: "INSERT INTO alarm (record) VALUES (?)",
    Progress: "INSERT OR REPLACE INTO progress VALUES (1, ?)",
}


def _json(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()
