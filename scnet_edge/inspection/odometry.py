"""Where the robot is at the time of a frame: from a file, a socket, a serial line or a speed.

survey.csv, survey.jsonl    columns or keys: chainage_m, and of time_s (since the first frame),
                            mono_ns, utc_ns or frame_id at least one; roll_deg if there is one
udp://[HOST]:PORT           a datagram a reading: `12.345`, `12.345,-1.5` (chainage in m, roll
                            in degrees) or {"chainage_m": 12.345, "roll_deg": -1.5}
serial:///dev/ttyUSB0?baud=115200    the same, a line a reading
speed://0.2mps              a constant speed, from 0 m at the first frame
step://50mm                 a constant way from frame to frame, for folders of images
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from scnet_edge.errors import ConfigError
from scnet_edge.inspection.live_odometry import LiveOdometry, lines_of_serial, lines_of_udp
from scnet_edge.inspection.odometry_file import read_rows
from scnet_edge.inspection.readings import Pose, Readings
from scnet_edge.inspection.setup import Setup
from scnet_edge.inspection.visual_odometry import VisualOdometry
from scnet_edge.redaction import redacted
from scnet_edge.types import Captured

_TO_M = {"m": 1.0, "cm": 0.01, "mm": 0.001}


class Odometry(Protocol):
    """What says where a frame was taken."""

    def at(self, captured: Captured) -> Pose:
        """Return the robot's pose when the frame was captured."""
        ...


def usual_odometry(setup: Setup) -> str | None:
    """Return what to use for one drive without an odometer: the frames, if they show a wall."""
    return None if setup.mode == "forward" else "visual://"


def moves(odometry: Odometry) -> bool | None:
    """Return whether the robot moves just now; None where no odometer says so by itself."""
    return odometry.moving() if isinstance(odometry, LiveOdometry) else None


@contextmanager
def open_odometry(uri: str | None, setup: Setup, *, first_segment: int = 0) -> Iterator[Odometry]:
    """Open what a URI names; without one, every pose is without a chainage.

    Args:
        uri: as listed at the top of this file.
        setup: says how fast the robot may be and how far its odometer is trusted.
        first_segment: the number of the first segment, for a survey that is resumed.

    Raises:
        ConfigError: an unknown kind, a file or device that cannot be read, or a bad value in it.
    """
    readings = Readings(
        max_speed_mps=setup.max_speed_mps,
        sigma_share=setup.odometry_sigma_share,
        first_segment=first_segment,
    )
    if uri is None:
        yield _Nowhere(first_segment)
    elif uri == "visual://":
        if setup.mode == "forward":
            raise ConfigError(
                f"{redacted(uri)}: needs a camera that looks at the wall, found mode 'forward'"
            )
        yield VisualOdometry(setup, first_segment=first_segment)
    elif uri.startswith(("speed://", "step://")):
        yield _constant(uri, setup, first_segment)
    elif uri.startswith(("udp://", "serial://")):
        opened = lines_of_udp if uri.startswith("udp://") else lines_of_serial
        with opened(uri) as lines, LiveOdometry(lines, readings) as live:
            yield live
    elif "://" in uri:
        known = "a CSV or JSONL file, udp://, serial://, speed://, step:// or visual://"
        raise ConfigError(f"{redacted(uri)}: unknown kind of odometry, expected {known}")
    else:
        yield _FileOdometry(Path(uri), readings)


class _Nowhere:
    def __init__(self, segment: int) -> None:
        self._pose = Pose(segment=segment)

    def at(self, captured: Captured) -> Pose:
        return self._pose


class _FileOdometry:
    def __init__(self, path: Path, readings: Readings) -> None:
        self._readings = readings
        self._clock, rows = read_rows(path)
        self._start_ns: int | None = None
        for row in rows:
            readings.add(row.t_s, row.chainage_m, row.roll_deg)

    def at(self, captured: Captured) -> Pose:
        if self._start_ns is None:
            self._start_ns = captured.mono_ns
        if self._clock == "frame_id":
            return self._readings.at(float(captured.frame_id))
        if self._clock == "utc_ns":
            utc_ns = captured.utc_ns
            return (
                Pose(flags=("odometry_lost",))
                if utc_ns is None
                else self._readings.at(utc_ns / 1e9)
            )
        since_ns = self._start_ns if self._clock == "time_s" else 0
        return self._readings.at((captured.mono_ns - since_ns) / 1e9)


class _Steady:
    """A way that follows from the time or the number of a frame alone."""

    def __init__(self, way_m: Callable[[Captured], float], share: float, segment: int) -> None:
        self._way_m, self._share, self._segment = way_m, share, segment

    def at(self, captured: Captured) -> Pose:
        way_m = self._way_m(captured)
        return Pose(chainage_m=way_m, sigma_m=self._share * abs(way_m), segment=self._segment)


def _constant(uri: str, setup: Setup, segment: int) -> Odometry:
    kind, _, rest = uri.partition("://")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(mm|cm|m)(ps)?/?", rest)
    if not match or bool(match[3]) != (kind == "speed") or float(match[1]) == 0:
        example = "speed://0.2mps" if kind == "speed" else "step://50mm"
        raise ConfigError(
            f"{redacted(uri)}: expected a number above 0 with its unit, as in {example}"
        )
    amount_m = float(match[1]) * _TO_M[match[2]]
    if kind == "step":
        way_m: Callable[[Captured], float] = lambda captured: amount_m * captured.frame_id  # noqa: E731
    else:
        way_m = _since_the_first(amount_m)
    return _Steady(way_m, setup.odometry_sigma_share, segment)


def _since_the_first(speed_mps: float) -> Callable[[Captured], float]:
    start_ns: list[int] = []

    def way_m(captured: Captured) -> float:
        if not start_ns:
            start_ns.append(captured.mono_ns)
        return speed_mps * (captured.mono_ns - start_ns[0]) / 1e9

    return way_m
