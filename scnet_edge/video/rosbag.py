"""Frames from a ROS 2 bag, `rosbag:FOLDER` or `rosbag:FOLDER?topic=/camera/image_raw`.

Any bag that `rosbags` reads: SQLite and MCAP, compressed or not, of Humble to Lyrical.
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Collection, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import apsw
from rosbags.interfaces import Connection
from rosbags.rosbag2 import ReaderError
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore
from ruamel.yaml.error import YAMLError

from scnet_edge.errors import ConfigError, InputError, one_line
from scnet_edge.events import Event
from scnet_edge.types import Captured
from scnet_edge.video.ros_images import PICTURES, frame_of, stamp_ns
from scnet_edge.video.rosbag_files import BagFiles
from scnet_edge.video.sources import Source

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# Damage shows in the parsers of bags as any of these.
ERRORS = (
    *(ConfigError, ReaderError, SerdeError, YAMLError, RecursionError),
    *(apsw.Error, zstd.ZstdError, struct.error, OSError, EOFError, MemoryError),
    *(ValueError, LookupError, ArithmeticError, AssertionError, TypeError, AttributeError),
)


@dataclass(frozen=True, slots=True)
class BagTopic:
    """One topic of an open bag."""

    uri: str
    _files: BagFiles
    _connections: list[Connection]

    @property
    def count(self) -> int:
        """How many messages it has."""
        return sum(connection.msgcount for connection in self._connections)

    @property
    def length_s(self) -> float:
        """How long the bag is."""
        return self._files.length_s

    def messages(self) -> Generator[tuple[str, int, Any]]:
        """Yield topic, nanoseconds since 1970 and message, then close the bag.

        The time is the header's, or where nobody set that, when it was written.

        Raises:
            InputError: the bag is damaged.
        """
        store = get_typestore(Stores.LATEST)
        try:
            for connection, logged_ns, data in self._files.messages(self._connections):
                message: Any = store.deserialize_cdr(data, connection.msgtype)
                yield connection.topic, stamp_ns(message.header) or logged_ns, message
        except ERRORS as e:
            raise InputError(f"{self.uri}: damaged, or cut short ({one_line(e)})") from e
        finally:
            self._files.close()


def open_rosbag(uri: str) -> Source:
    """Return the pictures of one topic of a bag, as far apart as their headers say.

    Args:
        uri: `rosbag:FOLDER`, for a bag with one topic of pictures, or with `?topic=NAME`.

    Raises:
        InputError: no bag, a damaged one, or not exactly one topic of pictures to take; while
            iterating, a picture that cannot be used.
    """
    topic = open_topic(uri, PICTURES, "pictures")
    fps = (topic.count - 1) / topic.length_s if topic.count > 1 and topic.length_s > 0 else None
    return Source(items=_capture(topic), count=topic.count, fps=fps)


def open_topic(uri: str, kinds: Collection[str], what: str) -> BagTopic:
    """Return the one topic of a bag whose messages are of some types.

    Args:
        uri: `rosbag:FOLDER`, or with `?topic=NAME`.
        kinds: The types, such as `sensor_msgs/msg/Image`.
        what: What to call them in an error.

    Raises:
        InputError: no bag, a damaged one, or not exactly one such topic.
    """
    path, topic = _parse(uri)
    try:
        files = BagFiles(path)
    except ERRORS as e:
        raise InputError(f"{uri}: not a bag that can be read ({one_line(e)})") from e
    try:
        return BagTopic(uri, files, _choose(files.connections, kinds, uri, topic, what))
    except InputError:
        files.close()
        raise


def _parse(uri: str) -> tuple[Path, str | None]:
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


def _choose(
    connections: list[Connection], kinds: Collection[str], uri: str, topic: str | None, what: str
) -> list[Connection]:
    fitting = [c for c in connections if c.msgtype in kinds]
    topics = sorted({c.topic for c in fitting})
    if topic is None and len(topics) > 1:
        raise InputError(f"{uri}: {what} on {', '.join(topics)}; choose one by ?topic={topics[0]}")
    wanted = [c for c in fitting if topic in (None, c.topic)]
    if not wanted:
        found = (
            ", ".join(topics)
            or f"only {', '.join(sorted({c.topic for c in connections})) or 'nothing'}"
        )
        missing = f"no {what} on {topic}" if topic else f"no topic of {what}"
        raise InputError(f"{uri}: {missing}, found {found}")
    return wanted


def _capture(topic: BagTopic) -> Generator[Captured | Event]:
    first_ns, start_ns, last_ns = None, time.monotonic_ns(), 0
    with closing(topic.messages()) as messages:
        for i, (name, at_ns, message) in enumerate(messages):
            first_ns = at_ns if first_ns is None else first_ns
            last_ns = max(last_ns, at_ns - first_ns)  # a camera's clock may be set back
            yield Captured(
                frame_id=i,
                name=f"bag-{i:06d}",
                frame=frame_of(message, where=f"{topic.uri}, {name}, message {i}"),
                mono_ns=start_ns + last_ns,
                utc_ns=at_ns,
            )
