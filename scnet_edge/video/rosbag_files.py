"""The files of a ROS 2 bag, read by `rosbags` within bounds that it does not have itself.

A bag comes from a stranger. What it claims to unpack to, to hold and to be is not believed. The
message definitions in it are not read, for `rosbags` would make Python of them: pictures and
odometry are the same in every version of ROS 2.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import apsw
from lz4.frame import LZ4FrameDecompressor
from rosbags.interfaces import Connection
from rosbags.rosbag2 import ReaderError, storage_mcap, storage_sqlite3
from rosbags.rosbag2.storage_mcap import McapReader
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.events import AliasEvent

from scnet_edge.files import free_bytes, read_file

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

METADATA = "metadata.yaml"
MAX_METADATA_BYTES = 2**20  # that of thousands of files; it is read in some seconds
MAX_CHUNK_BYTES = 512 * 2**20  # unpacked, and of a message; recorders write some MiB
PIECE_BYTES = 2**20
UNPACKED_TIMES = 200  # as large as it was: pictures are not packed by more
UNPACKED_BYTES, ROOM_BYTES = 2**30, 2**30  # that are unpacked anyway; that are left to others
LONGEST_S, STEPS = 15.0, 10_000  # of this process's time to a row; between two looks at the clock
STORAGES: Final = {"mcap": McapReader, "sqlite3": Sqlite3Reader}
SUFFIXES: Final = {".mcap": McapReader, ".db3": Sqlite3Reader}
SQL_READING = {apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_PRAGMA}
SQL_COUNTING = {"count", "min", "max"}

_connecting = threading.Lock()


class BagFiles:
    """An open bag: a folder, or one file of it.

    Attributes:
        connections: one for each topic, type and file.
        length_s: from the first message to the last.

    Raises:
        ReaderError, or what else the parsers raise: no bag, a damaged one, or one without bounds.
    """

    def __init__(self, path: Path) -> None:
        self._patience = _Patience()
        with ExitStack() as stack:
            paths, storage_type, self._is_packed = _describe(path, stack)
            with _careful_sqlite(self._patience):
                self._storages = [storage_type(file) for file in paths]
                for storage in self._storages:
                    storage.open()
                    stack.callback(storage.close)
            for storage in self._storages:
                _check_overlap(getattr(storage, "chunks", []))
            self.connections = [c for storage in self._storages for c in storage.connections]
            spans = [s.metadata for s in self._storages if s.metadata.message_count]
            start_ns = min((span.start_time for span in spans), default=0)
            self.length_s = (max((span.end_time for span in spans), default=0) - start_ns) / 1e9
            self._stack = stack.pop_all()

    def messages(self, wanted: Collection[Connection]) -> Generator[tuple[Connection, int, bytes]]:
        """Yield connection, nanoseconds since 1970 and message, one file after the other."""
        for storage in self._storages:
            ours = [c for c in wanted if c.owner is storage]
            if not ours:
                continue
            if strange := {_form(c) for c in ours} - {"cdr"}:
                raise ReaderError(f"messages in {min(strange)!r}, expected cdr")
            self._patience.renew()
            with closing(storage.messages(ours)) as messages:
                for connection, logged_ns, data in messages:
                    yield connection, logged_ns, _unpack_zstd(data) if self._is_packed else data
                    self._patience.renew()

    def close(self) -> None:
        """Close all files."""
        self._stack.close()


def _describe(path: Path, stack: ExitStack) -> tuple[list[Path], Callable[[Path], Any], bool]:
    """Return a bag's files, what reads them, and whether each message is packed."""
    if not path.is_dir():
        if path.suffix not in SUFFIXES:
            raise ReaderError("expected a bag of ROS 2; rosbags-convert makes one of ROS 1's")
        return [_plain(path)], SUFFIXES[path.suffix], False
    text = read_file(path / METADATA, MAX_METADATA_BYTES).decode()
    about = _strict_yaml().load(text)["rosbag2_bagfile_information"]
    paths = [_plain(path / Path(name).name) for name in about["relative_file_paths"]]
    storage_type = STORAGES[about["storage_identifier"]]
    mode = (about.get("compression_mode") or "none").lower()
    if mode != "none" and (form := about["compression_format"]) != "zstd":
        raise ReaderError(f"packed by {form!r}, expected zstd")
    if mode == "file":
        folder = Path(stack.enter_context(TemporaryDirectory()))
        paths = [_unpack_file(file, folder / file.stem) for file in paths]
    return paths, storage_type, mode == "message"


def _form(connection: Connection) -> str:
    return str(getattr(connection.ext, "serialization_format", ""))


def _plain(path: Path) -> Path:
    """Return the path of a plain file; a pipe would be waited for without end."""
    if not path.is_file():
        raise ReaderError(f"no file {path.name}")
    return path


class _NoAliases(Composer):
    """Lets no part of a document stand for another, by which few bytes become many."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return the next node."""
        if self.parser.check_event(AliasEvent):
            raise ComposerError(None, None, f"an alias in {METADATA}", None)
        return super().compose_node(parent, index)


def _strict_yaml() -> YAML:
    """Return a reader without aliases, in Python alone: the one in C nests until it crashes."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _NoAliases
    return yaml


def _unpack(unpacker: Any, data: bytes) -> bytes:
    """Return what a chunk or a message holds, of whatever size it claims."""
    unpacked: bytes = unpacker.decompress(data, max_length=MAX_CHUNK_BYTES + 1)
    if len(unpacked) > MAX_CHUNK_BYTES:
        raise ReaderError(f"a chunk of over {MAX_CHUNK_BYTES >> 20} MiB")
    return unpacked


def _unpack_zstd(data: bytes) -> bytes:
    return _unpack(zstd.ZstdDecompressor(), data)


def _unpack_file(packed: Path, unpacked: Path) -> Path:
    """Unpack a file that is packed as a whole, as far as there is room for it."""
    most = max(UNPACKED_BYTES, UNPACKED_TIMES * packed.stat().st_size)
    most = min(most, free_bytes(unpacked.parent) - ROOM_BYTES)
    with zstd.open(packed, "rb") as source, unpacked.open("wb") as target:
        while piece := source.read(PIECE_BYTES):
            most -= len(piece)
            if most < 0:
                raise ReaderError(
                    f"{packed.name} unpacks to more than {UNPACKED_TIMES} times its size, or than "
                    f"{unpacked.parent.parent} has room for; unpack it by zstd -d"
                )
            target.write(piece)
    return unpacked


def _check_overlap(chunks: Collection[Any]) -> None:
    """Refuse chunks of the same time that would be unpacked all at once."""
    edges = [(chunk.message_start_time, 1, chunk.uncompressed_size) for chunk in chunks]
    edges += [(chunk.message_end_time, 2, -chunk.uncompressed_size) for chunk in chunks]
    held = 0
    for _, _, size in sorted(edges):
        held += size
        if held > MAX_CHUNK_BYTES:
            raise ReaderError(f"chunks of one moment of over {MAX_CHUNK_BYTES >> 20} MiB")


def _read_exact(file: Any, size: int) -> bytes:
    """Return so many bytes; the same as in rosbags, but for a bound."""
    if size > MAX_CHUNK_BYTES:
        raise ReaderError(f"a record of {size >> 20} MiB, at most {MAX_CHUNK_BYTES >> 20}")
    data: bytes = file.read(size)
    if len(data) != size:
        raise ReaderError(f"cut short: expected {size} bytes, found {len(data)}")
    return data


class _Patience:
    """Ends a search in SQLite that finds nothing: a few pages can be an endless table."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self._until_s = time.process_time() + LONGEST_S

    def is_over(self) -> bool:
        return time.process_time() > self._until_s


@contextmanager
def _careful_sqlite(patience: _Patience) -> Iterator[None]:
    """Let the connections that are made meanwhile read plain tables, within bounds."""

    def bound(db: apsw.Connection) -> None:
        db.limit(apsw.SQLITE_LIMIT_LENGTH, MAX_CHUNK_BYTES)
        db.set_progress_handler(patience.is_over, STEPS)
        db.set_authorizer(_authorise)

    with _connecting:
        apsw.connection_hooks.append(bound)
        try:
            yield
        finally:
            apsw.connection_hooks.remove(bound)


def _authorise(action: int, _: str | None, name: str | None, *rest: str | None) -> int:
    """Allow reading and counting: no function that a view or a column of the bag may call."""
    counting = action == apsw.SQLITE_FUNCTION and name in SQL_COUNTING
    return apsw.SQLITE_OK if counting or action in SQL_READING else apsw.SQLITE_DENY


storage_mcap.DECOMPRESSORS["lz4"] = lambda data, _: _unpack(LZ4FrameDecompressor(), data)
storage_mcap.DECOMPRESSORS["zstd"] = lambda data, _: _unpack_zstd(data)
vars(storage_mcap)["read_exact"] = _read_exact
for module in (storage_mcap, storage_sqlite3):  # how messages were to be sent is not asked here
    vars(module)["parse_qos"] = lambda profiles: []
