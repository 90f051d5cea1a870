"""Room on the disk, kept for the records when it runs out: pictures stop first."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

from scnet_edge.files import free_bytes

VIDEO_ROOM_BYTES = 256 * 2**20  # the video and the replay file stop with less than this free
MASKS_ROOM_BYTES = 128 * 2**20  # then the masks; records are written to the last byte


def require_room(folder: Path, room_bytes: int) -> None:
    """Raise OSError unless the file system of `folder` has that much free."""
    if free_bytes(folder) < room_bytes:
        mib = room_bytes / 2**20
        raise OSError(
            errno.ENOSPC, f"less than {mib:g} MiB free, kept for the records", str(folder)
        )


def require_writable(folder: Path) -> None:
    """Raise OSError unless a file can be made in `folder`, by making one."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as e:
        raise OSError(e.errno, e.strerror, str(folder)) from e


def free_path(path: Path) -> Path:
    """Return the path, or the first of NAME-001.SUFFIX, NAME-002.SUFFIX, ... that is not taken."""
    found, number = path, 0
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}-{number:03d}{path.suffix}")
    return found
