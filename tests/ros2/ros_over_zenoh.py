"""The ROS side of a robot that runs rmw_zenoh: its router, and a peer that sends and hears CDR.

Written against the documents of rmw_zenoh, not against our own names of things; the settings are
those of its default files.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import zenoh
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
# What `ros2 topic info -v` says on Jazzy.
IMAGE = "RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47"
COMPRESSED = "RIHS01_15640771531571185e2efc8a100baf923961a4d15d5569652e6cb6691e8e371a"
ODOMETRY = "RIHS01_3cc97dc7fb7502f8714462c526d369e35b603cfc34d946e3f2eda2766dfec6e0"
ROOM_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _session(**settings: Any) -> zenoh.Session:
    config = zenoh.Config()
    for key, value in settings.items():
        config.insert_json5(key.replace("__", "/"), json.dumps(value))
    config.insert_json5("scouting/multicast/enabled", "false")
    return zenoh.open(config)


def start_router(port: int) -> zenoh.Session:
    """Start what `rmw_zenohd` is; it forwards nothing from peer to peer."""
    return _session(
        mode="router",
        listen__endpoints=[f"tcp/127.0.0.1:{port}"],
        routing__router__peers_failover_brokering=False,
    )


class Ros:
    """A node of rmw_zenoh: a peer of the router."""

    def __init__(self, port: int, domain: int = 0) -> None:
        self.session = _session(
            mode="peer",
            connect__endpoints=[f"tcp/127.0.0.1:{port}"],
            listen__endpoints=["tcp/127.0.0.1:0"],
        )
        self.domain = domain
        self.tokens: list[str] = []
        self.heard: list[tuple[str, bytes, bytes]] = []
        self._held: list[Any] = []
        self._held.append(
            self.session.liveliness().declare_subscriber(
                f"@ros2_lv/{domain}/**", self._token, history=True
            )
        )

    def _token(self, sample: zenoh.Sample) -> None:
        if sample.kind == zenoh.SampleKind.PUT:
            self.tokens.append(str(sample.key_expr))
        else:
            self.tokens.remove(str(sample.key_expr))

    def advertise(self, topic: str, kind: str = "Image", type_hash: str = IMAGE) -> None:
        """Show a publisher."""
        name = topic.replace("/", "%")
        self._held.append(
            self.session.liveliness().declare_token(
                f"@ros2_lv/{self.domain}/{self.session.zid()}/0/10/MP/%/%/camera/{name}/"
                f"sensor_msgs::msg::dds_::{kind}_/{type_hash}/::,7:,:,:,,"
            )
        )

    def subscriptions(self, topic: str) -> list[str]:
        """Return the tokens of subscriptions to a topic."""
        return [t for t in self.tokens if "/MS/" in t and f"/{topic.replace('/', '%')}/" in t]

    def publish(
        self, topic: str, cdr: bytes, kind: str = "Image", type_hash: str = IMAGE, number: int = 1
    ) -> None:
        key = f"{self.domain}{topic}/sensor_msgs::msg::dds_::{kind}_/{type_hash}"
        attachment = struct.pack("<qqB16s", number, time.time_ns(), 16, b"g" * 16)
        self.session.put(key, cdr, attachment=attachment)

    def publish_odometry(self, topic: str, cdr: bytes) -> None:
        key = f"{self.domain}{topic}/nav_msgs::msg::dds_::Odometry_/{ODOMETRY}"
        self.session.put(key, cdr, attachment=struct.pack("<qqB16s", 1, 0, 16, b"g" * 16))

    def hear(self, key: str) -> None:
        """Subscribe, and keep key, payload and attachment of what comes."""

        def take(sample: zenoh.Sample) -> None:
            attachment = sample.attachment.to_bytes() if sample.attachment else b""
            self.heard.append((str(sample.key_expr), sample.payload.to_bytes(), attachment))

        self._held.append(self.session.declare_subscriber(key, take))

    def __enter__(self) -> Ros:
        return self

    def __exit__(self, *error: object) -> None:
        self.session.close()


def wait_for(condition: Callable[[], Any]) -> Any:
    """Return what the condition returns as soon as it is true."""
    end_s = time.monotonic() + ROOM_S
    while not (value := condition()):
        assert time.monotonic() < end_s
        time.sleep(0.01)
    return value
