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
    """What listens on NOTIFY_SOCKET, and keeps what it is told."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(30)

    def hear(self) -> bytes:
        return self._socket.recv(256)

    def close(self) -> None:
        self._socket.close()


def test_systemd_is_told_of_begin_life_and_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "30000")  # a look every 10 ms
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    with Watchdog(Counters()):  # no camera yet
        assert systemd.hear().startswith(b"READY=1")
        assert [systemd.hear(), systemd.hear()] == [b"WATCHDOG=1"] * 2
    while (told := systemd.hear()) == b"WATCHDOG=1":
        continue
    assert told == b"STOPPING=1"
    systemd.close()


def test_a_hung_engine_gets_no_ping() -> None:
    hang, free, counters = threading.Event(), threading.Event(), Counters()

    def segment(frame: Frame) -> Result:
        if hang.is_set():
            free.wait()
        mask = frame[..., 0] < 128
        return Result(mask=mask, probability=mask.astype(np.float32), edges=None)

    told: list[str] = []
    watchdog = Watchdog(counters, tell=told.append)

    def pings() -> bool:
        told.clear()
        watchdog.look()
        return told == ["WATCHDOG=1"]

    source = fake_source(drawn_frames(), fps=100)
    loop = threading.Thread(
        target=run_loop, args=(source, segment, []), kwargs={"counters": counters}
    )
    loop.start()
    try:
        wait_for(lambda: counters.processed > 5)
        assert pings()
        hang.set()
        wait_for(lambda: counters.captured > counters.processed + 10)  # the camera goes on
        wait_for(lambda: not pings())  # those under way may have been settled
        assert not pings()
        free.set()
        wait_for(pings)
    finally:
        free.set()
        source.stop.set()
        loop.join()


def wait_for(true: object) -> None:
    deadline_s = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_without_a_notify_socket_nothing_is_told() -> None:
    with Watchdog(Counters()) as watchdog:
        watchdog.look()
