"""Messages made by hand, of rosbags."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from scnet_edge.sinks.ros_results import make_message, types

START_NS = 1_795_000_000_123_456_789


def header(at_ns: int = START_NS) -> Any:
    stamp = make_message("builtin_interfaces/msg/Time", sec=at_ns // 10**9, nanosec=at_ns % 10**9)
    return make_message("std_msgs/msg/Header", stamp=stamp, frame_id="front")


def image(frame: np.ndarray, at_ns: int = START_NS, encoding: str = "bgr8") -> Any:
    height, width = frame.shape[:2]
    return make_message(
        "sensor_msgs/msg/Image",
        header=header(at_ns),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=3 * width,
        data=frame.ravel(),
    )


def camera_info(focal_px: float, width_px: int) -> Any:
    kind = types().types["sensor_msgs/msg/CameraInfo"]
    return kind(
        header=header(),
        height=10,
        width=width_px,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=np.array([focal_px, 0, width_px / 2, 0, focal_px, 5, 0, 0, 1.0]),
        r=np.eye(3).ravel(),
        p=np.zeros(12),
        binning_x=0,
        binning_y=0,
        roi=make_message(
            "sensor_msgs/msg/RegionOfInterest",
            x_offset=0,
            y_offset=0,
            height=0,
            width=0,
            do_rectify=False,
        ),
    )


def odometry(at_ns: int, x: float, y: float = 0.0, heading_rad: float = 0.0) -> Any:
    """Return a position on a plane, and which way the robot looks there."""
    make = make_message
    half = heading_rad / 2
    pose = make(
        "geometry_msgs/msg/Pose",
        position=make("geometry_msgs/msg/Point", x=x, y=y, z=0.0),
        orientation=make(
            "geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=math.sin(half), w=math.cos(half)
        ),
    )
    zero = make("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0)
    covariance = np.zeros(36)
    return make(
        "nav_msgs/msg/Odometry",
        header=header(at_ns),
        child_frame_id="base",
        pose=make("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=covariance),
        twist=make(
            "geometry_msgs/msg/TwistWithCovariance",
            twist=make("geometry_msgs/msg/Twist", linear=zero, angular=zero),
            covariance=covariance,
        ),
    )


def wall() -> np.ndarray:
    """Return a grey picture, (64, 96, 3), with a dark bar across it."""
    frame = np.full((64, 96, 3), 200, np.uint8)
    frame[20:26, 10:80] = 20
    return frame
