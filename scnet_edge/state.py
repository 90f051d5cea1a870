"""This user's own folders, which may be missing, and the secrets that are kept in them."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from scnet_edge.errors import ConfigError
from scnet_edge.files import open_plain, write_file

NAME = "scnet-edge"
SHORTEST = 22  # characters of a secret: 128 bits and more


def state_folders() -> list[Path]:
    """Return where this user's state may lie, the first first; none for a user without a home."""
    bases = [
        _folder_named("XDG_STATE_HOME") or _home(".local/state"),
        _folder_named("STATE_DIRECTORY"),
    ]
    return [base / NAME for base in bases if base is not None]


def read_secret(path: Path) -> str | None:
    """Return the secret in a file that nobody else may read; None where there is none.

    Raises:
        ConfigError: others may read it, or it is a link.
        OSError: it cannot be read.
    """
    try:
        fd = open_plain(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as f:
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
        text = f.read(4096).decode("ascii", "replace").strip()
    if mode & 0o077:
        raise ConfigError(f"{path}: expected a file of mode 0600, found {mode:04o}; chmod 600 it")
    if text and len(text) < SHORTEST:
        raise ConfigError(
            f"{path}: expected a secret of {SHORTEST} characters or more; delete the file"
        )
    return text or None  # empty: an older version's first start found the disk full


def make_secret(path: Path) -> str:
    """Return the secret in a file, made at the first call; 256 bits, mode 0600, whole or not there.

    Raises:
        ConfigError: as `read_secret`.
        OSError: it cannot be written; nothing is left that would be in the way later.
    """
    if (known := read_secret(path)) is not None:
        return known
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_file(path, f"{secrets.token_urlsafe(32)}\n".encode(), mode=0o600)
    made = read_secret(path)  # another process may have been later, so that its secret counts
    assert made is not None
    return made


def _folder_named(variable: str) -> Path | None:
    """Return the folder that the environment names; systemd may name several."""
    value = os.environ.get(variable, "").partition(":")[0]
    return Path(value) if value.startswith("/") else None


def _home(below: str) -> Path | None:
    try:
        return Path.home() / below
    except RuntimeError:  # no HOME, and no entry in the list of users
        return None
