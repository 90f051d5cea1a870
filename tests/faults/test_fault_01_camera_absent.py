"""No camera at the start: the loop waits for it, without haste, and goes on when it comes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from misbehaving import MjpegCamera, picture

from scnet_edge.events import Event
from scnet_edge.runtime.delivery import CallbackSink
from scnet_edge.runtime.loop import run_loop
from scnet_edge.types import Frame, Result
from scnet_edge.video.sources import open_source


def nothing(frame: Frame) -> Result:
    mask = np.zeros(frame.shape[:2], bool)
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("kind", ["v4l2:///dev/video97", "http", "rtsp"])
def test_the_loop_stays_up_and_idle(kind: str) -> None:
    uri = kind if kind.startswith("v4l2") else f"{kind}://joe:pw@127.0.0.1:{free_port()}/1"
    events: list[Event] = []

    def stop_at_the_second(event: Event) -> None:
        events.append(event)
        if event.attempt == 2:
            source.stop.set()

    with open_source(uri) as source:
        start_s, before_s = time.monotonic(), time.process_time()
        counters = run_loop(source, nothing, [CallbackSink(on_event=stop_at_the_second)])
        cpu_s, took_s = time.process_time() - before_s, time.monotonic() - start_s
    assert counters.captured == 0
    *waiting, closed = events
    assert closed.kind == "run_closed"
    assert [event.kind for event in waiting if event.kind != "gap"] == ["camera_waiting"] * 2
    assert [event.attempt for event in waiting if event.kind != "gap"] == [1, 2]
    assert all("pw" not in event.detail for event in events)
    assert cpu_s < 0.1 * took_s  # it waits, and does not spin


@pytest.mark.usefixtures("impatient")
def test_the_camera_comes_later(mjpeg_camera: Callable[..., Any]) -> None:
    port = free_port()
    kinds: list[str] = []
    started: list[MjpegCamera] = []

    def endless(send: Callable[[bytes], None], number: int) -> None:
        for i in range(200):
            send(picture(40 + i))
            time.sleep(0.01)

    def start_it(event: Event) -> None:
        kinds.append(event.kind)
        if kinds.count("camera_waiting") == 2 and not started:
            started.append(MjpegCamera(endless, port))

    with open_source(f"http://127.0.0.1:{port}/") as source:
        sink = CallbackSink(on_event=start_it)
        counters = run_loop(source, nothing, [sink], frames=5, policy="every")
    started[0].close()
    assert counters.processed == 5
    assert "camera_found" in kinds[2:]
    assert "camera_lost" not in kinds
