"""`--source ros2://TOPIC` against a ROS side of rmw_zenoh's names, over loopback TCP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import zenoh
from ros_over_zenoh import COMPRESSED, IMAGE, STORE, Ros, free_port, start_router, wait_for
from wire import image, wall

from scnet_edge.errors import InputError
from scnet_edge.events import Event
from scnet_edge.robot.open_source import open_any
from scnet_edge.types import Captured
from scnet_edge.video import rmw_zenoh
from scnet_edge.video.rmw_zenoh import Topic, open_session, topic_of_key, topic_of_token
from scnet_edge.video.ros2_topic import MAX_TYPES, _Inbox
from scnet_edge.video.uris import parse_camera, parse_place

TOPIC = "/camera/image_raw"


@pytest.fixture
def port() -> Iterator[int]:
    port = free_port()
    with start_router(port):
        yield port


@pytest.fixture
def ros(port: int) -> Iterator[Ros]:
    with Ros(port, domain=7) as ros:
        yield ros


def cdr(frame: np.ndarray, encoding: str = "bgr8") -> bytes:
    message = image(frame, encoding=encoding)
    return bytes(STORE.serialize_cdr(message, "sensor_msgs/msg/Image"))


@contextmanager
def publishing(ros: Ros, *messages: bytes, kind: str = "Image", type_hash: str = IMAGE) -> Any:
    """Publish messages in turn, as a node of Lyrical does: to subscriptions that it knows."""
    ended = threading.Event()

    def work() -> None:
        number = 0
        while not ended.wait(0.03):
            if any(f"{kind}_/{type_hash}/" in token for token in ros.subscriptions(TOPIC)):
                number += 1
                ros.publish(TOPIC, messages[number % len(messages)], kind, type_hash, number)

    ros.advertise(TOPIC, kind, type_hash)
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def first(uri: str, count: int) -> tuple[list[Captured], list[Event]]:
    """Return so many frames and the events before the last of them."""
    frames, events = [], []
    with open_any(uri) as source:
        for item in source.items:
            (frames if isinstance(item, Captured) else events).append(item)
            if len(frames) == count:
                return frames, events
    raise AssertionError("the source ended")


def test_names_are_those_of_the_documents_of_rmw_zenoh() -> None:
    type_hash = "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18"
    chatter = Topic("chatter", "std_msgs/msg/String", type_hash)
    assert f"0/{chatter.key}" == f"0/chatter/std_msgs::msg::dds_::String_/{type_hash}"
    token = (
        "@ros2_lv/0/8b20917502ee955ac4476e0266340d5c/0/10/MP/%/%/talker/%chatter/"
        f"std_msgs::msg::dds_::String_/{type_hash}/::,7:,:,:,,"
    )
    assert topic_of_token(token) == topic_of_key(f"0/{chatter.key}") == chatter
    deep = Topic("robot1/camera/image_raw", "sensor_msgs/msg/Image", IMAGE)
    assert topic_of_key(f"0/{deep.key}") == deep
    assert deep.token.startswith("%robot1%camera%image_raw/sensor_msgs::msg::dds_::Image_/")


def test_pictures_arrive_as_they_were_sent(port: int, ros: Ros) -> None:
    uri = f"ros2:/{TOPIC}?domain=7&router=tcp/127.0.0.1:{port}"
    with publishing(ros, cdr(wall())):
        frames, events = first(uri, 2)
    np.testing.assert_array_equal(frames[0].frame, wall())
    assert frames[1].frame_id > frames[0].frame_id
    assert [(event.kind, event.detail) for event in events] == [("camera_found", "96x64 px")]
    wait_for(lambda: not ros.subscriptions(TOPIC))  # its tokens leave with it


def test_compressed_pictures_and_damage(port: int, ros: Ros) -> None:
    fields = {"header": image(wall()).header, "format": "bgr8; png compressed bgr8"}
    kind = STORE.types["sensor_msgs/msg/CompressedImage"]
    png = cv2.imencode(".png", wall())[1].ravel()
    good, bad = (
        bytes(STORE.serialize_cdr(kind(**fields, data=data), "sensor_msgs/msg/CompressedImage"))
        for data in (png, png[:40])
    )
    uri = f"ros2:/{TOPIC}?domain=7&router=tcp/127.0.0.1:{port}"
    messages = (good, good, bad, good[:9])
    faults: dict[tuple[str, ...], Any] = {}
    with (
        publishing(ros, *messages, kind="CompressedImage", type_hash=COMPRESSED),
        open_any(uri) as source,
    ):
        while len(faults) < 2:
            if isinstance(item := next(source.items), Captured):
                faults[item.faults] = item.frame
    assert faults.keys() == {(), ("corrupt",)}
    np.testing.assert_array_equal(faults[()], wall())


def test_a_message_of_any_size_is_not_taken(
    port: int, ros: Ros, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rmw_zenoh, "MAX_MESSAGE_BYTES", 100_000)
    sizes: list[int] = []

    def send(size: int) -> None:
        ros.session.put("7/x", bytes(size))

    with (
        open_session(parse_place(f"ros2://x?domain=7&router=tcp/127.0.0.1:{port}")) as session,
        session.declare_subscriber("7/x", lambda sample: sizes.append(len(sample.payload))),
    ):
        wait_for(lambda: send(1) or 1 in sizes)
        send(1_000_000)
        wait_for(lambda: send(2) or 2 in sizes)  # what follows is taken again
    assert set(sizes) == {1, 2}


def test_types_without_number_are_not_all_answered() -> None:
    inbox = _Inbox()
    for number in range(100):
        token = f"@ros2_lv/7/z/0/1/MP/%/%/n/%camera/sensor_msgs::msg::dds_::Image_/{number}/q"
        inbox.publisher(SimpleNamespace(kind=zenoh.SampleKind.PUT, key_expr=token))
    assert len(inbox.take(0)[0]) == MAX_TYPES
    assert inbox.take(0) == ([], None)


@pytest.mark.usefixtures("impatient")
def test_a_topic_that_nobody_publishes_is_said_with_those_that_are_there(
    port: int, ros: Ros
) -> None:
    ros.advertise("/camera/front/image_raw")
    uri = f"ros2://camera/image?domain=7&router=tcp/127.0.0.1:{port}"
    with open_any(uri) as source:
        event = next(source.items)
    assert isinstance(event, Event)
    assert (event.kind, event.reason) == ("camera_waiting", "absent")
    assert event.detail.startswith(
        "nobody publishes pictures on /camera/image in domain 7; found /camera/front/image_raw"
    )


@pytest.mark.usefixtures("impatient")
def test_pictures_that_cannot_be_used_are_one_line(port: int, ros: Ros) -> None:
    uri = f"ros2:/{TOPIC}?domain=7&router=tcp/127.0.0.1:{port}"
    with publishing(ros, cdr(wall(), "32FC1")), open_any(uri) as source:
        event = next(source.items)
    assert isinstance(event, Event)
    assert (event.kind, event.reason) == ("camera_waiting", "format")
    assert event.detail.startswith("/camera/image_raw: encoding '32FC1', expected one of bgr8,")


@pytest.mark.usefixtures("impatient")
def test_a_router_may_be_absent_and_come_and_go() -> None:
    port = free_port()
    uri = f"ros2:/{TOPIC}?router=tcp/127.0.0.1:{port}"
    with open_any(uri, frame_s=1.0) as source:
        waiting = next(source.items)
        assert isinstance(waiting, Event)
        assert (waiting.kind, waiting.reason) == ("camera_waiting", "unreachable")
        assert waiting.detail.startswith(f"127.0.0.1:{port}: Connection refused")
        for _ in range(2):
            with start_router(port), Ros(port) as ros, publishing(ros, cdr(wall())):
                wait_for(lambda: isinstance(next(source.items), Captured))
            wait_for(lambda: getattr(next(source.items), "kind", "") == "camera_lost")


def test_what_is_no_topic_is_refused() -> None:
    for uri, said in (
        ("ros2://", "expected the name of a topic"),
        ("ros2://camera/image-raw", "expected the name of a topic"),
        ("ros2://joe:secret@image", r"ros2://\*\*\*@image: expected the name"),
        ("ros2://image?domain=" + 5000 * "1", "expected a number from 0 to 232"),
        ("ros2://image?domain=233", "domain=233, expected a number from 0 to 232"),
        ("ros2://image?router=udp/127.0.0.1:7447", "expected router=tcp/HOST:PORT"),
        ("ros2://image?router=tcp/127.0.0.1:70000", "expected router=tcp/HOST:PORT"),
        ("ros2://image?qos=1", "unknown option 'qos', expected domain or router"),
    ):
        with pytest.raises(InputError, match=said):
            parse_camera(uri)
    place = parse_place("ros2:///camera/image_raw?router=tcp/[::1]:7448&domain=3")
    assert (place.name, place.domain, place.address) == ("camera/image_raw", 3, ("::1", 7448))
    camera = parse_camera("ros2://image")
    assert camera is not None
    assert camera.address == ("localhost", 7447)


def test_a_missing_package_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scnet_edge.video.camera.ROS2_NEEDS", ("no_such_package",))
    with (
        open_any("ros2://image") as source,
        pytest.raises(InputError, match=r"needs the package no_such_package; .*\[ros\]"),
    ):
        next(source.items)
