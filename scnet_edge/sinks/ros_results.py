"""What a frame's results and an event are in ROS 2: messages in CDR, by topic, for bag and wire.

The types are those of rosbags, which needs no ROS. `scnet_edge_msgs` is read from its own files, as
a ROS build does; `vision_msgs` is that of its versions 4.0 and newer, Humble to Lyrical.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from scnet_edge.events import Event
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.sinks import ros_messages
from scnet_edge.sinks.media import draw_result
from scnet_edge.sinks.run_records import Recorder

TOPICS = {
    "mask": "sensor_msgs/msg/Image",
    "overlay/compressed": "sensor_msgs/msg/CompressedImage",
    "cracks": "scnet_edge_msgs/msg/Cracks",
    "detections": "vision_msgs/msg/Detection2DArray",
    "log": "rcl_interfaces/msg/Log",
}
CAMERA = "camera"  # the frame of every header
INFO, WARNING = 20, 30  # of rcl_interfaces/msg/Log
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


def ros_results(
    item: FrameResult | Event, recorder: Recorder, wanted: Collection[str] = tuple(TOPICS)
) -> Iterator[tuple[str, int, bytes]]:
    """Yield topic, time in nanoseconds since 1970, and message of all that is wanted.

    Args:
        item: A frame gives a message for every topic but `log`, an event one for that.
        recorder: Knows the time of frames whose source does not.
        wanted: Topics; what is not wanted is not made.
    """
    if isinstance(item, Event):
        made: dict[str, Callable[[], Any]] = {"log": lambda: _log(item)}
        at_ns = item.utc_ns
    else:
        at_ns = item.captured.utc_ns or recorder.steady_utc_ns(item.captured.mono_ns)
        made = _of_frame(item, ros_messages.header(make_message, at_ns, CAMERA))
    for topic, make in made.items():
        if topic in wanted:
            yield topic, at_ns, bytes(types().serialize_cdr(make(), TOPICS[topic]))


def _of_frame(frame_result: FrameResult, head: Any) -> dict[str, Callable[[], Any]]:
    cracks, result = frame_result.cracks, frame_result.result
    make = make_message
    return {
        "mask": lambda: ros_messages.mask_image(make, head, result.mask),
        "overlay/compressed": lambda: ros_messages.picture(make, head, draw_result(frame_result)),
        "cracks": lambda: ros_messages.cracks_message(make, head, cracks, flags=result.flags),
        "detections": lambda: ros_messages.detections(make, head, cracks),
    }


def _log(event: Event) -> Any:
    sec, nanosec = divmod(event.utc_ns, 10**9)
    lost = event.kind in ("camera_lost", "gap", "degraded", "engine_crashed")
    return make_message(
        "rcl_interfaces/msg/Log",
        stamp=make_message("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec),
        level=WARNING if lost else INFO,
        name="scnet_edge",
        msg=f"{event.kind} {event.reason} {event.detail}".strip(),
        file="",
        function="",
        line=0,
    )


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
