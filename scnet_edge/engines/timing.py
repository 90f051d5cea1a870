"""Which of two backends is the quicker on this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from scnet_edge.engines.base import Array, Backend

MIN_TURNS, TIMED_S = 8, 2.0


def quickest_ms(
    one: Backend, other: Backend, feeds: Sequence[Mapping[str, Array]]
) -> tuple[float, float]:
    """Return each backend's shortest milliseconds for one of several feeds, the two in turns.

    The shortest and not the median: other programs, and a first run, only add to a time, and a
    machine that is busy while a bundle is built must not decide what runs when it is not.

    Args:
        one, other: Backends of the same inputs.
        feeds: What both are given, in turn.
    """
    shortest = [float("inf")] * 2
    start_s, turn = time.perf_counter(), 0
    while turn < MIN_TURNS or time.perf_counter() - start_s < TIMED_S:
        for i, backend in enumerate((one, other)):
            shortest[i] = min(shortest[i], _run_ms(backend, feeds[turn % len(feeds)]))
        turn += 1
    return shortest[0], shortest[1]


def _run_ms(backend: Backend, feeds: Mapping[str, Array]) -> float:
    start_s = time.perf_counter()
    backend.run(feeds)
    return 1e3 * (time.perf_counter() - start_s)
