"""Frames from a ROS 2 bag, `rosbag:FOLDER` or `rosbag:FOLDER?topic=/camera/image_raw`.

Any bag that `rosbags` reads: SQLite and MCAP, compressed or not, of Humble to Lyrical.
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import apsw
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.rosbag2 import ReaderError
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_typestore

from scnet_edge.errors import InputError
from scnet_edge.events import Event
from scnet_edge.types import Captured
from scnet_edge.video.ros_images import PICTURES, frame_of, stamp_ns
from scnet_edge.video.sources import Source

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Damage shows in the parsers of rosbags as any of these.
ERRORS = (
    *(AnyReaderError, ReaderError, SerdeError, TypesysError),
    *(apsw.Error, zstd.ZstdError, struct.error, OSError, EOFError, MemoryError),
    *(ValueError, LookupError, ArithmeticError, AssertionError, TypeError),
)


def open_rosbag(uri: str) -> Source:
    """Return the pictures of one topic of a bag, as far apart as their headers say.

    Args:
        uri: `rosbag:FOLDER`, for a bag with one topic of pictures, or with `?topic=NAME`.

    Raises:
        InputError: no bag, a damaged one, or not exactly one topic of pictures to take; while
            iterating, a picture that cannot be used.
    """
    folder, topic = _parsed(uri)
    try:
        reader = AnyReader([folder], default_typestore=get_typestore(Stores.LATEST))
        reader.open()
    except ERRORS as e:
        raise InputError(f"{uri}: not a bag that can be read ({_one_line(e)})") from e
    try:
        connections = _chosen(reader, uri, topic)
    except InputError:
        reader.close()
        raise
    count = sum(connection.msgcount for connection in connections)
    length_s = reader.duration / 1e9
    fps = (count - 1) / length_s if count > 1 and length_s > 0 else None
    return Source(items=_captured(reader, connections, uri), count=count, fps=fps)


def _parsed(uri: str) -> tuple[Path, str | None]:
    rest = uri.removeprefix("rosbag:")
    folder, _, query = rest.partition("?")
    options = parse_qs(query, keep_blank_values=True)
    if unknown := options.keys() - {"topic"}:
        raise InputError(f"{uri}: unknown option {min(unknown)!r}, expected topic")
    if not folder:
        raise InputError(f"{uri}: expected the folder of a bag after the colon, found none")
    if not Path(folder).exists():
        raise InputError(f"{folder}: no such bag, expected the folder that 'ros2 bag record' wrote")
    return Path(folder), options["topic"][-1] if options else None


def _chosen(reader: AnyReader, uri: str, topic: str | None) -> list[Connection]:
    """Return the connections of the one topic of pictures."""
    pictures = [c for c in reader.connections if c.msgtype in PICTURES]
    topics = sorted({c.topic for c in pictures})
    if topic is None and len(topics) > 1:
        raise InputError(
            f"{uri}: pictures on {', '.join(topics)}; choose one by ?topic={topics[0]}"
        )
    wanted = [c for c in pictures if topic in (None, c.topic)]
    if not wanted:
        found = ", ".join(topics) or f"only {', '.join(sorted(reader.topics)) or 'nothing'}"
        missing = f"no pictures on {topic}" if topic else "no topic of pictures"
        raise InputError(f"{uri}: {missing}, found {found}")
    return wanted


def _captured(
    reader: AnyReader, connections: list[Connection], uri: str
) -> Generator[Captured | Event]:
    first_ns, start_ns, last_ns = None, time.monotonic_ns(), 0
    try:
        for i, (connection, logged_ns, data) in enumerate(reader.messages(connections)):
            where = f"{uri}, {connection.topic}, message {i}"
            message: Any = reader.deserialize(data, connection.msgtype)
            at_ns = stamp_ns(message.header) or logged_ns
            first_ns = at_ns if first_ns is None else first_ns
            last_ns = max(last_ns, at_ns - first_ns)  # a camera's clock may be set back
            yield Captured(
                frame_id=i,
                name=f"bag-{i:06d}",
                frame=frame_of(message, where=where),
                mono_ns=start_ns + last_ns,
                utc_ns=at_ns,
            )
    except ERRORS as e:
        raise InputError(f"{uri}: damaged, or cut short ({_one_line(e)})") from e
    finally:
        reader.close()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
