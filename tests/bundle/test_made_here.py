"""Compiled code runs only where this user's key has sealed it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scnet_edge.bundle.made_here import KEY, NotMadeHere, require_made_here, seal
from scnet_edge.errors import EngineError


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "bundle" / "device" / "openvino-1"
    folder.mkdir(parents=True)
    (folder / "compiled.json").write_text('{"files": {}}')
    return folder


def test_what_was_sealed_here_runs_here(code: Path, tmp_path: Path) -> None:
    with pytest.raises(NotMadeHere, match="not compiled by this user on this machine"):
        require_made_here(code)
    seal(code)
    require_made_here(code)
    moved = shutil.copytree(code, tmp_path / "another" / "device" / "openvino-1")
    require_made_here(moved)


def test_what_was_sealed_elsewhere_or_altered_does_not(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(code)
    (code / "compiled.json").write_text('{"files": {"evil.blob": "00"}}')
    with pytest.raises(NotMadeHere):
        require_made_here(code)
    seal(code)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    with pytest.raises(NotMadeHere):
        require_made_here(code)


def test_a_service_is_given_the_key(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(code)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    shutil.copy2(tmp_path / "state" / "scnet-edge" / KEY, credentials / KEY)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of the service"))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    require_made_here(code)


def test_without_a_place_for_the_key_it_is_one_line(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nope")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    with pytest.raises(EngineError, match="cannot be sealed as made here: /proc/nope"):
        seal(code)
