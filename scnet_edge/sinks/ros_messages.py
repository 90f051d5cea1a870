"""What we publish in ROS 2, as plain values; whose classes hold them is the caller's business.

`make("sensor_msgs/msg/Image", header=..., data=...)` makes a message: of rclpy on a robot, of
rosbags for a bag, of anything else in a test. Numbers are Python's, arrays NumPy's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import cv2
import numpy as np

from scnet_edge.types import CrackFigures, Frame, Mask

JPEG_QUALITY = 80
# Figures of a crack that a Crack message has under the same names.
FIGURES = (
    *("length_px", "width_mean_px", "width_max_px", "angle_deg"),
    *("length_mm", "length_mm_sigma", "width_mean_mm", "width_mean_mm_sigma"),
    *("width_max_mm", "width_max_mm_sigma"),
)


class Make(Protocol):
    """Makes a message of a type such as `sensor_msgs/msg/Image` from its fields."""

    def __call__(self, kind: str, /, **fields: Any) -> Any:
        """Return the message; all fields are given."""
        ...


def header(make: Make, at_ns: int, frame_id: str) -> Any:
    """Return a header of a time since 1970 and a camera's frame."""
    sec, nanosec = divmod(at_ns, 10**9)
    stamp = make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
    return make("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)


def mask_image(make: Make, head: Any, mask: Mask) -> Any:
    """Return a mask, (h, w) bool, as an Image: mono8, 255 where a crack is."""
    height_px, width_px = mask.shape
    return make(
        "sensor_msgs/msg/Image",
        header=head,
        height=height_px,
        width=width_px,
        encoding="mono8",
        is_bigendian=0,
        step=width_px,
        data=np.multiply(mask.view(np.uint8), np.uint8(255)).ravel(),
    )


def picture(make: Make, head: Any, frame: Frame) -> Any:
    """Return a frame, (h, w, 3) uint8 BGR, as a CompressedImage of JPEG."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    jpeg = cv2.imencode(".jpg", frame, quality)[1].ravel()
    return make("sensor_msgs/msg/CompressedImage", header=head, format="jpeg", data=jpeg)


def cracks_message(
    make: Make,
    head: Any,
    cracks: Sequence[CrackFigures],
    *,
    chainage_m: float | None = None,
    mm_per_px: float | None = None,
    flags: Sequence[str] = (),
) -> Any:
    """Return measured cracks as our `Cracks`; what is not known is NaN."""
    return make(
        "scnet_edge_msgs/msg/Cracks",
        header=head,
        chainage_m=_nan_if_none(chainage_m),
        mm_per_px=_nan_if_none(mm_per_px),
        flags=list(flags),
        cracks=[_crack(make, crack) for crack in cracks],
    )


def detections(make: Make, head: Any, cracks: Sequence[CrackFigures]) -> Any:
    """Return the boxes around cracks as a `vision_msgs/Detection2DArray`, class `crack`.

    The score is 1, since the mask has been cut at the bundle's threshold.
    """
    boxes = [_detection(make, head, str(i), crack) for i, crack in enumerate(cracks)]
    return make("vision_msgs/msg/Detection2DArray", header=head, detections=boxes)


def _crack(make: Make, crack: CrackFigures) -> Any:
    x_min, y_min, x_max, y_max = map(int, crack.bbox_xyxy)
    figures = {name: _nan_if_none(getattr(crack, name, None)) for name in FIGURES}
    return make(
        "scnet_edge_msgs/msg/Crack",
        x_min=x_min,
        y_min=y_min,
        x_max=x_max,
        y_max=y_max,
        area_px=int(crack.area_px),
        **figures,
    )


def _detection(make: Make, head: Any, name: str, crack: CrackFigures) -> Any:
    x_min, y_min, x_max, y_max = crack.bbox_xyxy
    centre = make("vision_msgs/msg/Point2D", x=(x_min + x_max) / 2, y=(y_min + y_max) / 2)
    box = make(
        "vision_msgs/msg/BoundingBox2D",
        center=make("vision_msgs/msg/Pose2D", position=centre, theta=0.0),
        size_x=float(x_max - x_min),
        size_y=float(y_max - y_min),
    )
    hypothesis = make("vision_msgs/msg/ObjectHypothesis", class_id="crack", score=1.0)
    result = make(
        "vision_msgs/msg/ObjectHypothesisWithPose",
        hypothesis=hypothesis,
        pose=make(
            "geometry_msgs/msg/PoseWithCovariance",
            pose=make(
                "geometry_msgs/msg/Pose",
                position=make("geometry_msgs/msg/Point", x=0.0, y=0.0, z=0.0),
                orientation=make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
            ),
            covariance=np.zeros(36),
        ),
    )
    return make("vision_msgs/msg/Detection2D", header=head, results=[result], bbox=box, id=name)


def _nan_if_none(figure: float | None) -> float:
    return math.nan if figure is None else float(figure)
