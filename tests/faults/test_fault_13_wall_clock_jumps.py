"""The wall clock leaps by decades and back: no false alarm, no negative duration, order by id."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from misbehaving import picture

from scnet_edge.events import Event, event_now
from scnet_edge.machine import clock
from scnet_edge.runtime.delivery import CallbackSink, FrameResult
from scnet_edge.runtime.loop import run_loop
from scnet_edge.types import Frame, Result
from scnet_edge.video.fake_source import drawn_frames, fake_source
from scnet_edge.video.frame_checks import watch_frames
from scnet_edge.video.sources import open_source

YEAR_NS = 365 * 24 * 3600 * 10**9
LEAPS_NS = (0, -56 * YEAR_NS, 3600 * 10**9, -10 * 10**9)


def nothing(frame: Frame) -> Result:
    mask = np.zeros(frame.shape[:2], bool)
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None)


@pytest.fixture
def leaping_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the wall clock jump with every look at it."""
    leaps, honest = itertools.cycle(LEAPS_NS), time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: honest() + next(leaps))
    monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)
    monkeypatch.setattr(clock, "_adjtimex", lambda: lambda timex: clock.TIME_ERROR)


@pytest.mark.usefixtures("leaping_clock", "impatient")
def test_a_leaping_wall_clock_changes_nothing(mjpeg_camera: Callable[..., Any]) -> None:
    def pictures(send: Callable[[bytes], None], number: int) -> None:
        for i in itertools.count():  # until the camera is closed
            send(picture(50 + i % 100))
            time.sleep(0.02)

    seen: list[FrameResult] = []
    events: list[Event] = []
    with open_source(mjpeg_camera(pictures).uri) as source:
        sink = CallbackSink(seen.append, events.append)
        run_loop(watch_frames(source), nothing, [sink], frames=25)
    assert [event.kind for event in events] == ["camera_found", "run_closed"]
    assert all(event.clock_synced is False for event in events)
    ids = [frame_result.captured.frame_id for frame_result in seen]
    assert all(a < b for a, b in pairwise(ids))
    assert all(o.age_ms is not None and 0 <= o.age_ms < 3.6e6 for o in seen)


@pytest.mark.usefixtures("leaping_clock")
def test_gaps_and_ages_are_measured_on_the_monotonic_clock() -> None:
    first, second = drawn_frames(2)
    lost = event_now("camera_lost", "timeout")

    def items() -> Any:
        yield first
        yield lost
        time.sleep(0.6)
        yield second

    seen: list[FrameResult] = []
    events: list[Event] = []
    run_loop(fake_source(items()), nothing, [CallbackSink(seen.append, events.append)])
    [gap] = [event for event in events if event.kind == "gap"]
    assert gap.from_mono_ns is not None
    assert 0.5e9 < gap.mono_ns - gap.from_mono_ns < 3600e9
    walls = [o.captured.utc_ns for o in seen]
    assert walls[0] is not None
    assert walls[1] is not None
    assert abs(walls[1] - walls[0]) > 10**9  # the wall clock did jump, and is recorded as it was
