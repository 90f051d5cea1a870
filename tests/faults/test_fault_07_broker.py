"""A real mosquitto, killed and started again under a run: the will, the queue, the return."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

paho = pytest.importorskip("paho.mqtt.client")
from paho.mqtt.enums import CallbackAPIVersion  # noqa: E402
from sink_frames import frame_result, recorder  # noqa: E402

from scnet_edge.events import event_now  # noqa: E402
from scnet_edge.sinks import mqtt  # noqa: E402
from scnet_edge.sinks.queued import Queued  # noqa: E402

MOSQUITTO = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
pytestmark = pytest.mark.skipif(
    MOSQUITTO is None, reason="needs a broker: apt-get install mosquitto"
)


class Broker:
    """A mosquitto on a port of its own, loopback only."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(self._config)], stderr=-3)
        wait_for(self._answers)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0


class Listener:
    """A client of its own that keeps what the broker gives."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda c, u, m: self.messages.append((m.topic, m.payload))
        self.subscribed = threading.Event()
        self._client.on_subscribe = lambda *about: self.subscribed.set()
        self._client.on_connect = lambda client, *about: client.subscribe("robot/#", qos=1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def frames(self) -> list[int]:
        return [json.loads(p)["frame_id"] for t, p in self.messages if t == "robot/frame"]

    def statuses(self) -> list[bytes]:
        return [p for t, p in self.messages if t == "robot/status"]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def wait_for(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    if broker.process and broker.process.poll() is None:
        broker.kill()


@contextmanager
def listening(broker: Broker) -> Iterator[Listener]:
    listener = Listener(broker.port)
    assert listener.subscribed.wait(15)
    yield listener
    listener.close()


@pytest.fixture
def outlet(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> mqtt.Mqtt:
    monkeypatch.setattr(mqtt, "RECONNECT_S", (0.05, 0.1))
    monkeypatch.setattr(mqtt, "QUEUED", 20)
    monkeypatch.setattr(mqtt, "IN_FLIGHT", 5)
    return mqtt.Mqtt(f"mqtt://127.0.0.1:{broker.port}/robot", recorder())


def test_a_broker_that_comes_late_and_dies_loses_only_what_is_counted(
    broker: Broker, outlet: mqtt.Mqtt
) -> None:
    sink = Queued(outlet, "broker", backpressure=True)
    for i in range(10):  # no broker yet: they wait
        sink.write(frame_result(i))
    broker.start()
    with listening(broker) as listener:
        wait_for(lambda: listener.frames() == list(range(10)))
        sink.write(frame_result(10, crack=False))  # nothing to tell
        sink.note(event_now("camera_lost", "timeout"))
        outlet.flush()
        wait_for(lambda: {"robot/event", "robot/telemetry"} <= {t for t, _ in listener.messages})
        telemetry = dict(listener.messages)["robot/telemetry"]
        assert json.loads(telemetry)["power_mode"] == "15W"
        assert listener.statuses()[-1] == b"online"
        before = {thread.name for thread in threading.enumerate()}
    broker.kill()
    wait_for(lambda: not outlet._client.is_connected())
    for i in range(100, 200):  # none waits for the broker, which starts again only after them
        sink.write(frame_result(i))
    wait_for(lambda: not sink.stats.waiting)
    assert sink.stats.failed > 0
    assert "broker is away" in sink.stats.error
    assert {thread.name for thread in threading.enumerate()} <= before
    broker.start()
    with listening(broker) as listener:
        wait_for(lambda: outlet._client.is_connected())
        sink.write(frame_result(200))
        wait_for(lambda: 200 in listener.frames())
        sink.close()
        wait_for(lambda: listener.statuses()[-1:] == [b"offline"])
    stats = sink.stats
    assert stats.accepted == stats.written + stats.failed == 10 + 1 + 100 + 1


def test_the_broker_says_offline_when_the_robot_vanishes(broker: Broker) -> None:
    broker.start()
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[2])\n"
        "from sink_frames import recorder\n"
        "from scnet_edge.sinks.mqtt import Mqtt\n"
        "Mqtt(sys.argv[1], recorder()); time.sleep(60)"
    )
    helpers = str(Path(__file__).parents[1] / "sinks")
    url = f"mqtt://127.0.0.1:{broker.port}/robot"
    with listening(broker) as listener:
        robot = subprocess.Popen([sys.executable, "-c", code, url, helpers])
        wait_for(lambda: listener.statuses() == [b"online"])
        robot.kill()
        robot.wait()
        wait_for(lambda: listener.statuses() == [b"online", b"offline"])
