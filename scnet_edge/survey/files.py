"""Files that are whole and on the disk when their writer returns."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from scnet_edge.errors import SurveyError

PARTIAL, LOCK = ".partial", ".lock"


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that after any crash it is either whole, or as it was before.

    Its content is on the disk then, its name once `sync_folder` returns.

    Raises:
        OSError: the disk is full or refuses; nothing is left behind.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        with partial.open("wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make the folder's names durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep_partial(folder: Path) -> None:
    """Remove what a crash left half-written."""
    for path in folder.glob(f"*{PARTIAL}"):
        path.unlink()


def lock_folder(folder: Path) -> IO[bytes]:
    """Return the open lock file, which no other process can have; closing it lets go.

    Raises:
        SurveyError: another process writes this survey.
    """
    lock = (folder / LOCK).open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise SurveyError(
            f"{folder}: another process is writing this survey; wait for it or stop it first"
        ) from None
    return lock
