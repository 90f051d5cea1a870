"""The live server over real sockets: what it shows."""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest
from live_server import Run, ask, serving, wait_for
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from scnet_edge.errors import ConfigError
from scnet_edge.events import event_now
from scnet_edge.live.app import MAX_WATCHERS
from scnet_edge.web.server import Served


def test_health_follows_the_run(run: Run, live: Served) -> None:
    assert ask(live, "/healthz")[::2] == (200, b"starting\n")
    assert ask(live, "/readyz")[::2] == (503, b"starting\n")
    run.frame(0)
    assert ask(live, "/readyz")[::2] == (200, b"running\n")
    run.liveness.note(event_now("camera_lost", "timeout"))
    assert ask(live, "/readyz")[::2] == (503, b"waiting_camera\n")
    assert ask(live, "/healthz")[0] == 200


def test_the_newest_frame_with_its_crack(run: Run, live: Served) -> None:
    assert ask(live, "/frame.jpg")[0] == 503
    for i in range(3):
        run.frame(i)
    status, headers, jpeg = ask(live, "/frame.jpg")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (48, 64, 3)
    crack, wall = picture[22, 30].astype(int), picture[40, 30].astype(int)
    assert crack[2] - crack[1] > 60  # red on grey
    assert abs(wall[2] - wall[1]) < 10


def test_metrics_are_what_prometheus_reads(run: Run, live: Served) -> None:
    for i in range(3):
        run.frame(i)
    run.counters.capture()
    run.counters.drop("stale")
    text = ask(live, "/metrics")[2].decode()
    found = {
        (s.name, *sorted(s.labels.values())): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
    assert found["scnet_edge_frames_captured_total",] == 4
    assert found["scnet_edge_frames_processed_total",] == 3
    assert found["scnet_edge_frames_dropped_total", "stale"] == 1
    assert found["scnet_edge_state", "running"] == 1
    assert found["scnet_edge_latency_milliseconds", "0.5", "engine"] == pytest.approx(5, rel=0.02)
    assert found["scnet_edge_sink_dropped_total", "jsonl:run.jsonl"] == 1
    assert found["scnet_edge_temperature_celsius", "cpu"] == 51
    assert found["scnet_edge_power_mode", "15W"] == 1


def test_the_stream_gives_frames_on_demand_and_a_status_a_second(run: Run, live: Served) -> None:
    run.liveness.note(event_now("camera_lost", "timeout", "<b>no frame</b>"))
    run.frame(0)
    with connect(f"ws://127.0.0.1:{live.port}/stream", origin=origin(live)) as socket:
        hello = json.loads(socket.recv(timeout=5))
        assert hello["facts"] == {"Source": "rtsp://***@camera/1"}
        assert hello["status"]["processed"] == 1
        assert [event["kind"] for event in hello["events"]] == ["camera_lost"]
        socket.send("next")
        assert frame(socket.recv(timeout=5))
        socket.send("next")  # there is no other frame yet; when there is, it comes
        run.liveness.note(event_now("camera_found"))
        later = json.loads(socket.recv(timeout=5))
        assert [event["kind"] for event in later["events"]] == ["camera_found"]
        assert "history" not in later
        run.frame(1)
        while isinstance(message := socket.recv(timeout=5), str):
            pass
        assert frame(message)


def frame(message: object) -> bool:
    return isinstance(message, bytes) and message[:2] == b"\xff\xd8"


def origin(live: Served) -> str:
    return f"http://127.0.0.1:{live.port}"


def test_watchers_are_bounded(live: Served) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_WATCHERS):
            watcher = stack.enter_context(connect(f"ws://127.0.0.1:{live.port}/stream"))
            watcher.recv(timeout=5)
        with pytest.raises(InvalidStatus):
            stack.enter_context(connect(f"ws://127.0.0.1:{live.port}/stream"))


def test_pages_that_leave_while_they_wait_make_room(run: Run, live: Served) -> None:
    for _ in range(MAX_WATCHERS + 2):  # no camera: what they ask for does not come
        with connect(f"ws://127.0.0.1:{live.port}/stream") as watcher:
            watcher.send("next")
            watcher.recv(timeout=5)
        wait_for(lambda: not run.show.watchers)


def test_a_page_that_waits_for_a_frame_does_not_hold_up_the_end(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(run) as live, connect(f"ws://127.0.0.1:{live.port}/stream") as watcher:
        watcher.send("next")
        watcher.recv(timeout=5)
    assert caplog.records == []  # uvicorn cancels what is left after a second, and says so


def test_a_page_that_sends_too_much_is_closed(live: Served) -> None:
    with connect(f"ws://127.0.0.1:{live.port}/stream") as socket:
        socket.send("x" * 5000)
        with pytest.raises(ConnectionClosed):
            deque(iter(lambda: socket.recv(timeout=5), None), maxlen=0)


def test_every_answer_has_the_headers(live: Served) -> None:
    for path, method in (("/", "GET"), ("/app.js", "GET"), ("/none", "GET"), ("/", "POST")):
        _, headers, _ = ask(live, path, method)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers.get("server") is None


def test_the_page_asks_nobody_else_and_holds_no_inline_code() -> None:
    package = Path(__file__).parents[2] / "scnet_edge"
    folder = package / "live" / "page"
    for path in (*folder.iterdir(), package / "web" / "head.html", package / "web" / "base.css"):
        text = path.read_text()
        assert set(re.findall(r"https?://[^\s\"']+", text)) <= {"http://www.w3.org/2000/svg"}
        assert not re.search(r"innerHTML|insertAdjacentHTML|eval\(|document\.write", text)
    html = (package / "web" / "head.html").read_text() + (folder / "index.html").read_text()
    assert re.findall(r"<script[^>]*>", html) == ['<script src="/app.js">']
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", html)


def test_leaving_ends_the_thread(run: Run) -> None:
    before = set(threading.enumerate())
    with serving(run) as live, connect(f"ws://127.0.0.1:{live.port}/stream") as socket:
        socket.recv(timeout=5)
    assert set(threading.enumerate()) <= before


def test_a_port_in_use_is_one_line(run: Run, live: Served) -> None:
    with (
        pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{live.port}"),
        serving(run, f"127.0.0.1:{live.port}"),
    ):
        pass
