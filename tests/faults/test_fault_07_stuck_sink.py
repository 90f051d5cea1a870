"""A disk, a broker or a browser that stalls: the engine does not notice, the loss is counted."""

from __future__ import annotations

import threading

import numpy as np
from sink_frames import Device, balanced

from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.delivery import CallbackSink
from scnet_edge.runtime.loop import run_loop
from scnet_edge.sinks.queued import Queued
from scnet_edge.types import Frame, Result
from scnet_edge.video.fake_source import drawn_frames, fake_source


def dark(frame: Frame) -> Result:
    mask = frame[..., 0] < 128
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None)


def test_a_stuck_sink_costs_the_loop_nothing_and_is_counted() -> None:
    free, seen = threading.Event(), []
    stuck, sound = Device(lambda item: free.wait() and None), Device()
    sinks = [Queued(stuck, "stuck"), Queued(sound, "sound", backpressure=True)]
    counters: Counters = run_loop(
        fake_source(drawn_frames(300), live=False),
        dark,
        [*sinks, CallbackSink(lambda frame_result: seen.append(frame_result.captured.frame_id))],
    )
    # the loop is over although one sink never moved, and every other sink has every frame
    assert (counters.processed, counters.in_flight) == (300, 0)
    assert seen == list(range(300))
    assert sinks[0].stats.dropped >= 300 - 2 * stuck.depth
    assert balanced(sinks[0].stats)
    free.set()
    for sink in sinks:
        sink.close()
    assert [item.captured.frame_id for item in sound.items[:-1]] == list(range(300))
    assert sinks[0].stats.waiting == 0
    assert balanced(sinks[0].stats)
