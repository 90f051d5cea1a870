"""`--odometry rosbag:FOLDER` and `--odometry ros2://TOPIC`."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ros_over_zenoh import ODOMETRY, STORE, Ros, free_port, start_router, wait_for
from rosbags.rosbag2 import Writer
from wire import START_NS, image, odometry, wall

from scnet_edge.errors import ConfigError
from scnet_edge.inspection.chainage import Chainage
from scnet_edge.inspection.odometry import open_odometry
from scnet_edge.inspection.odometry_file import FilmSpan
from scnet_edge.inspection.setup import Setup
from scnet_edge.robot.open_source import open_any
from scnet_edge.types import Captured

KIND, SETUP = "nav_msgs/msg/Odometry", Setup(mode="wall")
STEP_NS, STEP_M = 10**8, 0.02


def write_bag(folder: Path, *topics: str, drive: list[Any]) -> str:
    """Write a drive on some topics, and a picture every third step."""
    with Writer(folder, version=9) as writer:
        odometers = [writer.add_connection(topic, KIND, typestore=STORE) for topic in topics]
        camera = writer.add_connection("/image", "sensor_msgs/msg/Image", typestore=STORE)
        for i, message in enumerate(drive):
            at_ns = START_NS + i * STEP_NS
            for odometer in odometers:
                writer.write(odometer, at_ns + 500, STORE.serialize_cdr(message, KIND))
            if i % 3 == 0:
                picture = image(wall(), at_ns + STEP_NS // 2)
                data = STORE.serialize_cdr(picture, "sensor_msgs/msg/Image")
                writer.write(camera, at_ns + STEP_NS // 2, data)
    return f"rosbag:{folder}"


def straight(steps: int) -> list[Any]:
    return [odometry(START_NS + i * STEP_NS, STEP_M * i) for i in range(steps)]


def at(utc_ns: int) -> Captured:
    return Captured(frame_id=0, name="f", frame=wall(), mono_ns=time.monotonic_ns(), utc_ns=utc_ns)


def test_the_way_of_a_bag_is_interpolated_at_its_pictures(tmp_path: Path) -> None:
    uri = write_bag(tmp_path / "bag", "/odom", drive=straight(10))
    with open_any(uri) as source, open_odometry(uri, SETUP) as way:
        found = [way.at(captured).chainage_m for captured in source]
    assert found[:3] == pytest.approx([STEP_M * (i + 0.5) for i in (0, 3, 6)], abs=1e-6)


def test_backwards_counts_down_whichever_way_the_robot_looks() -> None:
    for heading_rad in (0.0, 1.0, math.pi, -2.5):
        way, east, north = Chainage(), math.cos(heading_rad), math.sin(heading_rad)
        metres = [0.0, 0.5, 1.0, 0.7, 0.9]
        for i, metre in enumerate(metres):
            message = odometry(START_NS + i, 3 + metre * east, metre * north, heading_rad)
            assert way.add(message) == pytest.approx(metre)
    assert way.add(odometry(START_NS, 9.0)) is None
    assert way.add(odometry(START_NS + 9, math.inf)) is None


def test_a_curve_is_as_long_as_it_is() -> None:
    way, last_m = Chainage(), None
    for i in range(101):
        angle = math.pi / 2 * i / 100
        message = odometry(START_NS + i, math.sin(angle), 1 - math.cos(angle), angle)
        last_m = way.add(message)
    assert last_m == pytest.approx(math.pi / 2, rel=1e-3)


def test_a_bag_is_asked_for_one_topic_and_fits_pictures_with_a_time(tmp_path: Path) -> None:
    two = write_bag(tmp_path / "two", "/odom", "/odom/filtered", drive=straight(4))
    none = write_bag(tmp_path / "none", drive=straight(4))
    lost = write_bag(tmp_path / "lost", "/odom", drive=[odometry(START_NS, math.nan)])
    film = FilmSpan(seconds=10.0, frames=250)
    for uri, span, said in (
        (two, None, r"odometry on /odom, /odom/filtered; choose one by \?topic=/odom"),
        (none, None, "no topic of odometry, found only /image"),
        (lost, None, "no usable reading in it"),
        (f"rosbag:{tmp_path}/nowhere", None, "no such bag"),
        (f"{two}?topic=/odom", film, "expected pictures with a time, of a bag or a camera"),
    ):
        with pytest.raises(ConfigError, match=said), open_odometry(uri, SETUP, span=span):
            pass
    with open_odometry(
        f"{two}?topic=/odom/filtered", SETUP, span=FilmSpan(seconds=0.3, frames=2, utc=True)
    ) as way:
        assert way.at(at(START_NS + STEP_NS)).chainage_m == pytest.approx(STEP_M, abs=1e-6)


def test_odometry_over_zenoh_is_followed_while_the_robot_drives() -> None:
    port = free_port()
    uri = f"ros2://odom?router=tcp/127.0.0.1:{port}"
    with pytest.raises(ConfigError, match=f"no zenoh router at tcp/127.0.0.1:{port}"):
        open_odometry(uri, SETUP).__enter__()
    assert STORE.hash_rihs01(KIND) == ODOMETRY
    with start_router(port), Ros(port) as ros, open_odometry(uri, SETUP) as way:
        wait_for(lambda: ros.subscriptions("/odom"))
        steps = iter(range(10**6))

        def driven() -> float | None:
            i = next(steps)
            message = odometry(START_NS + i * STEP_NS, 0.001 * i)
            ros.publish_odometry("/odom", bytes(STORE.serialize_cdr(message, KIND)))
            ros.publish_odometry("/odom", b"\0\1\0\0damaged")
            found = way.at(at(0)).chainage_m
            return found if found and found > 0.02 else None

        chainage_m = wait_for(driven)
    assert chainage_m <= 0.001 * next(steps) + 1e-9
    assert np.isfinite(chainage_m)
