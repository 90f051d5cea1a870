"""Who may see the live page: hosts, origins, methods, the token."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_server import Run, ask, serving
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from scnet_edge.errors import ConfigError
from scnet_edge.web.accept import Connections
from scnet_edge.web.access import Access, access_for, is_loopback, parse_address, read_token
from scnet_edge.web.guard import Guard
from scnet_edge.web.server import Served


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
