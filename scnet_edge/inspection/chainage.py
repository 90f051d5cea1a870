"""How far a robot has driven at the moment of an image, from Odometry messages."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from threading import Lock
from typing import Any, TypeAlias

from scnet_edge.video.ros_images import stamp_ns

Position: TypeAlias = tuple[float, float, float]
KEPT = 4096  # messages; 40 s at 100 Hz, far longer than an image waits
STALE_S = 1.0  # of an image later than the last message: what lies further ahead is not known


class Chainage:
    """Adds up the path of `nav_msgs/Odometry` and tells it for any moment of the last seconds.

    A step against the robot's own x axis counts down. Messages come in one thread, questions in
    another.
    """

    def __init__(self) -> None:
        self._times_ns: deque[int] = deque(maxlen=KEPT)
        self._chainages_m: deque[float] = deque(maxlen=KEPT)
        self._position: Position | None = None
        self._lock = Lock()

    @property
    def known(self) -> bool:
        """Whether any message has come."""
        return bool(self._times_ns)

    def add(self, message: Any, *, at_ns: int | None = None) -> float | None:
        """Take a message and return the metres driven since the first.

        Args:
            message: One that is older than the last, or no number, is left out and gives None.
            at_ns: Its time; the header's, where it is not given.
        """
        at_ns = stamp_ns(message.header) if at_ns is None else at_ns
        point = message.pose.pose.position
        position = (float(point.x), float(point.y), float(point.z))
        if not all(map(math.isfinite, position)):
            return None
        with self._lock:
            if self._times_ns and at_ns <= self._times_ns[-1]:
                return None
            moved_m = 0.0
            if self._position is not None:
                moved_m = _step_m(self._position, position, message.pose.pose.orientation)
            chainage_m = (self._chainages_m[-1] if self._chainages_m else 0.0) + moved_m
            self._times_ns.append(at_ns)
            self._chainages_m.append(chainage_m)
            self._position = position
            return chainage_m

    def at(self, at_ns: int) -> float | None:
        """Return the metres driven since the first message; None before it, or long after the last.

        Between two messages it is interpolated; shortly after the last it is the last.
        """
        with self._lock:
            times_ns = list(self._times_ns)
            if not times_ns or at_ns < times_ns[0] or at_ns > times_ns[-1] + STALE_S * 1e9:
                return None
            i = bisect_left(times_ns, at_ns)
            if i == len(times_ns):
                return self._chainages_m[-1]
            after_m = self._chainages_m[i]
            if i == 0 or times_ns[i] == at_ns:
                return after_m
            before_m, gap_ns = self._chainages_m[i - 1], times_ns[i] - times_ns[i - 1]
            return before_m + (after_m - before_m) * (at_ns - times_ns[i - 1]) / gap_ns


def _step_m(before: Position, after: Position, turn: Any) -> float:
    """Return the way between two positions, below 0 where it leads backwards."""
    x, y, z, w = float(turn.x), float(turn.y), float(turn.z), float(turn.w)
    ahead = (1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y))
    along = sum(axis * (b - a) for axis, a, b in zip(ahead, before, after, strict=True))
    return -math.dist(before, after) if along < 0 else math.dist(before, after)
