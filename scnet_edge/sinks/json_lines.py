"""JSON lines that survive a power cut: whole lines alone, synced to the disk every second."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec

from scnet_edge.events import Event
from scnet_edge.files import open_plain
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.sinks.recover import cut_torn_tail
from scnet_edge.sinks.run_records import Recorder


class JsonLines:
    """An `Outlet` that appends one line for every frame and event; a torn end is cut off first."""

    depth = 256

    def __init__(self, path: Path, recorder: Recorder) -> None:
        self._recorder = recorder
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            cut_torn_tail(path)
        self._path, self._fd = path, _open(path)
        self._synced = True
        self.put(msgspec.json.encode(recorder.run) + b"\n")

    def prepare(self, item: FrameResult | Event) -> bytes:
        """Return the line."""
        return msgspec.json.encode(self._recorder.record(item)) + b"\n"

    def put(self, line: bytes) -> None:
        """Append a line, or nothing at all."""
        found = os.fstat(self._fd)
        if not found.st_nlink:
            self._begin_anew()
            raise OSError(errno.ENOENT, "its file was removed, and is begun anew", str(self._path))
        start = found.st_size
        self._synced = False
        try:
            written = os.write(self._fd, line)
            while written < len(line):  # a disk that fills up takes a part, then refuses
                written += os.write(self._fd, line[written:])
        except OSError:
            os.ftruncate(self._fd, start)
            raise

    def _begin_anew(self) -> None:
        """Open the file once more, where it was: what was written to the other one is gone."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        os.close(self._fd)
        self._fd = _open(self._path)
        self.put(msgspec.json.encode(self._recorder.run) + b"\n")

    def flush(self) -> None:
        """Bring what was written to the disk."""
        if not self._synced:
            os.fsync(self._fd)
            self._synced = True

    def close(self) -> None:
        """Sync and close."""
        try:
            self.flush()
        finally:
            os.close(self._fd)


def _open(path: Path) -> int:
    return open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
