"""What the ROS 2 node adds to the engine's time: from the message to the mask, and to the rest.

    python benchmarks/ros_node.py [--write benchmarks/results/ros-node.json]

The engine is replaced by a mask that is ready, so that all that is left is ours: the picture made
of the message, the mask made a message, cracks measured, the overlay drawn and packed. Messages are
of rosbags; rclpy and the transport are not in it, for no ROS installation was at hand.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import numpy as np

from scnet_edge.config import write_json
from scnet_edge.machine.description import machine_name
from scnet_edge.ros2.node import OUTPUTS, CrackNode, Output
from scnet_edge.simulation.clip import render_clip
from scnet_edge.sinks.ros_results import make_message
from scnet_edge.types import Frame, Mask, Result

SIZES_HW = ((384, 544), (1080, 1920))
ENCODINGS = ("bgr8", "rgb8", "mono8", "bayer_rggb8", "yuv422")
CHANNELS = {"bgr8": 3, "rgb8": 3, "yuv422": 2}
ROUNDS, FRAMES = 40, 5
MOST_MS = {(384, 544): 3.0, (1080, 1920): 10.0}  # from message to mask message


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Medians in milliseconds, and the 95th percentile of the first."""

    size_hw: tuple[int, int]
    encoding: str
    to_mask_ms: float
    to_mask_p95_ms: float
    cracks_ms: float
    detections_ms: float
    overlay_ms: float


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured."""

    machine: str
    rows: tuple[Row, ...]


def message_of(frame: Frame, encoding: str) -> Any:
    """Return an Image of that encoding and size; what it shows does not change the time."""
    height_px, width_px = frame.shape[:2]
    stamp = make_message("builtin_interfaces/msg/Time", sec=1, nanosec=2)
    channels = CHANNELS.get(encoding, 1)
    return make_message(
        "sensor_msgs/msg/Image",
        header=make_message("std_msgs/msg/Header", stamp=stamp, frame_id="camera"),
        height=height_px,
        width=width_px,
        encoding=encoding,
        is_bigendian=0,
        step=channels * width_px,
        data=np.ascontiguousarray(frame[..., :channels]).ravel(),
    )


def measure(size_hw: tuple[int, int], encoding: str) -> Row:
    """Return what the node adds, over frames with cracks as they are rendered."""
    clip = list(render_clip(FRAMES, size_hw, seed=26))
    masks: list[Mask] = [mask for _, mask in clip]
    no_map = np.zeros(size_hw, np.float32)
    current = 0

    def ready(frame: Frame) -> Result:
        return Result(mask=masks[current], probability=no_map, edges=None)

    node = CrackNode(ready, make_message, facts={})
    messages = [message_of(frame, encoding) for frame, _ in clip]
    took_ms: dict[Output, list[float]] = {name: [] for name in OUTPUTS}
    for turn in range(ROUNDS * FRAMES):
        current = turn % FRAMES
        start_s = perf_counter()
        for name, _ in node.image(messages[current]):
            now_s = perf_counter()
            took_ms[name].append(1e3 * (now_s - start_s))
            start_s = now_s
    median = {name: round(float(np.median(ms[FRAMES:])), 2) for name, ms in took_ms.items()}
    return Row(
        size_hw=size_hw,
        encoding=encoding,
        to_mask_ms=median["mask"],
        to_mask_p95_ms=round(float(np.percentile(took_ms["mask"][FRAMES:], 95)), 2),
        cracks_ms=median["cracks"],
        detections_ms=median["detections"],
        overlay_ms=median["overlay"],
    )


def main() -> None:
    """Measure every size and encoding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    rows = []
    for size_hw in SIZES_HW:
        for encoding in ENCODINGS:
            rows.append(row := measure(size_hw, encoding))
            over = "" if row.to_mask_ms <= MOST_MS[size_hw] else "  more than is promised"
            print(
                f"{size_hw[1]}x{size_hw[0]} {encoding}: to mask {row.to_mask_ms} ms "
                f"(p95 {row.to_mask_p95_ms}), cracks {row.cracks_ms}, "
                f"detections {row.detections_ms}, overlay {row.overlay_ms}{over}"
            )
    if options.write:
        write_json(options.write, Rows(machine=machine_name(), rows=tuple(rows)))


if __name__ == "__main__":
    main()
