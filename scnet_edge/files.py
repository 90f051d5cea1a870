"""Files that are whole or as they were before, whatever ends the program that writes them.

A file is written beside its place under a name that nobody can guess, brought to the disk, and then
given its own name. Nothing is written through a link, so a folder that somebody else made cannot
lead out of itself. What a killed process left half-written is removed by the next one that writes
to the same folder.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from scnet_edge.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PARTIAL = re.compile(r"\..+\.[0-9a-f]{16}\.partial")
NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_file(path: Path, data: bytes, *, durable: bool = True, mode: int | None = None) -> None:
    """Write a file so that after a kill or a power cut it is whole, or as it was before.

    Args:
        path: In a folder that exists. An older file keeps its permissions.
        data: All of it.
        durable: Content and name are on the disk on return. Without it a power cut, but no kill,
            may leave the file empty.
        mode: Its permissions, never more even for a moment; None: the umask's, or as before.

    Raises:
        ConfigError: a link, a folder or a device is in the way.
        OSError: the disk refuses; it names the file, and nothing is left behind.
    """
    with new_file(path, durable=durable, mode=mode) as f:
        f.write(data)


@contextmanager
def new_file(path: Path, *, durable: bool = True, mode: int | None = None) -> Iterator[BinaryIO]:
    """Yield a file that takes the name `path` when the block ends well; else as `write_file`."""
    older = _mode_of(path)
    kept = older if mode is None else mode
    _sweep_once(path.parent)
    temporary, fd = _new_partial(path, mode or 0o666)
    try:
        with os.fdopen(fd, "w+b") as f:
            if kept is not None:
                os.fchmod(f.fileno(), kept)
            yield f
            f.flush()
            if durable:
                os.fsync(f.fileno())
            temporary.replace(path)
        if durable:
            sync_folder(path.parent)
    except BaseException as e:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(e, OSError) and e.filename in (None, str(temporary)):
            raise OSError(e.errno, e.strerror or str(e), str(path)) from e
        raise


def _new_partial(path: Path, mode: int) -> tuple[Path, int]:
    """Return a new empty file beside `path` and its descriptor, which holds it."""
    while True:
        temporary = partial_of(path)
        try:
            fd = os.open(temporary, os.O_RDWR | NEW, mode)
        except OSError as e:
            raise OSError(e.errno, e.strerror or str(e), str(path)) from e
        if _hold_in_place(temporary, fd):
            return temporary, fd


def write_image(
    path: Path,
    image: npt.NDArray[np.uint8],
    settings: Sequence[int] = (),
    *,
    durable: bool = True,
) -> None:
    """Write an image, (H, W) or (H, W, 3) uint8 BGR, in the format that the suffix names.

    Args:
        path, durable: As `write_file`, which this also raises.
        image: The pixels.
        settings: Of OpenCV's encoder, name and value in turns.
    """
    import cv2

    try:
        data = cv2.imencode(path.suffix, image, settings)[1]
    except cv2.error as e:
        shape = image.shape
        raise ConfigError(f"{path}: OpenCV cannot encode {shape} as {path.suffix}") from e
    write_file(path, data.tobytes(), durable=durable)


@contextmanager
def name_errors(path: Path) -> Iterator[None]:
    """Give an error of the disk the file that it is of, where it names none."""
    try:
        yield
    except OSError as e:
        if e.filename is not None:
            raise
        raise OSError(e.errno, e.strerror or str(e), str(path)) from e


def open_plain(path: Path, flags: int) -> int:
    """Return a descriptor of a plain file that is no link and has no second name.

    Raises:
        ConfigError: it is something else.
        OSError: as `os.open`.
    """
    try:
        fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as e:
        if e.errno not in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise
        raise ConfigError(f"{path}: expected a plain file, found a link or a device") from None
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        return fd
    os.close(fd)
    raise ConfigError(f"{path}: expected a plain file of its own, found another kind; name another")


def read_file(path: Path, most_bytes: int) -> bytes:
    """Return the content of a plain file, or of what a link to one leads to.

    Raises:
        ConfigError: no plain file, or larger than `most_bytes`.
        OSError: it cannot be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for ever
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise ConfigError(f"{path}: expected a plain file, found another kind")
    with os.fdopen(fd, "rb") as f:
        data = f.read(min(found.st_size, most_bytes) + 1)  # that much memory is taken at once
        if found.st_size < len(data) <= most_bytes:  # it grows, or says no size, as in /proc
            data += f.read(most_bytes + 1 - len(data))
    if len(data) > most_bytes:
        raise ConfigError(
            f"{path}: expected at most {most_bytes / 2**20:g} MiB, found more; name another file"
        )
    return data


def make_subfolder(folder: Path, name: str) -> Path:
    """Return `folder / name`, made if it was missing.

    Raises:
        ConfigError: it is a link, which may lead anywhere, or no folder.
    """
    path = folder / name
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise ConfigError(f"{path}: expected a folder, found a link or a file; remove it")
    path.mkdir(parents=True, exist_ok=True)
    return path


def sync_folder(folder: Path) -> None:
    """Make the folder's names durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as e:
        if e.errno != errno.EINVAL:  # a file system that cannot, such as some network shares
            raise
    finally:
        os.close(fd)


def free_bytes(folder: Path) -> int:
    """Return the room that is left for us on the folder's disk."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def partial_of(path: Path) -> Path:
    """Return an unpredictable name beside `path`, for what is to become it."""
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}.partial")


@contextmanager
def partial_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder of such a name, which only this user can enter and which is removed."""
    _sweep_once(path.parent)
    temporary, fd = _new_partial_folder(path)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(fd)


def _new_partial_folder(path: Path) -> tuple[Path, int]:
    """Return a new folder beside `path` and its descriptor, which holds it."""
    while True:
        temporary = partial_of(path)
        temporary.mkdir(mode=0o700)
        with suppress(FileNotFoundError):  # swept before it was opened
            fd = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            if _hold_in_place(temporary, fd):
                return temporary, fd


def sweep_partial(folder: Path) -> None:
    """Remove what processes that are gone left half-written in `folder`."""
    with suppress(OSError):
        for path in folder.iterdir():
            if PARTIAL.fullmatch(path.name):
                with suppress(OSError):
                    _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # whoever still writes it holds it
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(fd)


@lru_cache(maxsize=64)
def _sweep_once(folder: Path) -> None:
    sweep_partial(folder)


def _hold(fd: int) -> None:
    """Say that this is being written; a file system without locks is not swept either."""
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX)


def _hold_in_place(path: Path, fd: int) -> bool:
    """Hold what was just made; False, and closed, where another process swept it before."""
    _hold(fd)
    with suppress(FileNotFoundError):
        if os.path.samestat(path.lstat(), os.fstat(fd)):
            return True
    os.close(fd)
    return False


def _mode_of(path: Path) -> int | None:
    """Return the permissions of a file that is to be replaced; None for a new one."""
    try:
        found = path.lstat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found):
        kind = "a link, and nothing is written through links" if stat.S_ISLNK(found) else "no file"
        raise ConfigError(f"{path}: expected a file or nothing, found {kind}; name another place")
    return stat.S_IMODE(found) & 0o777
