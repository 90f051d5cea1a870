"""A topic of pictures of a robot that runs ROS 2 over zenoh, without ROS here.

Nothing here has a deadline of its own: `camera` kills this process at the one that it was given.
"""

from __future__ import annotations

from collections.abc import Generator
from threading import Condition

import zenoh
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from scnet_edge.errors import InputError
from scnet_edge.types import Frame
from scnet_edge.video.rmw_zenoh import (
    Node,
    Topic,
    open_session,
    publishers_of,
    topic_of_key,
    topic_of_token,
)
from scnet_edge.video.ros_images import PICTURES, frame_of
from scnet_edge.video.shared_frames import CameraTrouble
from scnet_edge.video.uris import Camera, Place, parse_place

MAX_TYPES = 16  # of publishers that are answered: anybody there can show any number
SILENCE_S = 3.0  # before the first picture; then it is asked who publishes at all


def topic_frames(camera: Camera) -> Generator[Frame | None]:
    """Yield a topic's pictures, (h, w, 3) uint8 BGR, the newest first; None for a damaged one.

    Raises:
        CameraTrouble: no router there, nobody who publishes pictures on the topic, or pictures of
            an unknown encoding.
    """
    place = parse_place(camera.target)
    try:
        session = open_session(place)
    except OSError as e:
        raise CameraTrouble("unreachable", str(e)) from e
    with session:
        yield from _frames(session, place)


def _frames(session: zenoh.Session, place: Place) -> Generator[Frame | None]:
    inbox, node, known = _Inbox(), Node(session, place.domain), get_typestore(Stores.LATEST)
    tokens, pictures = publishers_of(place.domain, place.name), f"{place.domain}/{place.name}/*/*"
    seen = published = False
    with (
        session.liveliness().declare_subscriber(tokens, inbox.publisher, history=True),
        session.declare_subscriber(pictures, inbox.picture),
    ):
        while True:
            topics, picture = inbox.take(None if seen or published else SILENCE_S)
            for topic in topics:
                node.subscribe(topic)
                published = True
            if picture is not None:
                frame = _decode(picture, known, seen)
                seen = seen or frame is not None
                yield frame
            elif not topics:
                raise CameraTrouble("absent", _nobody(session, place))


def _decode(picture: zenoh.Sample, known: Typestore, seen: bool) -> Frame | None:
    """Return the frame of a message; None for a damaged one.

    Raises:
        CameraTrouble: the first cannot be used, so the next will not be either.
    """
    topic = topic_of_key(str(picture.key_expr))
    try:
        message = known.deserialize_cdr(picture.payload.to_bytes(), topic.kind)
        return frame_of(message, where=f"/{topic.name}")
    except (SerdeError, InputError) as e:
        if seen:
            return None
        raise CameraTrouble("format", str(e)) from e


def _nobody(session: zenoh.Session, place: Place) -> str:
    """Return that nobody publishes there, and what else there is to see."""
    replies = session.liveliness().get(publishers_of(place.domain))
    topics = (topic_of_token(str(reply.ok.key_expr)) for reply in replies if reply.ok)
    names = sorted({f"/{topic.name}" for topic in topics if topic.kind in PICTURES})
    found = f"found {', '.join(names)}" if names else "found no pictures at all"
    return f"nobody publishes pictures on /{place.name} in domain {place.domain}; {found}"


class _Inbox:
    """What zenoh's threads hand over: new publishers, and the newest picture."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._topics: list[Topic] = []
        self._known: set[Topic] = set()
        self._picture: zenoh.Sample | None = None

    def publisher(self, sample: zenoh.Sample) -> None:
        topic = topic_of_token(str(sample.key_expr))
        if sample.kind != zenoh.SampleKind.PUT or topic.kind not in PICTURES:
            return
        with self._changed:
            if topic not in self._known and len(self._known) < MAX_TYPES:
                self._known.add(topic)
                self._topics.append(topic)
                self._changed.notify()

    def picture(self, sample: zenoh.Sample) -> None:
        if topic_of_key(str(sample.key_expr)).kind in PICTURES:
            with self._changed:
                self._picture = sample
                self._changed.notify()

    def take(self, timeout_s: float | None) -> tuple[list[Topic], zenoh.Sample | None]:
        """Return what has come since; nothing where it is silent for so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._topics or self._picture, timeout_s)
            taken, self._topics, self._picture = (self._topics, self._picture), [], None
            return taken
