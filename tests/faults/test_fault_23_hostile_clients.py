"""The live page under attack from this machine: refused or cut off, and no frame is lost by it."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import ExitStack, suppress

import numpy as np

from scnet_edge.robot.monitoring import open_monitoring
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.loop import run_loop
from scnet_edge.types import Frame, Result
from scnet_edge.video.fake_source import drawn_frames, fake_source

FRAMES, HALF_OPEN = 400, 300


def dark(frame: Frame) -> Result:
    mask = frame[..., 0] < 128
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None)


def attack(port: int, answers: list[int]) -> None:
    with ExitStack() as stack:
        for _ in range(HALF_OPEN):
            s = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            with suppress(OSError):  # the server may have cut it off already
                s.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as s, suppress(OSError):
            s.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 2**20 + b"\r\n\r\n")
            s.recv(1)
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {}):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/status.json", headers=headers)
            answers.append(connection.getresponse().status)
            connection.close()


def test_the_run_goes_on_and_the_page_answers_those_who_may() -> None:
    counters, urls, answers = Counters(), [], []
    source = fake_source(drawn_frames(FRAMES), fps=200, live=False)
    with open_monitoring(
        counters, facts={}, live="127.0.0.1:0", backpressure=True, announce=urls.append
    ) as monitoring:
        port = int(urls[0].rstrip("/").rpartition(":")[2])
        attacker = threading.Thread(target=attack, args=(port, answers))
        attacker.start()
        run_loop(source, dark, monitoring.sinks, counters=counters)
        attacker.join()
    assert (counters.processed, counters.dropped.total()) == (FRAMES, 0)
    assert answers == [421, 403, 200]
