"""A file that is replaced is whole, whenever the power goes."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from scnet_edge.config import read_json, replace_json


class Note(msgspec.Struct):
    text: str


def test_bytes_reach_the_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "note.json", []
    replace_json(path, Note(text="older"))

    def fsync(fd: int) -> None:
        assert read_json(path, Note).text == "older"
        synced.append(Path(f"/proc/self/fd/{fd}").resolve())

    monkeypatch.setattr(os, "fsync", fsync)
    replace_json(path, Note(text="newer"))
    assert synced == [tmp_path / "note.json.tmp"]
    assert read_json(path, Note).text == "newer"
    assert list(tmp_path.iterdir()) == [path]
