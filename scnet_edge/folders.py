"""Output folders that are whole or not there at all, places to write to, locks, and hashes."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from scnet_edge.errors import ConfigError, ScnetEdgeError
from scnet_edge.files import PARTIAL, open_plain, partial_folder, sync_folder

LOCK = ".lock"
AT_FDCWD, RENAME_EXCHANGE = -100, 2


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
        ConfigError: the lock is a link.
    """
    lock = os.fdopen(open_plain(folder / LOCK, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab")
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
def new_folder(
    out: Path, *, marker: str, names: Collection[str] = (), overwrite: bool = False
) -> Iterator[Path]:
    """Yield a temporary folder that takes the name `out` when the block ends well.

    It lies beside `out`, and changes places with an older one in one step. Where `out` itself
    cannot be renamed, because it is a mounted volume or the current folder, it lies inside, and
    what it holds is moved into `out` name by name, the marker last.

    Args:
        out: A folder that does not exist, is empty, or may be replaced.
        marker: A file that a folder of ours holds; without it nothing is ever overwritten.
        names: All that a folder of ours may hold; one with something else is not overwritten.
            Empty: whatever lies beside the marker is ours.
        overwrite: Replace an older folder.

    Raises:
        ConfigError: `out` is in the way.
    """
    _check_free(out, marker, names, overwrite)
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    fixed = out.exists() and (
        out.is_mount() or out == Path.cwd() or not os.access(out.parent, os.W_OK)
    )
    with partial_folder(out / out.name if fixed else out) as temporary:
        folder = temporary / out.name
        folder.mkdir()
        yield folder
        _sync_tree(folder)
        if fixed:
            _move_into(folder, out, marker)
        else:
            _put(folder, out)
        sync_folder(out if fixed else out.parent)


def _put(folder: Path, out: Path) -> None:
    """Give a folder the name `out`; what had it before takes the old name."""
    if not out.exists():
        folder.rename(out)
    elif not _exchange(folder, out):
        out.rename(folder.with_name(f"{folder.name}.older"))
        folder.rename(out)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; return whether the system and the disk can."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    first, second = os.fsencode(one), os.fsencode(other)
    return bool(rename(AT_FDCWD, first, AT_FDCWD, second, ctypes.c_uint(RENAME_EXCHANGE)) == 0)


def _move_into(folder: Path, out: Path, marker: str) -> None:
    """Replace what `out` holds, but for `folder`; without the marker it is nobody's."""
    (out / marker).unlink(missing_ok=True)
    for old in out.iterdir():
        if old == folder.parent:
            continue
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    for made in sorted(folder.iterdir(), key=lambda path: path.name == marker):
        made.rename(out / made.name)


def _sync_tree(folder: Path) -> None:
    """Bring every file and name in a folder to the disk."""
    for root, _, files in os.walk(folder):
        for name in files:
            fd = os.open(Path(root, name), os.O_RDONLY | os.O_NOFOLLOW)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        sync_folder(Path(root))


def _check_free(out: Path, marker: str, names: Collection[str], overwrite: bool) -> None:
    if not out.exists() and not out.is_symlink():
        check_folder(out)
        return
    if out.is_symlink() or not out.is_dir():
        raise ConfigError(f"{out}: expected a folder to write, found something else; name another")
    present = {path.name for path in out.iterdir() if not PARTIAL.fullmatch(path.name)}
    if not present:
        return
    if names and (foreign := present - {*names, marker}):
        raise ConfigError(
            f"{out}: holds {min(foreign)!r}, which is not ours; name a new or an empty folder"
        )
    if not overwrite:
        raise ConfigError(f"{out}: not empty; name another folder or pass --overwrite")
    if not (out / marker).is_file():
        raise ConfigError(f"{out}: holds no {marker}, so it is not ours to overwrite")
