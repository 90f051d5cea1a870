"""Files that are whole and on the disk when their writer returns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from scnet_edge.errors import SurveyError
from scnet_edge.folders import lock_folder

PARTIAL = ".partial"


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


def lock_survey(folder: Path) -> IO[bytes]:
    """Return the open lock file of a survey, which no other process can have.

    Raises:
        SurveyError: another process writes this survey.
    """
    reason = "another process is writing this survey; wait for it or stop it first"
    return lock_folder(folder, SurveyError(f"{folder}: {reason}"))
