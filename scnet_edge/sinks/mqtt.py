"""MQTT: frames with cracks, events and telemetry to a broker, and a last will when we vanish.

TOPIC/status      retained, `online` or `offline`; the broker itself says `offline` when we die
TOPIC/frame       QoS 1, the record of every frame with a crack
TOPIC/event       QoS 1, the fault log
TOPIC/telemetry   QoS 0, once a second
"""

from __future__ import annotations

import errno
import logging
import time
from collections import deque
from contextlib import suppress
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from scnet_edge.errors import ConfigError
from scnet_edge.events import Event
from scnet_edge.redaction import redact
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.sinks.queued import Lost
from scnet_edge.sinks.run_records import FrameRecord, Recorder

KEEPALIVE_S = 10
QUEUED = 1000  # messages that wait for a broker that is away
IN_FLIGHT = 20
RECONNECT_S = (1, 30)
GOODBYE_S = 2.0
NO_CONNECTION = "no connection to the broker"
UNACKNOWLEDGED = "the broker did not acknowledge the last messages"
PORTS = {"mqtt": 1883, "mqtts": 8883}

Message: TypeAlias = tuple[str, bytes]
logger = logging.getLogger(__name__)


class Mqtt:
    """An `Outlet` to a broker, which may come and go.

    What the client keeps for the broker counts as written, until `close` finds that the broker
    never acknowledged it.

    Args:
        url: `mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC`, or `mqtts://` for TLS with the system's
            certificates.
    """

    depth = 256

    def __init__(self, url: str, recorder: Recorder) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS.get(parts.scheme)
        except ValueError:
            remedy = "write special characters of a password as %XX"
            raise ConfigError(f"{redact(url)}: expected mqtt://HOST:PORT/TOPIC; {remedy}") from None
        self.topic = parts.path.strip("/")
        if port is None or parts.scheme not in PORTS or not parts.hostname or not self.topic:
            raise ConfigError(f"{redact(url)}: expected mqtt://HOST/TOPIC")
        if parts.fragment or url.endswith("#") or set("+@") & set(self.topic):
            raise ConfigError(f"{redact(url)}: a topic holds none of #, + and @")
        self._recorder = recorder
        self._handed: deque[paho.MQTTMessageInfo] = deque()
        self._client = _client(parts.scheme, parts.username, parts.password)
        self._client.will_set(f"{self.topic}/status", b"offline", qos=1, retain=True)
        self._client.on_connect = self._greet
        self._client.connect_async(parts.hostname, port, KEEPALIVE_S)
        self._client.loop_start()

    def prepare(self, item: FrameResult | Event) -> Message | None:
        """Return topic and payload of an event or of a frame with a crack."""
        record = self._recorder.record(item)
        if not isinstance(record, FrameRecord):
            return "event", msgspec.json.encode(record)
        return ("frame", msgspec.json.encode(record)) if record.cracks else None

    def put(self, message: Message) -> None:
        """Hand a message to the client, which keeps it until the broker has it."""
        topic, payload = message
        info = self._publish(topic, payload)
        while self._handed and self._handed[0].is_published():
            self._handed.popleft()
        self._handed.append(info)

    def flush(self) -> None:
        """Publish the telemetry; without a connection it is not worth keeping."""
        if not self._client.is_connected():
            raise OSError(errno.ENOTCONN, NO_CONNECTION)
        payload = msgspec.json.encode(self._recorder.telemetry())
        self._client.publish(f"{self.topic}/telemetry", payload, qos=0)

    def close(self) -> None:
        """Say goodbye, give the broker a moment to take what waits, and leave."""
        connected = self._client.is_connected()
        if connected:
            with suppress(OSError):  # what waits may fill the queue
                self._wait_for(self._publish("status", b"offline", retain=True))
        self._client.disconnect()
        self._client.loop_stop()
        lost = sum(not info.is_published() for info in self._handed)
        if lost or not connected:
            raise Lost(lost, UNACKNOWLEDGED if connected else NO_CONNECTION)

    def _publish(self, topic: str, payload: bytes, *, retain: bool = False) -> paho.MQTTMessageInfo:
        info = self._client.publish(f"{self.topic}/{topic}", payload, qos=1, retain=retain)
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            raise OSError(errno.ENOBUFS, f"the broker is away and {QUEUED} messages wait")
        info.rc = MQTTErrorCode.MQTT_ERR_SUCCESS  # to paho it is an error to wait for a connection
        return info

    def _wait_for(self, info: paho.MQTTMessageInfo) -> None:
        deadline_s = time.monotonic() + GOODBYE_S
        while not info.is_published() and time.monotonic() < deadline_s:
            time.sleep(0.01)

    def _greet(self, client: paho.Client, *about: object) -> None:
        reason = about[2]
        if isinstance(reason, paho.ReasonCode) and reason.is_failure:
            logger.error("MQTT broker refuses us: %s", reason)
            return
        client.publish(f"{self.topic}/status", b"online", qos=1, retain=True)


def _client(scheme: str, username: str | None, password: str | None) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(IN_FLIGHT)
    client.max_queued_messages_set(QUEUED)
    client.reconnect_delay_set(*RECONNECT_S)
    if username:
        client.username_pw_set(unquote(username), None if password is None else unquote(password))
    if scheme == "mqtts":
        client.tls_set()
    return client
