"""Connections without end and without sense, against the live page."""

from __future__ import annotations

import logging
import resource
import socket
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from live_server import Run, ask, wait_for

from scnet_edge.web.accept import BACKLOG, MAX_CONNECTIONS, Sparing
from scnet_edge.web.server import Served


def test_half_open_connections_neither_pile_up_nor_keep_others_out(live: Served) -> None:
    silent = []
    for i in range(200):
        s = socket.create_connection(("127.0.0.1", live.port))
        s.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"[: 1 + i % 30])
        silent.append(s)
        if i % 50 == 49:
            assert ask(live, "/healthz")[0] == 200
    wait_for(lambda: sum(map(is_closed, silent)) >= 200 - MAX_CONNECTIONS - BACKLOG - 1)
    for s in silent:
        s.close()


def test_a_flood_takes_no_descriptors_and_no_log(
    run: Run, live: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """As `soak` does it for longer: connections that say a byte, as many as loopback gives."""
    before, opened, stop = descriptors(), threading.Semaphore(0), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        try:
            for _ in range(2):
                pool.submit(flood, live.port, stop, opened)
            for _ in range(200):
                assert opened.acquire(timeout=60)
            for asked in range(3):
                assert ask(live, "/healthz")[0] == 200, asked
        finally:
            stop.set()
    wait_for(lambda: descriptors() - before <= MAX_CONNECTIONS + 2)
    assert len(caplog.records) <= 5


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def flood(port: int, stop: threading.Event, opened: threading.Semaphore) -> None:
    held: deque[socket.socket] = deque()
    while not stop.is_set():
        with suppress(OSError):
            s = socket.create_connection(("127.0.0.1", port), timeout=0.2)
            held.append(s)
            s.send(b"G")
            opened.release()
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
    s.setblocking(False)
    try:
        return s.recv(1) == b""
    except BlockingIOError:
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
