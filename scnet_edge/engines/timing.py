"""Which of two backends is the quicker on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence

from scnet_edge.engines.base import Array, Backend
from scnet_edge.types import Frame

MIN_TURNS, TIMED_S = 8, 2.0


def quickest_ms(one: Backend, other: Backend, frames: Sequence[Frame]) -> tuple[float, float]:
    """Return each backend's shortest milliseconds for a frame, the two taking turns.

    The shortest and not the median: other programs, and a first run, only add to a time, and a
    machine that is busy while a bundle is built must not decide what runs when it is not.

    Args:
        one, other: Backends of the input `frame`.
        frames: (h, w, 3) uint8 BGR each, of the size that both take, in turn.
    """
    shortest = [float("inf")] * 2
    start_s, turn = time.perf_counter(), 0
    while turn < MIN_TURNS or time.perf_counter() - start_s < TIMED_S:
        feeds = {"frame": frames[turn % len(frames)][None]}
        for i, backend in enumerate((one, other)):
            shortest[i] = min(shortest[i], _run_ms(backend, feeds))
        turn += 1
    return shortest[0], shortest[1]


def _run_ms(backend: Backend, feeds: dict[str, Array]) -> float:
    start_s = time.perf_counter()
    backend.run(feeds)
    return 1e3 * (time.perf_counter() - start_s)
