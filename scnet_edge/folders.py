"""Output folders that are whole or not there at all, places to write to, locks, and hashes."""

from __future__ import annotations

import fcntl
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from scnet_edge.errors import ConfigError, ScnetEdgeError

LOCK = ".lock"


def check_file(path: Path) -> None:
    """Raise ConfigError unless `path` is free for a file, or one, in a folder that exists."""
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigError(f"{path}: expected a file to write in a folder that exists")


def check_folder(path: Path) -> None:
    """Raise ConfigError where something that is no folder is in the way of a folder `path`."""
    there = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not there.is_dir():
        raise ConfigError(
            f"{there}: expected a folder to write, found something else; name another"
        )


def lock_folder(folder: Path, busy: ScnetEdgeError) -> IO[bytes]:
    """Return the open lock file, which nobody else can have; closing it, or dying, lets go.

    Raises:
        ScnetEdgeError: `busy`, where another process has it.
    """
    lock = (folder / LOCK).open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise busy from None
    return lock


def file_sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    with path.open("rb") as f:
        digest = hashlib.sha256()
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def new_folder(out: Path, *, marker: str, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside `out` that takes its name when the block ends well.

    Args:
        out: A folder that does not exist, is empty, or may be replaced.
        marker: A file that a folder of ours holds; without it nothing is ever overwritten.
        overwrite: Replace an older folder.

    Raises:
        ConfigError: `out` is in the way.
    """
    _check_free(out, marker, overwrite)
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
        folder = Path(temporary) / out.name
        folder.mkdir()
        yield folder
        if out.exists():
            out.rename(Path(temporary) / "older")
        folder.rename(out)


def _check_free(out: Path, marker: str, overwrite: bool) -> None:
    if not out.exists() and not out.is_symlink():
        above = next(parent for parent in out.absolute().parents if parent.exists())
        if not above.is_dir():
            raise ConfigError(f"{above}: expected a folder, found a file; name another")
        return
    if out.is_symlink() or not out.is_dir():
        raise ConfigError(f"{out}: expected a folder to write, found something else; name another")
    if out.samefile(Path.cwd()):
        raise ConfigError(f"{out}: you are in it, so it cannot be replaced; name a new folder")
    if not any(out.iterdir()):
        return
    if not overwrite:
        raise ConfigError(f"{out}: not empty; name another folder or pass --overwrite")
    if not (out / marker).is_file():
        raise ConfigError(f"{out}: holds no {marker}, so it is not ours to overwrite")
