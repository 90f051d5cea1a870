"""ROS 2 topics over zenoh, without ROS here: the mask, overlay, cracks, boxes and the fault log.

`ros2://PREFIX?domain=0&router=tcp/HOST:7447`, for robots whose nodes run rmw_zenoh; see
`video.rmw_zenoh`. What nobody subscribes to is not made.
"""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass

from scnet_edge.errors import ConfigError, InputError
from scnet_edge.events import Event
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.sinks.ros_results import TOPICS, ros_results, types
from scnet_edge.sinks.run_records import Recorder
from scnet_edge.video.rmw_zenoh import Node, Publisher, Topic, open_session
from scnet_edge.video.uris import Place, parse_place

PREFIX = "scnet_edge"
RETRY_S = 2.0  # between two tries to reach a router that is away


@dataclass(frozen=True, slots=True)
class _Open:
    node: Node  # its tokens live as long as it does
    publishers: dict[str, Publisher]


class Ros2Topics:
    """An `Outlet` to the zenoh router of a robot, which may come and go.

    Raises:
        ConfigError: the URI names no topics.
    """

    depth = 8

    def __init__(self, uri: str, recorder: Recorder) -> None:
        try:
            self._place: Place = parse_place(uri, default=PREFIX)
        except InputError as e:
            raise ConfigError(f"sink {e}") from e
        self._recorder = recorder
        self._open: _Open | None = None
        self._refused = ""
        self._try_at_s = 0.0

    def prepare(self, item: FrameResult | Event) -> FrameResult | Event:
        """Return what is to be published, unchanged."""
        return item

    def put(self, item: FrameResult | Event) -> None:
        """Publish the messages of a frame or an event that somebody subscribes to."""
        publishers = self._connect()
        wanted = [topic for topic, publisher in publishers.items() if publisher.wanted]
        for topic, _, message in ros_results(item, self._recorder, wanted):
            publishers[topic].put(message)

    def flush(self) -> None:
        """Reach the router, where it is away."""
        self._connect()

    def close(self) -> None:
        """Send what zenoh still holds, and take back the topics."""
        if self._open is not None:
            self._open.node.session.close()

    def _connect(self) -> dict[str, Publisher]:
        """Return the publishers by topic.

        Raises:
            OSError: the router is away.
        """
        if self._open is None:
            self._open = self._reopen()
        if not self._open.node.session.info.routers_zid():
            raise OSError(errno.ENOTCONN, f"no connection to the router {self._place.router}")
        return self._open.publishers

    def _reopen(self) -> _Open:
        now_s = time.monotonic()
        if now_s < self._try_at_s:
            raise OSError(errno.ENOTCONN, self._refused)
        try:
            session = open_session(self._place)
        except OSError as e:
            self._refused, self._try_at_s = str(e), now_s + RETRY_S
            raise
        node = Node(session, self._place.domain)
        topics = {
            name: Topic(f"{self._place.name}/{name}", kind, types().hash_rihs01(kind))
            for name, kind in TOPICS.items()
        }
        return _Open(node, {name: node.advertise(topic) for name, topic in topics.items()})
