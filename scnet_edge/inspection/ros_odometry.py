"""The way of a robot from its Odometry messages, in a bag or over zenoh, without ROS.

rosbag:FOLDER?topic=/odom    for the pictures of the same bag, or of another with the same clock
ros2://odom?router=tcp/HOST:7447    while the robot drives; see `video.rmw_zenoh`

The chainage is the way between the positions. A step against the robot's own x axis counts down.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import zenoh
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from scnet_edge.errors import ConfigError, InputError
from scnet_edge.inspection.chainage import Chainage
from scnet_edge.inspection.live_odometry import Receive
from scnet_edge.inspection.odometry_file import OdometryFile, OdometryRow
from scnet_edge.video.rmw_zenoh import Node, Topic, open_session
from scnet_edge.video.rosbag import open_topic
from scnet_edge.video.uris import parse_place

KIND = "nav_msgs/msg/Odometry"
KEPT = 1000  # lines that wait, ten seconds at 100 Hz


def read_bag(uri: str) -> OdometryFile:
    """Return the readings of a bag.

    Raises:
        ConfigError: no bag, a damaged one, not exactly one topic of odometry, or none that is
            usable.
    """
    way, rows = Chainage(), list[OdometryRow]()
    try:
        for _, at_ns, message in open_topic(uri, [KIND], "odometry").messages():
            chainage_m = way.add(message, at_ns=at_ns)
            if chainage_m is not None:
                rows.append(OdometryRow(t_s=at_ns / 1e9, chainage_m=chainage_m, roll_deg=None))
    except InputError as e:
        raise ConfigError(str(e)) from e
    if not rows:
        raise ConfigError(f"{uri}: no usable reading in it, expected {KIND} with positions")
    return OdometryFile(clock="utc_ns", rows=tuple(rows), notes=())


@contextmanager
def lines_of_ros2(uri: str) -> Iterator[Receive]:
    """Listen to `ros2://TOPIC`; the router may go and come back.

    Raises:
        ConfigError: no topic's name, or no router there.
    """
    store, way, lines, came = get_typestore(Stores.LATEST), Chainage(), deque[bytes](), Event()

    def take(sample: zenoh.Sample) -> None:
        try:
            message = store.deserialize_cdr(sample.payload.to_bytes(), KIND)
        except SerdeError:
            return  # the next is whole
        chainage_m = way.add(message)
        if chainage_m is not None and len(lines) < KEPT:
            lines.append(f"{chainage_m:.6f}".encode())
            came.set()

    def receive(wait_s: float) -> list[bytes]:
        came.wait(wait_s)
        came.clear()
        return [lines.popleft() for _ in range(len(lines))]

    try:
        place = parse_place(uri)
        topic = Topic(place.name, KIND, store.hash_rihs01(KIND))
        session = open_session(place)
    except (InputError, OSError) as e:
        raise ConfigError(f"odometry {uri}: {e}") from e
    with session:
        node = Node(session, place.domain)
        node.subscribe(topic)
        with session.declare_subscriber(f"{place.domain}/{topic.key}", take):
            yield receive
