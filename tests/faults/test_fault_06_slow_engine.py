"""An engine far slower than the camera: old frames go, memory stays, the books balance."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.delivery import CallbackSink, FrameResult
from scnet_edge.runtime.loop import run_loop
from scnet_edge.types import Frame, Result
from scnet_edge.video.fake_source import fake_source

FRAMES, ENGINE_S = 10_000, 0.004


def resident_bytes() -> int:
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


def test_ten_thousand_frames_through_a_slow_engine() -> None:
    counters = Counters()
    sizes: list[int] = []
    ids: list[int] = []

    def frames() -> Iterator[Frame]:
        """Yield frames of 1 MB some ten times faster than the engine takes them."""
        for i in range(FRAMES):
            assert counters.in_flight <= 6
            if i % 500 == 0:
                sizes.append(resident_bytes())
            yield np.full((512, 683, 3), i % 255, np.uint8)

    def slow(frame: Frame) -> Result:
        time.sleep(ENGINE_S)
        mask = np.zeros(frame.shape[:2], bool)
        return Result(mask=mask, probability=mask.astype(np.float32), edges=None)

    def note(frame_result: FrameResult) -> None:
        ids.append(frame_result.captured.frame_id)

    run_loop(fake_source(frames()), slow, [CallbackSink(note)], counters=counters)
    assert counters.captured == FRAMES
    assert counters.captured == counters.processed + counters.dropped.total()
    assert counters.dropped.keys() == {"stale"}
    assert counters.processed == len(ids) < FRAMES / 2
    assert counters.in_flight == 0
    assert ids == sorted(set(ids))
    assert ids[-1] == FRAMES - 1
    assert max(sizes[2:]) - sizes[2] < 20e6  # what warms up, warms up first
