"""A disk that refuses in the middle of a part: nothing is written behind a tear, nothing leaks."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mcap.reader import make_reader
from sink_frames import frame_result, recorder

from scnet_edge.sinks.mcap_file import McapFile
from scnet_edge.sinks.recover import recover_file


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch, *, room_bytes: int) -> Iterator[None]:
    """Let every file take so many bytes more at first, then none."""
    write, room = os.write, room_bytes

    def refuse(fd: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(fd, data[:room])
        room -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        yield


def put(sink: McapFile, first: int, last: int) -> None:
    for i in range(first, last):
        sink.put(sink.prepare(frame_result(i)))


def frame_ids(path: Path) -> list[int]:
    with path.open("rb") as f:
        messages = make_reader(f, validate_crcs=True).iter_messages(topics=["/frames"])
        return [json.loads(message.data)["frame_id"] for _, _, message in messages]


def test_what_follows_a_torn_chunk_is_in_a_part_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = McapFile(tmp_path / "run.mcap", recorder(), room_bytes=0)
    put(sink, 0, 5)
    sink.flush()
    put(sink, 5, 6)
    with full_disk(monkeypatch, room_bytes=500), pytest.raises(OSError, match="No space"):
        sink.flush()
    put(sink, 6, 20)
    sink.close()
    recover_file(tmp_path / "run.mcap", tmp_path / "whole.mcap")
    assert frame_ids(tmp_path / "whole.mcap") == list(range(5))
    assert frame_ids(tmp_path / "run-001.mcap") == list(range(6, 20))


def test_a_part_that_cannot_be_begun_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = McapFile(tmp_path / "run.mcap", recorder(), room_bytes=0)
    put(sink, 0, 1)
    with full_disk(monkeypatch, room_bytes=0), pytest.raises(OSError, match="No space"):
        sink.flush()
    before = open_files()
    with full_disk(monkeypatch, room_bytes=10):
        for i in range(20):
            with pytest.raises(OSError, match="No space"):
                put(sink, i, i + 1)
    assert open_files() == before
    assert [path.name for path in tmp_path.iterdir()] == ["run.mcap"]
    put(sink, 20, 21)
    sink.close()
    assert frame_ids(tmp_path / "run-001.mcap") == [20]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
