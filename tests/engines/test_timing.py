"""The quicker of two backends, on a clock that nobody waits for."""

from __future__ import annotations

import numpy as np
import pytest

from scnet_edge.engines import base

FEEDS = [{"frame": np.full((1, 4, 6, 3), value, np.uint8)} for value in (1, 2, 3)]


class Timed:
    """A backend that takes as long as it is told."""

    def __init__(self, name: str, clock: list[float], seconds: list[float]) -> None:
        self.name, self._clock, self._seconds = name, clock, iter(seconds)
        self.seen: list[tuple[str, int]] = []

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert feeds["frame"].shape == (1, 4, 6, 3)
        self.seen.append((self.name, int(feeds["frame"][0, 0, 0, 0])))
        self._clock[0] += next(self._seconds)
        return {}


def test_what_disturbs_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is slow to begin with, and a busy machine slows seven of its eight turns."""
    clock = [0.0]
    monkeypatch.setattr(base.time, "perf_counter", lambda: clock[0])
    one = Timed("one", clock, [9, 3, 3, 3, 0.1, 3, 3, 3])
    other = Timed("other", clock, [9, *[0.2] * 7])
    order = one.seen = other.seen
    assert base.quickest_ms(one, other, FEEDS) == pytest.approx((100, 200))
    assert [name for name, _ in order] == ["one", "other"] * 8
    assert [value for name, value in order if name == "one"] == [1, 2, 3, 1, 2, 3, 1, 2]


def test_short_frames_are_timed_for_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(base.time, "perf_counter", lambda: clock[0])
    one, other = (Timed(name, clock, [0.05] * 100) for name in ("one", "other"))
    base.quickest_ms(one, other, FEEDS)
    assert len(one.seen) == len(other.seen) == 20
