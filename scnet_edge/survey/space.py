"""Room on the disk: a reserve for the journal, and when pictures have to stop."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from scnet_edge.files import open_plain

MIB = 2**20


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
