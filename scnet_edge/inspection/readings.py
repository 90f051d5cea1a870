"""Odometer readings, checked as they come and interpolated to the time of a frame."""

from __future__ import annotations

import math
from bisect import bisect_right

import msgspec

_SLACK_M = 0.05  # what an encoder may slip or bounce between two readings
_MOVING_M = 0.002  # less between a second ago and now is an encoder's flicker
_SOON_S = 1.0  # how long the last reading is still believed
KEPT = 20_000  # readings of a live odometer; minutes at any usual rate
_FUTURE_S = 60.0  # by which one stamp before all others is wrong
FURTHEST_M = 1e6  # no pipe is longer; what says more is no reading


class Pose(msgspec.Struct, frozen=True, kw_only=True):
    """Where the robot was when a frame was taken.

    Attributes:
        chainage_m: None where the odometer does not say.
        sigma_m: standard deviation of the chainage; None beside no chainage.
        jitter_m: the part of it that neighbouring frames do not share.
        across_m: how far a camera before a flat wall has moved up; 0 in a pipe.
        film_from_frame: where there is no scale: the 2 x 3 matrix that takes (x, y, 1) of this
            frame to pixels of the segment's first frame; None where the frames do not say.
        roll_deg: positive is clockwise, seen in the direction of travel; None where not known.
        segment: counts up from 0; what the odometer says in one does not continue in the next.
        flags: `odometry_jump`, `odometry_reset` and `odometry_nan` where the reading before or
            after the frame was one, `odometry_lost` where there is none near it,
            `visual_odometry` where the frames themselves say how far it went.
    """

    chainage_m: float | None = None
    sigma_m: float | None = None
    jitter_m: float = 0.0
    across_m: float = 0.0
    film_from_frame: tuple[tuple[float, ...], ...] | None = None
    roll_deg: float | None = None
    segment: int = 0
    flags: tuple[str, ...] = ()


class _Reading(msgspec.Struct, frozen=True):
    t_s: float
    chainage_m: float
    roll_deg: float | None
    segment: int
    flags: tuple[str, ...]
    since_m: float  # travelled since the segment began


class Readings:
    """The readings of one odometer, in the order of their times.

    Args:
        max_speed_mps: What moves faster has leapt.
        sigma_share: Standard deviation of a travelled distance, as a share of it.
        ahead_m: How far the camera is ahead of the point whose chainage is read.
        first_segment: The number of the first segment.
    """

    def __init__(
        self,
        *,
        max_speed_mps: float,
        sigma_share: float,
        ahead_m: float = 0.0,
        first_segment: int = 0,
    ) -> None:
        self._max_speed_mps, self._sigma_share = max_speed_mps, sigma_share
        self._ahead_m = ahead_m
        self._segment = first_segment
        self._kept: list[_Reading] = []
        self._pending: tuple[str, ...] = ()

    def add(self, t_s: float, chainage_m: float, roll_deg: float | None = None) -> None:
        """Add a reading; one that is no place in a pipe, or older than the last, leaves a flag."""
        if not (math.isfinite(t_s) and abs(chainage_m) <= FURTHEST_M):
            self._pending = ("odometry_nan",)
            return
        if roll_deg is not None and not math.isfinite(roll_deg):
            roll_deg = None
        if len(self._kept) > 1 and self._kept[-2].t_s < t_s < self._kept[-1].t_s - _FUTURE_S:
            del self._kept[-1]  # its stamp was of the future
        last = self._kept[-1] if self._kept else None
        if last is not None and t_s <= last.t_s:
            return
        flags, since_m = self._pending, 0.0
        self._pending = ()
        if last is not None:
            flags = flags or self._leap(last, t_s, chainage_m)
            self._segment += bool(flags)
            since_m = 0.0 if flags else last.since_m + abs(chainage_m - last.chainage_m)
        self._kept.append(_Reading(t_s, chainage_m, roll_deg, self._segment, flags, since_m))

    def forget(self) -> None:
        """Drop the oldest of too many readings: for a live odometer, which runs for days."""
        if len(self._kept) > 2 * KEPT:
            del self._kept[:KEPT]

    def at(self, t_s: float) -> Pose:
        """Return the pose of the camera: linear between two readings, never across a leap."""
        after = bisect_right(self._kept, t_s, key=lambda r: r.t_s)
        before = self._kept[after - 1] if after else None
        following = self._kept[after] if after < len(self._kept) else None
        if before and following and before.segment == following.segment:
            return self._between(before, following, t_s)
        nearest = before or following
        if nearest is None:
            return Pose(segment=self._segment, flags=("odometry_lost",))
        flags = _union(following.flags if before and following else self._pending, nearest.flags)
        if abs(t_s - nearest.t_s) > _SOON_S:
            return Pose(segment=nearest.segment, flags=_union(("odometry_lost",), flags))
        jitter_m = 0.5 * self._max_speed_mps * abs(t_s - nearest.t_s)
        return Pose(
            chainage_m=nearest.chainage_m + self._ahead_m,
            sigma_m=self._sigma_share * nearest.since_m + jitter_m,
            jitter_m=jitter_m,
            roll_deg=nearest.roll_deg,
            segment=nearest.segment,
            flags=flags,
        )

    def is_moving(self, t_s: float) -> bool | None:
        """Return whether it has moved within the second before a time; None without readings."""
        now_m, before_m = (self.at(t).chainage_m for t in (t_s, t_s - 1.0))
        return None if now_m is None or before_m is None else abs(now_m - before_m) > _MOVING_M

    def _leap(self, last: _Reading, t_s: float, chainage_m: float) -> tuple[str, ...]:
        way_m = chainage_m - last.chainage_m
        if abs(way_m) <= self._max_speed_mps * (t_s - last.t_s) + _SLACK_M:
            return ()
        back_to_zero = way_m < 0 and abs(chainage_m) <= _SLACK_M
        return ("odometry_reset",) if back_to_zero else ("odometry_jump",)

    def _between(self, before: _Reading, following: _Reading, t_s: float) -> Pose:
        share = (t_s - before.t_s) / (following.t_s - before.t_s)
        way_m = following.chainage_m - before.chainage_m
        roll_deg = before.roll_deg
        if roll_deg is not None and following.roll_deg is not None:
            turn = (following.roll_deg - roll_deg + 180) % 360 - 180
            roll_deg += share * turn
        # Within the interval the speed may have changed: a quarter of its way, at the middle.
        jitter_m = abs(way_m) * share * (1 - share)
        return Pose(
            chainage_m=before.chainage_m + share * way_m + self._ahead_m,
            sigma_m=self._sigma_share * (before.since_m + share * abs(way_m)) + jitter_m,
            jitter_m=jitter_m,
            roll_deg=roll_deg,
            segment=before.segment,
            flags=before.flags,
        )


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))
