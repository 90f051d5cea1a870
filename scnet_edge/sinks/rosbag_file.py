"""A ROS 2 bag: masks, overlays, measured cracks and the fault log, to replay in RViz or Foxglove.

Bags are of version 8, which Humble and everything newer reads; a bag whose end is missing is mended
by `ros2 bag reindex`.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs

from rosbags.interfaces import Connection
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from scnet_edge.errors import ConfigError
from scnet_edge.events import Event
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.sinks import ros_messages
from scnet_edge.sinks.media import draw_result
from scnet_edge.sinks.room import VIDEO_ROOM_BYTES, require_room, require_writable
from scnet_edge.sinks.run_records import Recorder

BAG_VERSION: Literal[8] = 8
STORAGES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
TOPICS = {
    "/scnet_edge/mask": "sensor_msgs/msg/Image",
    "/scnet_edge/overlay/compressed": "sensor_msgs/msg/CompressedImage",
    "/scnet_edge/cracks": "scnet_edge_msgs/msg/Cracks",
    "/scnet_edge/detections": "vision_msgs/msg/Detection2DArray",
    "/scnet_edge/log": "rcl_interfaces/msg/Log",
}
CAMERA = "camera"  # the frame of every header
INFO, WARNING = 20, 30  # of rcl_interfaces/msg/Log


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
            if isinstance(item, Event):
                self._note(item)
            else:
                self._write(item)
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
            topic: self._writer.add_connection(topic, kind, typestore=types())
            for topic, kind in TOPICS.items()
        }

    def _write(self, frame_result: FrameResult) -> None:
        captured, result = frame_result.captured, frame_result.result
        at_ns = captured.utc_ns or self._recorder.steady_utc_ns(captured.mono_ns)
        head = ros_messages.header(make_message, at_ns, CAMERA)
        cracks = frame_result.cracks
        self._add(
            "/scnet_edge/mask", at_ns, ros_messages.mask_image(make_message, head, result.mask)
        )
        overlay = ros_messages.picture(make_message, head, draw_result(frame_result))
        self._add("/scnet_edge/overlay/compressed", at_ns, overlay)
        measured = ros_messages.cracks_message(make_message, head, cracks, flags=result.flags)
        self._add("/scnet_edge/cracks", at_ns, measured)
        boxes = ros_messages.detections(make_message, head, cracks)
        self._add("/scnet_edge/detections", at_ns, boxes)

    def _note(self, event: Event) -> None:
        sec, nanosec = divmod(event.utc_ns, 10**9)
        lost = event.kind in ("camera_lost", "gap", "degraded", "engine_crashed")
        line = make_message(
            "rcl_interfaces/msg/Log",
            stamp=make_message("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec),
            level=WARNING if lost else INFO,
            name="scnet_edge",
            msg=f"{event.kind} {event.reason} {event.detail}".strip(),
            file="",
            function="",
            line=0,
        )
        self._add("/scnet_edge/log", event.utc_ns, line)

    def _add(self, topic: str, at_ns: int, message: Any) -> None:
        data = types().serialize_cdr(message, TOPICS[topic])
        self._writer.write(self._connections[topic], at_ns, data)


PACKAGE = Path(__file__).resolve().parents[1]
FOLDERS = (PACKAGE / "scnet_edge_msgs", PACKAGE.parent / "scnet_edge_msgs" / "msg")
OURS = ("Crack", "Cracks")
VISION = {
    "Point2D": "float64 x\nfloat64 y",
    "Pose2D": "vision_msgs/Point2D position\nfloat64 theta",
    "BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y",
    "ObjectHypothesis": "string class_id\nfloat64 score",
    "ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose"
    ),
    "Detection2D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox2D bbox\nstring id"
    ),
    "Detection2DArray": "std_msgs/Header header\nvision_msgs/Detection2D[] detections",
}


@cache
def types() -> Typestore:
    """Return the type store; shared, so nobody may register more."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    folder = next(folder for folder in FOLDERS if folder.is_dir())
    definitions = {f"vision_msgs/msg/{name}": text for name, text in VISION.items()}
    for name in OURS:
        text = (folder / f"{name}.msg").read_text(encoding="utf-8")
        definitions[f"scnet_edge_msgs/msg/{name}"] = text
    for name, text in definitions.items():
        store.register(get_types_from_msg(text, name))
    return store


def make_message(kind: str, /, **fields: Any) -> Any:
    """Return a message of rosbags, as `ros_messages` asks for one."""
    return types().types[kind](**fields)
