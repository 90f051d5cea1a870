"""A ROS 2 bag: masks, overlays, measured cracks and the fault log, to replay in RViz or Foxglove.

Bags are of version 8, which Humble and everything newer reads; a bag whose end is missing is mended
by `ros2 bag reindex`.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs

from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

from scnet_edge.errors import ConfigError
from scnet_edge.events import Event
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.sinks.media import VIDEO_ROOM_BYTES, require_room, require_writable
from scnet_edge.sinks.ros_results import TOPICS, ros_results, types
from scnet_edge.sinks.run_records import Recorder

BAG_VERSION: Literal[8] = 8
STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
PREFIX = "/scnet_edge"


def parse_rosbag(rest: str) -> tuple[Path, StoragePlugin]:
    """Return the folder and the storage of `FOLDER` or `FOLDER?storage=sqlite3`; MCAP if not said.

    Raises:
        ConfigError: no folder, an unknown option or storage.
    """
    folder, _, query = rest.partition("?")
    options = parse_qs(query, keep_blank_values=True)
    if unknown := options.keys() - {"storage"}:
        raise ConfigError(f"sink rosbag:{rest}: unknown option {min(unknown)!r}, expected storage")
    storage = options.get("storage", ["mcap"])[-1]
    if not folder or storage not in STORAGES:
        raise ConfigError(
            f"sink rosbag:{rest}: expected rosbag:FOLDER, or with ?storage={'|'.join(STORAGES)}"
        )
    return Path(folder), STORAGES[storage]


class RosbagFile:
    """An `Outlet` that writes a new bag, a folder of its own; an older one is kept."""

    depth = 8

    def __init__(
        self,
        folder: Path,
        recorder: Recorder,
        *,
        storage: StoragePlugin = StoragePlugin.MCAP,
        room_bytes: int = VIDEO_ROOM_BYTES,
    ) -> None:
        if folder.exists():
            raise ConfigError(f"sink rosbag:{folder}: exists; name a new folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        require_writable(folder.parent)
        self._recorder, self._room_bytes = recorder, room_bytes
        self._folder = folder
        self._writer = Writer(folder, version=BAG_VERSION, storage_plugin=storage)
        self._connections: dict[str, Connection] = {}

    def prepare(self, item: FrameResult | Event) -> FrameResult | Event:
        """Return what is to be written, unchanged."""
        return item

    def put(self, item: FrameResult | Event) -> None:
        """Write the messages of a frame or an event; the first makes the bag.

        Not earlier, for SQLite wants all of it in one thread.
        """
        require_room(self._folder.parent, self._room_bytes)
        try:
            if not self._connections:
                self._open()
            for topic, at_ns, message in ros_results(item, self._recorder):
                self._writer.write(self._connections[topic], at_ns, message)
        except (WriterError, sqlite3.Error) as e:
            raise OSError(str(e)) from e

    def flush(self) -> None:
        """Leave it to the writer, which fills a chunk or a transaction first."""

    def close(self) -> None:
        """Write the index, without which few programs read the bag."""
        if self._connections:
            self._writer.close()

    def _open(self) -> None:
        self._writer.open()
        self._connections = {
            topic: self._writer.add_connection(f"{PREFIX}/{topic}", kind, typestore=types())
            for topic, kind in TOPICS.items()
        }
