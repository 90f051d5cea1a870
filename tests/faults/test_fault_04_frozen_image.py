"""The picture stands still: a fault within 3 s while the odometer moves, none while it stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scnet_edge.events import Event
from scnet_edge.runtime.delivery import CallbackSink, FrameResult
from scnet_edge.runtime.loop import run_loop
from scnet_edge.simulation.clip import render_clip
from scnet_edge.types import Captured, Frame, Result
from scnet_edge.video.fake_source import fake_source
from scnet_edge.video.frame_checks import watch_frames
from scnet_edge.video.sources import Source

FPS, SECONDS, STILL_FROM_S, STILL_TO_S = 10, 12, 3, 8


def dark(frame: Frame) -> Result:
    mask = frame[..., 0] < 60
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None)


def camera_that_freezes() -> Source:
    """Return 12 s of video whose picture stands still from second 3 to second 8."""
    frames = [frame for frame, _ in render_clip(FPS * SECONDS, (96, 128), seed=2)]
    for i in range(STILL_FROM_S * FPS, STILL_TO_S * FPS):
        frames[i] = frames[STILL_FROM_S * FPS]
    source = fake_source(frames, live=False)
    timed = (
        replace(item, mono_ns=item.frame_id * 10**9 // FPS)
        for item in source.items
        if isinstance(item, Captured)
    )
    return replace(source, items=timed)


@pytest.mark.parametrize("moving", [True, False])
def test_a_frozen_picture(moving: bool) -> None:
    seen: list[FrameResult] = []
    events: list[Event] = []
    counters = run_loop(
        watch_frames(camera_that_freezes(), moving=lambda captured: moving),
        dark,
        [CallbackSink(seen.append, events.append)],
    )
    gaps = [event for event in events if event.kind == "gap"]
    if not moving:
        assert counters.processed == FPS * SECONDS
        assert (counters.faults, gaps) == ({}, [])
        return
    missing = set(range(FPS * SECONDS)) - {item.captured.frame_id for item in seen}
    assert min(missing) <= (STILL_FROM_S + 3) * FPS  # noticed within 3 s
    assert max(missing) == STILL_TO_S * FPS - 1
    assert counters.dropped == counters.faults == {"frozen": len(missing)}
    [gap] = gaps
    assert (gap.reason, gap.first_frame_id) == ("frozen", min(missing))
    assert gap.mono_ns == STILL_TO_S * 10**9
