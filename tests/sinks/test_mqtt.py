"""MQTT without a broker: what nobody acknowledged was not written. With one: see the faults."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("paho.mqtt.client")
from sink_frames import frame_result, recorder

from scnet_edge.runtime.status import SinkStats
from scnet_edge.sinks import mqtt, queued
from scnet_edge.sinks.queued import Lost


def test_without_a_broker_it_says_so_and_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queued, "FLUSH_S", 0.01)
    monkeypatch.setattr(mqtt, "RECONNECT_S", (0.05, 0.1))
    outlet = mqtt.Mqtt("mqtt://127.0.0.1:1/robot", recorder())
    sink = queued.Queued(outlet, "mqtt", backpressure=True)
    for i in range(5):
        sink.write(frame_result(i))
    while sink.stats.waiting or not sink.stats.error:
        time.sleep(0.005)
    assert sink.stats.error == "no connection to the broker"
    sink.close()
    assert sink.stats == SinkStats(
        name="mqtt", accepted=5, failed=5, error="no connection to the broker"
    )


def test_a_connection_that_goes_at_the_end_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "GOODBYE_S", 0.05)
    outlet = mqtt.Mqtt("mqtt://127.0.0.1:1/robot", recorder())
    message = outlet.prepare(frame_result(0))
    assert message is not None
    outlet.put(message)
    monkeypatch.setattr(outlet._client, "is_connected", lambda: True)  # and then it is not
    with pytest.raises(Lost) as lost:
        outlet.close()
    assert lost.value.items == 1
