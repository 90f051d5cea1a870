"""The ROS 2 message types of rosbags with those that we publish besides; needs no ROS.

`scnet_edge_msgs` is read from its own files, as a ROS build does. `vision_msgs` is not part of a
bare ROS installation; its definitions are those of its versions 4.0 and newer, Humble to Lyrical.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

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
