"""`--sink ros2://PREFIX` against a ROS side of rmw_zenoh's names, over loopback TCP."""

from __future__ import annotations

import re
import struct
import time
from typing import Any

import cv2
import numpy as np
import pytest
from ros_over_zenoh import COMPRESSED, IMAGE, STORE, Ros, free_port, start_router, wait_for
from sink_frames import frame_result, recorder

from scnet_edge.errors import ConfigError
from scnet_edge.events import event_now
from scnet_edge.sinks import ros_results
from scnet_edge.sinks.open import open_sinks
from scnet_edge.sinks.ros_results import TOPICS, types

HEADS = {
    "mask": f"sensor_msgs::msg::dds_::Image_/{IMAGE}",
    "overlay/compressed": f"sensor_msgs::msg::dds_::CompressedImage_/{COMPRESSED}",
}


def write_until(ros: Ros, sink: Any, enough: int) -> None:
    """Write frames until so many messages were heard; the first may be before the subscription."""
    for i in range(1000):
        sink.write(frame_result(i))
        sink.note(event_now("camera_lost", "timeout", "no frame for 5 s"))
        time.sleep(0.02)
        if len(ros.heard) >= enough:
            return
    raise AssertionError(f"heard {len(ros.heard)}")


def test_a_ros_node_finds_the_topics_and_reads_the_messages() -> None:
    port = free_port()
    uri = f"ros2://robot1/cracks?domain=3&router=tcp/127.0.0.1:{port}"
    with (
        start_router(port),
        Ros(port, domain=3) as ros,
        open_sinks([uri], recorder()) as [sink],
    ):
        ros.hear("3/robot1/cracks/**")
        write_until(ros, sink, 25)
        session = re.escape(next(t for t in ros.tokens if "/NN/" in t).split("/")[2])
        endpoints = {t.split("/", 9)[9] for t in ros.tokens if "/MP/" in t}
        nodes = {t.rsplit("/", 3)[0] for t in ros.tokens}
        for token in ros.tokens:
            assert re.match(rf"@ros2_lv/3/{session}/0/\d/(MP|NN)/%/%/scnet_edge(/|$)", token)
        assert len(ros.tokens) == len(set(ros.tokens)) == 1 + len(TOPICS) == len(nodes)
        for name, rest in HEADS.items():
            assert f"%robot1%cracks%{name.replace('/', '%')}/{rest}/::,10:,:,:,," in endpoints
    by_topic: dict[str, list[tuple[bytes, bytes]]] = {name: [] for name in TOPICS}
    for key, payload, attachment in ros.heard:
        [name] = [name for name in TOPICS if key.startswith(f"3/robot1/cracks/{name}/")]
        package, _, kind = TOPICS[name].split("/")
        type_hash = types().hash_rihs01(TOPICS[name])
        assert key == f"3/robot1/cracks/{name}/{package}::msg::dds_::{kind}_/{type_hash}"
        assert HEADS.get(name, "") in key
        by_topic[name].append((payload, attachment))
    gids = set()
    for messages in by_topic.values():
        unpacked = [struct.unpack("<qqB16s", attachment) for _, attachment in messages]
        numbers = [number for number, *_ in unpacked]
        assert numbers == list(range(1, 1 + len(numbers)))
        assert all(0 <= time.time_ns() - at_ns < 600 * 10**9 for _, at_ns, *_ in unpacked)
        assert {size for *_, size, _ in unpacked} == {16}
        [gid] = {gid for *_, gid in unpacked}
        gids.add(gid)
    assert len(gids) == len(TOPICS)
    mask = STORE.deserialize_cdr(by_topic["mask"][0][0], "sensor_msgs/msg/Image")
    expected = frame_result(0).result.mask * np.uint8(255)
    np.testing.assert_array_equal(mask.data.reshape(48, 64), expected)
    overlay = STORE.deserialize_cdr(
        by_topic["overlay/compressed"][0][0], "sensor_msgs/msg/CompressedImage"
    )
    assert cv2.imdecode(overlay.data, cv2.IMREAD_COLOR).shape == (48, 64, 3)
    log = STORE.deserialize_cdr(by_topic["log"][0][0], "rcl_interfaces/msg/Log")
    assert log.msg == "camera_lost timeout no frame for 5 s"


def test_what_nobody_subscribes_to_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ros_results, "draw_result")
    port = free_port()
    uri = f"ros2://?router=tcp/127.0.0.1:{port}"
    with start_router(port), Ros(port) as ros:
        ros.hear(f"0/scnet_edge/mask/{HEADS['mask']}")
        with open_sinks([uri], recorder()) as [sink]:
            write_until(ros, sink, 3)
        assert not sink.stats.error
        ros.hear(f"0/scnet_edge/overlay/compressed/{HEADS['overlay/compressed']}")
        with pytest.raises(NameError, match="draw_result"):
            write_frames(uri)


def write_frames(uri: str) -> None:
    with open_sinks([uri], recorder()) as [sink]:
        for i in range(100):
            sink.write(frame_result(i))
            time.sleep(0.02)


def test_a_router_that_is_away_is_one_line_and_may_come_and_go(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("scnet_edge.sinks.ros2_topics.RETRY_S", 0.05)
    port = free_port()
    with open_sinks([f"ros2://?router=tcp/127.0.0.1:{port}"], recorder()) as [sink]:
        for i in range(5):
            sink.write(frame_result(i))
        wait_for(lambda: sink.stats.failed == 5)
        assert sink.stats.error.startswith(f"no zenoh router at tcp/127.0.0.1:{port}; start it by")
        for _ in range(2):
            with start_router(port), Ros(port) as ros:
                ros.hear("0/scnet_edge/mask/**")
                write_until(ros, sink, 2)
            wait_for(lambda: sink.stats.error)
            assert sink.stats.error == f"no connection to the router tcp/127.0.0.1:{port}"
    assert len([r for r in caplog.records if "start it by" in r.message]) == 1


def test_a_sink_without_a_name_is_refused() -> None:
    for uri, said in (
        ("ros2://a-b", r"sink ros2://a-b: expected the name of a topic"),
        ("ros2://?domain=x", "domain=x, expected a number"),
    ):
        with pytest.raises(ConfigError, match=said), open_sinks([uri], recorder()):
            pass
