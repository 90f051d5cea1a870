"""Alive and ready, by the frames that were processed; and what systemd is told of it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sink_frames import frame_result

from scnet_edge.engines.isolated.parent import FIRST_RUN_TIMEOUTS, RUN_TIMEOUT_S
from scnet_edge.events import event_now
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.liveness import STALLED_S, Liveness, Watchdog, notify, watchdog_s


class Clock:
    """A monotonic clock that a test turns."""

    def __init__(self) -> None:
        self.ns = time.monotonic_ns()

    def __call__(self) -> int:
        return self.ns

    def wait(self, seconds: float) -> None:
        self.ns += int(seconds * 1e9)


def test_the_states_of_a_run() -> None:
    counters, clock = Counters(), Clock()
    liveness = Liveness(counters, clock_ns=clock)
    assert (liveness.state, liveness.alive, liveness.ready) == ("starting", True, False)
    liveness.note(event_now("camera_waiting", attempt=1))
    assert (liveness.state, liveness.alive, liveness.ready) == ("waiting_camera", True, False)
    counters.capture()
    liveness.write(frame_result(0))
    counters.process()
    assert (liveness.state, liveness.ready) == ("running", True)
    clock.wait(10)  # no frame since, and none at hand
    assert (liveness.state, liveness.alive, liveness.ready) == ("waiting_camera", True, False)
    counters.capture()  # one came, and is not processed
    clock.wait(STALLED_S)
    assert (liveness.state, liveness.alive, liveness.ready) == ("stalled", False, False)
    liveness.note(event_now("run_closed"))
    assert (liveness.state, liveness.alive) == ("closed", True)


def test_a_camera_that_is_away_for_long_is_no_stall() -> None:
    counters, clock = Counters(), Clock()
    liveness = Liveness(counters, clock_ns=clock)
    liveness.note(event_now("camera_lost", "timeout"))
    clock.wait(3600)
    assert liveness.alive


def test_the_fault_log_is_bounded_and_counted() -> None:
    liveness = Liveness(Counters())
    for _ in range(1000):
        liveness.note(event_now("camera_waiting"))
    assert (len(liveness.events), liveness.events_total) == (200, 1000)


def test_a_frame_that_a_crash_cost_is_progress_and_one_that_hangs_is_none() -> None:
    counters, told = Counters(), []
    watchdog = Watchdog(counters, tell=told.append)
    counters.capture()
    watchdog.look()  # the first look has nothing to compare with
    told.clear()
    watchdog.look()
    assert told == []
    counters.drop("engine_crashed")
    counters.capture()
    watchdog.look()
    watchdog.look()
    assert told == ["WATCHDOG=1"]


def test_the_first_frame_of_an_engine_may_take_a_minute() -> None:
    counters, clock = Counters(), Clock()
    liveness = Liveness(counters, clock_ns=clock)
    counters.capture()
    clock.wait(RUN_TIMEOUT_S + FIRST_RUN_TIMEOUTS * RUN_TIMEOUT_S)
    assert liveness.alive


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A notify socket as systemd has it."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield listening


def test_notify_reaches_systemd(systemd: socket.socket) -> None:
    assert notify("READY=1", os.environ)
    assert systemd.recv(100) == b"READY=1"


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    assert not notify("READY=1", {})
    assert not notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert watchdog_s({}) is None
    assert watchdog_s({"WATCHDOG_USEC": "30000000"}) == 30
    assert watchdog_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}) is None
