"""How long an image takes to its mask over a real wire: an upper bound of what a ROS robot sees.

    python benchmarks/ros_wire.py [--images 40]

A camera in another process publishes an image on loopback and waits for the mask. Every second
image is answered by the node, the others by a mask that lies ready: the difference is the node's.
Over Cyclone DDS, Python makes a list of an image's bytes at each end, which rclpy does not. Over
zenoh a router stands between, as in ROS. The engine is replaced by a mask that is ready.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from queue import Queue
from time import perf_counter
from typing import Any

import numpy as np
import zenoh

from scnet_edge.machine.description import machine_name
from scnet_edge.ros2.node import CrackNode
from scnet_edge.simulation.clip import render_clip
from scnet_edge.sinks import ros_messages
from scnet_edge.sinks.ros_results import make_message, types
from scnet_edge.types import Frame, Result
from scnet_edge.video.rmw_zenoh import open_session
from scnet_edge.video.uris import Place

sys.path.append(str(Path(__file__).parents[1] / "tests" / "ros2"))
dds_types, ros, test_wire, wire_messages = map(
    import_module, ("dds_types", "ros_over_zenoh", "test_wire", "wire")
)
SIZES_HW = ((384, 544), (1080, 1920))
KIND = "sensor_msgs/msg/Image"
WAIT_S, WARM = 60.0, 4
Receive = Callable[[], Any]
Send = Callable[[Any], None]


@contextmanager
def over_zenoh(port: int, name: str, hears: str) -> Iterator[tuple[Receive, Send]]:
    """Yield what receives an Image on one topic and what sends one on another."""
    came: Queue[bytes] = Queue()
    with open_session(Place(name=name, router=f"tcp/127.0.0.1:{port}")) as session:
        publisher = session.declare_publisher(
            f"0/{name}", congestion_control=zenoh.CongestionControl.BLOCK
        )
        with session.declare_subscriber(f"0/{hears}", lambda s: came.put(s.payload.to_bytes())):
            yield (
                lambda: types().deserialize_cdr(came.get(timeout=WAIT_S), KIND),
                lambda message: publisher.put(bytes(types().serialize_cdr(message, KIND))),
            )


@contextmanager
def over_dds(domain: int, name: str, hears: str) -> Iterator[tuple[Receive, Send]]:
    """Yield the same over Cyclone DDS; messages are turned into its own and back."""
    from cyclonedds.core import Policy, Qos
    from cyclonedds.domain import DomainParticipant
    from cyclonedds.pub import DataWriter
    from cyclonedds.sub import DataReader
    from cyclonedds.topic import Topic
    from cyclonedds.util import duration

    participant = DomainParticipant(domain)
    reliable = Qos(Policy.Reliability.Reliable(duration(seconds=5)), Policy.History.KeepLast(2))
    reader = DataReader(
        participant, Topic(participant, f"rt/{hears}", dds_types.Image), qos=reliable
    )
    writer = DataWriter(
        participant, Topic(participant, f"rt/{name}", dds_types.Image), qos=reliable
    )

    def receive() -> Any:
        message = next(reader.take_iter(timeout=duration(seconds=WAIT_S)))
        message.data = bytes(message.data)
        return message

    def send(message: Any) -> None:
        stamp = dds_types.Time(message.header.stamp.sec, message.header.stamp.nanosec)
        header = dds_types.Header(stamp, message.header.frame_id)
        size = (message.height, message.width, message.encoding, 0, message.step)
        data = list(memoryview(message.data))
        writer.write(dds_types.Image(header, *size, data))

    yield receive, send


WIRES = {"zenoh": over_zenoh, "Cyclone DDS": over_dds}


def camera(wire: str, place: int, images: int, height_px: int, width_px: int) -> None:
    """Publish images, each after the mask of the one before; print how long each took, in ms."""
    frames = [frame for frame, _ in render_clip(2, (height_px, width_px), seed=26)]
    took_ms = []
    with WIRES[wire](place, "image", "mask") as (receive, send):
        sys.stdin.readline()  # the other side is there
        for i in range(images):
            message = wire_messages.image(frames[i // 2 % 2])
            start_s = perf_counter()
            send(message)
            receive()
            took_ms.append(1e3 * (perf_counter() - start_s))
    print(json.dumps(took_ms))


def measure(wire: str, place: int, size_hw: tuple[int, int], images: int) -> tuple[float, float]:
    """Return the medians in milliseconds: answered by the node, and by a mask that is ready."""
    [(_, mask)] = render_clip(1, size_hw, seed=26)
    no_map = np.zeros(size_hw, np.float32)

    def ready(frame: Frame) -> Result:
        return Result(mask=mask, probability=no_map, edges=None)

    node = CrackNode(ready, make_message, facts={})
    made = ros_messages.mask_image(make_message, wire_messages.header(), mask)
    arguments = [wire, place, images, *size_hw]
    command = [sys.executable, __file__, "--camera", *map(str, arguments)]
    with (
        WIRES[wire](place, "mask", "image") as (receive, send),
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        for i in range(images):
            message = receive()
            if i % 2:
                send(made)
            else:
                for _, answer in node.image(message, ["mask"]):
                    send(answer)
        took_ms = json.loads(process.stdout.read())
    return float(np.median(took_ms[WARM::2])), float(np.median(took_ms[WARM + 1 :: 2]))


def main() -> None:
    """Measure every wire and size, in turns of image and image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--camera", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["CYCLONEDDS_URI"] = test_wire.LOOPBACK
    if options.camera:
        wire, *numbers = options.camera
        return camera(wire, *map(int, numbers))
    print(machine_name())
    port = ros.free_port()
    places = {"zenoh": port, "Cyclone DDS": 40 + os.getpid() % 60}
    with ros.start_router(port):
        for wire, place in places.items():
            for size_hw in SIZES_HW:
                node_ms, ready_ms = measure(wire, place, size_hw, options.images)
                size = f"{size_hw[1]}x{size_hw[0]}"
                print(f"{wire} {size}: {node_ms:.1f} ms by the node, {ready_ms:.1f} ms ready")


if __name__ == "__main__":
    main()
