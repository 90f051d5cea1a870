"""How ROS 2 speaks over zenoh: what rmw_zenoh calls a topic, and how its nodes find each other.

Of rmw_zenoh 0.2.4 and newer, for Jazzy, Kilted and Lyrical; older versions write attachments in
another way. A session is a client of the robot's router, for that router hands nothing from one
peer to another.
"""

from __future__ import annotations

import hashlib
import json
import struct
import time
from dataclasses import dataclass, field
from typing import Literal

import zenoh

from scnet_edge.video.uris import Place

GRAPH = "@ros2_lv"  # where nodes, publishers and subscriptions show that they live
NODE = "scnet_edge"
MAX_MESSAGE_BYTES = 256 * 2**20  # a picture of 36 megapixels has 108 MB
QOS = "::,10:,:,:,,"  # reliable, volatile, the last 10; all else as rmw_zenoh has it


def open_session(place: Place) -> zenoh.Session:
    """Return a session with the router; it connects itself again when the router comes back.

    Raises:
        OSError: no router answers there.
    """
    config = zenoh.Config()
    for key, value in {
        "mode": "client",
        "connect/endpoints": [place.router],
        "scouting/multicast/enabled": False,
        "transport/shared_memory/enabled": False,
        "transport/link/rx/max_message_size": MAX_MESSAGE_BYTES,
    }.items():
        config.insert_json5(key, json.dumps(value))
    try:
        return zenoh.open(config)
    except zenoh.ZError as e:
        raise ConnectionError(
            f"no zenoh router at {place.router}; start it by 'ros2 run rmw_zenoh_cpp rmw_zenohd'"
        ) from e


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic with its type, as keys and tokens spell them.

    Attributes:
        name: without a slash before it.
        kind: such as `sensor_msgs/msg/Image`.
        type_hash: of the type's definition, `RIHS01_` and 64 hexadecimal digits.
    """

    name: str
    kind: str
    type_hash: str

    @property
    def key(self) -> str:
        """Name, type and hash, as a message's key has them after the domain."""
        return f"{self.name}/{self._dds_type}/{self.type_hash}"

    @property
    def token(self) -> str:
        """The same as a token has them, each in one chunk."""
        return f"{_chunk(self.name)}/{self._dds_type}/{self.type_hash}"

    @property
    def _dds_type(self) -> str:
        package, folder, name = self.kind.split("/")
        return f"{package}::{folder}::dds_::{name}_"


def topic_of_key(key: str) -> Topic:
    """Return the topic of a message's key, `DOMAIN/NAME/TYPE/HASH`."""
    _, _, rest = key.partition("/")
    name, dds_type, type_hash = rest.rsplit("/", 2)
    return Topic(name, _kind(dds_type), type_hash)


def topic_of_token(token: str) -> Topic:
    """Return the topic of a publisher's or a subscription's token."""
    name, dds_type, type_hash = token.split("/")[9:12]
    return Topic(name.replace("%", "/").strip("/"), _kind(dds_type), type_hash)


def publishers_of(domain: int, name: str | None = None) -> str:
    """Return what matches the token of every publisher in a domain, or of one topic."""
    topic = "*" if name is None else _chunk(name)
    return f"{GRAPH}/{domain}/*/*/*/MP/*/*/*/{topic}/*/*/*/**"


def _chunk(name: str) -> str:
    return f"/{name}".replace("/", "%")


def _kind(dds_type: str) -> str:
    return dds_type.replace("::dds_::", "/").replace("::", "/").removesuffix("_")


@dataclass(slots=True)
class Node:
    """Our node in the ROS graph, as long as its session lives.

    A publisher without a token is in no list of topics. A publisher of Lyrical sends pictures only
    where it sees a subscription's token.
    """

    session: zenoh.Session
    domain: int
    _tokens: dict[str, zenoh.LivelinessToken] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._declare(f"{self._root}/0/NN/%/%/{NODE}")

    @property
    def _root(self) -> str:
        return f"{GRAPH}/{self.domain}/{self.session.zid()}/0"

    def subscribe(self, topic: Topic) -> None:
        """Show a subscription to a topic; once for each type."""
        self._endpoint("MS", topic)

    def advertise(self, topic: Topic) -> Publisher:
        """Show a publisher of a topic and return it."""
        token = self._endpoint("MP", topic)
        return Publisher(
            self.session.declare_publisher(
                f"{self.domain}/{topic.key}", congestion_control=zenoh.CongestionControl.DROP
            ),
            hashlib.blake2b(token.encode(), digest_size=16).digest(),
        )

    def _endpoint(self, role: Literal["MP", "MS"], topic: Topic) -> str:
        known = [token for token in self._tokens if f"/{role}/" in token and topic.token in token]
        if known:
            return known[0]
        return self._declare(
            f"{self._root}/{len(self._tokens)}/{role}/%/%/{NODE}/{topic.token}/{QOS}"
        )

    def _declare(self, token: str) -> str:
        self._tokens[token] = self.session.liveliness().declare_token(token)
        return token


class Publisher:
    """Publishes messages of one topic, each with the attachment without which ROS drops it."""

    def __init__(self, publisher: zenoh.Publisher, gid: bytes) -> None:
        self._publisher, self._gid = publisher, gid
        self._sequence = 0

    @property
    def wanted(self) -> bool:
        """Whether anybody subscribes."""
        return bool(self._publisher.matching_status.matching)

    def put(self, cdr: bytes) -> None:
        """Publish a message in CDR with its header of 4 bytes."""
        self._sequence += 1
        attachment = struct.pack("<qqB", self._sequence, time.time_ns(), len(self._gid))
        self._publisher.put(cdr, attachment=attachment + self._gid)
