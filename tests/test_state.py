"""A user's own folders may be missing; a secret is whole and private, or not there."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from scnet_edge import state
from scnet_edge.errors import ConfigError
from scnet_edge.state import make_secret, read_secret, state_folders


def test_a_secret_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    made = make_secret(path)
    assert len(made) >= 43  # 256 bits
    assert make_secret(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="0600, found 0640"):
        read_secret(path)


def test_a_full_disk_at_the_first_start_locks_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space") as e:
            make_secret(tmp_path / "secret")
    assert e.value.filename == str(tmp_path / "secret")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "secret").touch(mode=0o600)  # as version 0.2 left it
    assert make_secret(tmp_path / "secret")


def test_a_user_without_a_home_has_no_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_STATE_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(state.Path, "home", nobody)
    assert state_folders() == []
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert state_folders() == [Path("/var/lib/a/scnet-edge")]
