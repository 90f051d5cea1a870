"""systemd's watchdog: no ping from a loop that hangs, however busy its other threads are."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.liveness import Watchdog
from scnet_edge.runtime.loop import run_loop
from scnet_edge.types import Frame, Result
from scnet_edge.video.fake_source import drawn_frames, fake_source


class Systemd:
    """What listens on NOTIFY_SOCKET, and keeps what it is told and when."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.told: list[tuple[float, bytes]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def pings(self, since_s: float = 0.0) -> int:
        return sum(what == b"WATCHDOG=1" and at_s >= since_s for at_s, what in self.told)

    def close(self) -> None:
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                what = self._socket.recv(256)
            except OSError:
                return
            self.told.append((time.monotonic(), what))


def test_a_hung_engine_gets_no_ping_and_a_waiting_camera_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "90000")  # a look every 30 ms
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    hang, free, counters = threading.Event(), threading.Event(), Counters()

    def segment(frame: Frame) -> Result:
        if hang.is_set():
            free.wait()
        mask = frame[..., 0] < 128
        return Result(mask=mask, probability=mask.astype(np.float32), edges=None)

    source = fake_source(drawn_frames(), fps=100)
    with Watchdog(counters):
        time.sleep(0.2)  # no camera yet
        assert systemd.told[0][1].startswith(b"READY=1")
        assert systemd.pings() >= 2
        loop = threading.Thread(
            target=run_loop, args=(source, segment, []), kwargs={"counters": counters}
        )
        loop.start()
        wait_for(lambda: counters.processed > 5)
        running_s = time.monotonic()
        wait_for(lambda: systemd.pings(running_s) >= 3)
        hang.set()
        processed = counters.processed + 3  # those under way
        time.sleep(0.3)
        hung_s = time.monotonic()
        assert counters.processed <= processed
        assert counters.captured > counters.processed + 10  # the camera goes on
        time.sleep(0.3)
        assert systemd.pings(hung_s) == 0
        free.set()
        hang.clear()
        wait_for(lambda: systemd.pings(hung_s) >= 2)
        source.stop.set()
        loop.join()
    wait_for(lambda: systemd.told[-1][1] == b"STOPPING=1")
    systemd.close()


def wait_for(true: object) -> None:
    deadline_s = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_without_a_notify_socket_nothing_is_told() -> None:
    with Watchdog(Counters()) as watchdog:
        watchdog.look()
