"""The live server over real sockets: what it shows, to whom, and what it refuses."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import re
import resource
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sink_frames import BOARD, frame_result
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from scnet_edge.errors import ConfigError
from scnet_edge.events import event_now
from scnet_edge.live.app import MAX_WATCHERS, NewestFrame, Show, open_live
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.liveness import Liveness
from scnet_edge.runtime.status import Monitor, SinkStats
from scnet_edge.web.accept import BACKLOG, MAX_CONNECTIONS, Connections, Sparing
from scnet_edge.web.access import Access, access_for, is_loopback, parse_address, read_token
from scnet_edge.web.guard import Guard
from scnet_edge.web.server import Served

Answer = tuple[int, dict[str, str], bytes]


class Run:
    """A run that a test feeds by hand."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.liveness = Liveness(self.counters)
        self.monitor = Monitor(
            self.counters,
            self.liveness,
            telemetry=lambda: BOARD,
            sinks=lambda: [SinkStats(name="jsonl:run.jsonl", written=3, dropped=1)],
        )
        self.show = Show(NewestFrame(), self.monitor, {"Source": "rtsp://***@camera/1"})

    def frame(self, frame_id: int) -> None:
        self.counters.capture()
        for sink in (self.show.board, self.monitor, self.liveness):
            sink.write(frame_result(frame_id))
        self.counters.process()


@pytest.fixture
def run() -> Run:
    return Run()


@contextmanager
def serving(run: Run, address: str = "127.0.0.1:0", **options: Path) -> Iterator[Served]:
    with open_live(address, run.show, **options) as live:
        yield live


@pytest.fixture
def live(run: Run) -> Iterator[Served]:
    with serving(run) as live:
        yield live


def ask(live: Served, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=10)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body or None, names)
    response = connection.getresponse()
    answer = response.status, dict(response.getheaders()), response.read()
    connection.close()
    return answer


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


def wait_for(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_a_page_that_waits_for_a_frame_does_not_hold_up_the_end(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(run) as live, connect(f"ws://127.0.0.1:{live.port}/stream") as watcher:
        watcher.send("next")
        watcher.recv(timeout=5)
        left_s = time.monotonic()
    assert time.monotonic() - left_s < 0.9  # uvicorn cancels what is left after a second
    assert caplog.records == []


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


@pytest.mark.parametrize(
    ("path", "method", "headers", "body", "expected"),
    [
        ("/", "GET", {"Host": "evil.example"}, b"", 421),
        ("/healthz", "GET", {"Host": "evil.example:80"}, b"", 421),
        ("/", "GET", {"Host": "192.168.1.9"}, b"", 421),  # loopback answers to loopback alone
        ("/", "GET", {"Host": "127.0.0.1:99999999"}, b"", 200),
        ("/status.json", "GET", {"Origin": "http://evil.example"}, b"", 403),
        ("/status.json", "GET", {"Origin": "null"}, b"", 403),
        ("/status.json", "GET", {"Origin": "http://["}, b"", 400),
        ("/status.json", "GET", {"Origin": "http://[::1"}, b"", 400),
        ("/status.json", "GET", {"Origin": "nonsense"}, b"", 400),
        ("/status.json", "GET", {"Origin": ""}, b"", 400),
        ("/", "GET", {"Host": "[::1].evil.com"}, b"", 421),
        ("/", "GET", {"Host": "[::1]evil.com:80"}, b"", 421),
        ("/", "GET", {"Host": "localhost@evil.com"}, b"", 421),
        ("/", "GET", {"Host": "evil.com#localhost"}, b"", 421),
        ("/", "GET", {"Host": "[::1]:8765"}, b"", 200),
        ("/status.json", "POST", {}, b"", 405),
        ("/status.json", "DELETE", {}, b"", 405),
        ("/status.json", "GET", {}, b"x" * 2000, 413),
        ("/app.js/../../access.py", "GET", {}, b"", 404),
        ("/..%2f..%2faccess.py", "GET", {}, b"", 404),
        ("/%00", "GET", {}, b"", 404),
        ("/" + "a" * 2000, "GET", {}, b"", 404),
    ],
)
def test_what_is_refused(
    live: Served,
    caplog: pytest.LogCaptureFixture,
    path: str,
    method: str,
    headers: dict[str, str],
    body: bytes,
    expected: int,
) -> None:
    assert ask(live, path, method, body, **headers)[0] == expected
    refused = expected not in (200, 404)
    assert f"scnet_edge_page_refused_total {float(refused)}" in ask(live, "/metrics")[2].decode()
    assert caplog.records == []


@pytest.mark.parametrize("second", ["http://evil.example", "http://127.0.0.1"])
def test_two_origins_are_none(live: Served, second: str) -> None:
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as s:
        ours = f"127.0.0.1:{live.port}"
        head = f"Host: {ours}\r\nOrigin: http://{ours}\r\nOrigin: {second}\r\n\r\n"
        s.sendall(f"GET /status.json HTTP/1.1\r\n{head}".encode())
        assert s.recv(100).startswith(b"HTTP/1.1 400 ")


def test_who_is_gone_before_the_answer_is_no_traceback() -> None:
    """The system does not say any more who it was."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    connections = Connections()
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse(""))])
    guard = Guard(app, access_for("127.0.0.1", "live"), connections)
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "client": None}
    asyncio.run(guard({**scope, "headers": [(b"host", b"localhost")]}, receive, send))
    assert sent == ["http.response.start", "http.response.body"]


def test_a_foreign_page_gets_no_stream(live: Served) -> None:
    url = f"ws://127.0.0.1:{live.port}/stream"
    for options in ({"origin": "http://evil.example"}, {"additional_headers": {"Host": "evil"}}):
        with pytest.raises(InvalidStatus) as caught:
            connect(url, **options)
        assert caught.value.response.status_code in (400, 403)  # 400: two Host headers


@pytest.fixture
def guarded(run: Run, tmp_path: Path) -> Iterator[Served]:
    """A server on every address, as a robot in a pipe has it; the token lies in `tmp_path`."""
    with serving(run, "0.0.0.0:0", token_file=tmp_path / "new" / "token") as live:
        yield live


def test_the_token_is_made_private_and_kept(guarded: Served, tmp_path: Path) -> None:
    path = tmp_path / "new" / "token"
    token = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(token) >= 43  # 256 bits
    assert guarded.url.endswith(f"/?token={token}")
    assert read_token(path) == token
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="0600, found 0644"):
        read_token(path)
    path.chmod(0o600)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(ConfigError, match="expected a plain file"):
        read_token(tmp_path / "link")


def test_a_stranger_needs_the_token_once(guarded: Served) -> None:
    token = guarded.url.partition("token=")[2]
    assert ask(guarded, "/")[0] == 401
    assert ask(guarded, "/status.json?token=wrong")[0] == 401
    assert ask(guarded, "/healthz")[0] == 200  # for probers
    status, headers, _ = ask(guarded, f"/?token={token}&x=1")
    cookie = headers["set-cookie"]
    assert (status, headers["location"]) == (303, "/?x=1")
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert token not in cookie
    session = cookie.partition(";")[0]
    assert ask(guarded, "/status.json", Cookie=session)[0] == 200
    assert ask(guarded, "/status.json", Cookie=session[:-1] + "x")[0] == 401
    assert ask(guarded, "/metrics", Authorization=f"Bearer {token}")[0] == 200
    assert ask(guarded, "/metrics", Authorization="Bearer nothing")[0] == 401
    with pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{guarded.port}/stream")
    with connect(
        f"ws://127.0.0.1:{guarded.port}/stream", additional_headers={"Cookie": session}
    ) as socket:
        assert "status" in json.loads(socket.recv(timeout=5))


def test_the_exchange_sends_nobody_elsewhere(guarded: Served) -> None:
    token = guarded.url.partition("token=")[2]
    _, headers, _ = ask(guarded, f"//evil.example/?token={token}")
    assert not headers["location"].startswith("//")


def test_guessing_is_slowed_down_and_the_right_token_still_works(guarded: Served) -> None:
    token = guarded.url.partition("token=")[2]
    answers = {ask(guarded, "/?token=wrong")[0] for _ in range(25)}
    assert answers == {401, 429}
    assert ask(guarded, f"/?token={token}")[0] == 303


def test_a_name_of_another_is_refused_on_every_address(guarded: Served) -> None:
    assert ask(guarded, "/healthz", Host="192.168.1.9:8765")[0] == 200
    assert ask(guarded, "/healthz", Host=socket.gethostname())[0] == 200
    assert ask(guarded, "/healthz", Host="rebound.example")[0] == 421


def test_half_open_connections_neither_pile_up_nor_keep_others_out(live: Served) -> None:
    silent = []
    for i in range(200):
        s = socket.create_connection(("127.0.0.1", live.port))
        s.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"[: 1 + i % 30])
        silent.append(s)
        if i % 50 == 49:
            assert ask(live, "/healthz")[0] == 200
    closed = sum(is_closed(s) for s in silent)
    assert closed >= 200 - MAX_CONNECTIONS - BACKLOG - 1
    for s in silent:
        s.close()


def test_a_flood_takes_no_descriptors_and_no_log(
    run: Run, live: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """As `soak` does it for longer: connections that say a byte, as many as loopback gives."""
    before, most, opened = descriptors(), 0, [0]
    stop = threading.Event()
    flooding = [threading.Thread(target=flood, args=(live.port, stop, opened)) for _ in range(2)]
    for thread in flooding:
        thread.start()
    while opened[0] < 200:
        most = max(most, descriptors() - before - opened[0])
        time.sleep(0.01)
    for asked in range(3):
        assert ask(live, "/healthz")[0] == 200, asked
    stop.set()
    for thread in flooding:
        thread.join()
    wait_for(lambda: descriptors() - before <= MAX_CONNECTIONS + 2)
    assert len(caplog.records) <= 5


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def flood(port: int, stop: threading.Event, opened: list[int]) -> None:
    held: deque[socket.socket] = deque()
    while not stop.is_set():
        with suppress(OSError):
            s = socket.create_connection(("127.0.0.1", port), timeout=0.2)
            s.send(b"G")
            held.append(s)
            opened[0] += 1
        if len(held) > 50:
            held.popleft().close()
    for s in held:
        s.close()


def test_log_lines_are_few_and_those_kept_back_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = 0.0
    logger = logging.getLogger("sparing")
    logger.addFilter(Sparing(lambda: now_s))
    for _ in range(1000):
        logger.warning("refused %s", "it")
    now_s = 61.0
    logger.warning("refused %s", "it")
    assert [r.getMessage() for r in caplog.records] == [
        *["refused it"] * 5,
        "refused it (and 995 lines before it)",
    ]


def test_no_descriptor_left_is_survived(live: Served, caplog: pytest.LogCaptureFixture) -> None:
    """As the system refuses it: not one more descriptor for this process."""
    assert ask(live, "/healthz")[0] == 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = socket.socket()
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        waiting.connect(("127.0.0.1", live.port))
        wait_for(lambda: "cannot accept" in caplog.text)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        waiting.close()
    assert ask(live, "/healthz")[0] == 200


def is_closed(s: socket.socket) -> bool:
    s.settimeout(0.05)
    try:
        return s.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def test_headers_without_end_are_cut_off(live: Served) -> None:
    with socket.create_connection(("127.0.0.1", live.port), timeout=5) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 100_000)
        try:
            answer = s.recv(100)
        except ConnectionResetError:
            answer = b""
    assert answer == b"" or b" 400 " in answer


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("127.0.0.1", 8765)),
        ("0.0.0.0", ("0.0.0.0", 8765)),
        (":9000", ("127.0.0.1", 9000)),
        ("9000", ("127.0.0.1", 9000)),
        ("[::1]:9000", ("::1", 9000)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert parse_address(text, default_port=8765) == expected


@pytest.mark.parametrize("text", ["host:port", "host:70000", "http://host:80", "a@b:80", "h:80/x"])
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(ConfigError, match="expected HOST:PORT"):
        parse_address(text, default_port=8765)


def test_what_counts_as_loopback(tmp_path: Path) -> None:
    assert [is_loopback(h) for h in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert access_for("127.0.0.1", "live") == Access(
        page="live", token=None, names=frozenset({"localhost"}), loopback=True
    )
    assert access_for("0.0.0.0", "live", tmp_path / "token").token
