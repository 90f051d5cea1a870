"""The status of a run adds up, and lasts for ever in the same memory."""

from __future__ import annotations

import pytest
from sink_frames import BOARD, frame_result

from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.liveness import Liveness
from scnet_edge.runtime.status import Monitor


def test_figures_of_a_run() -> None:
    counters = Counters()
    monitor = Monitor(counters, Liveness(counters), telemetry=lambda: BOARD)
    assert monitor.status().recent_ms is None
    for i in range(20):
        counters.capture(faults=("blurred",) if i < 2 else ())
        if i % 4 == 3:
            counters.drop("stale")
            continue
        monitor.write(frame_result(i))
        counters.process()
    counters.drop("engine_crashed", 0)
    status = monitor.status()
    assert (status.captured, status.processed, status.in_flight) == (20, 15, 0)
    assert (status.dropped, status.faults) == ({"stale": 5}, {"blurred": 2})
    assert status.cracks == 15
    assert status.fps > 0
    assert status.recent_ms == (8.0, 8.0)
    assert status.latency_ms["camera_to_mask"] == pytest.approx((8, 8, 8), rel=0.02)
    assert list(status.latency_ms) == ["engine", "measure", "age", "camera_to_mask"]
    assert status.telemetry.power_mode == "15W"
