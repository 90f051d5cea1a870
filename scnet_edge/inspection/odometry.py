"""Where the robot is at the time of a frame: from a file, a socket, a serial line or a speed.

survey.csv, survey.jsonl    columns or keys: chainage_m, and of time_s (since the first frame),
                            mono_ns, utc_ns or frame_id at least one; roll_deg if there is one
udp://[HOST]:PORT           a datagram a reading: `12.345`, `12.345,-1.5` (chainage in m, roll
                            in degrees) or {"chainage_m": 12.345, "roll_deg": -1.5}
serial:///dev/ttyUSB0?baud=115200    the same, a line a reading
speed://0.2mps              a constant speed, from 0 m at the first frame
step://50mm                 a constant way from frame to frame, for folders of images
rosbag:FOLDER?topic=/odom   nav_msgs/Odometry of a ROS 2 bag, and ros2://odom over zenoh
osd://560,20,140,32         the counter in a film's picture, at x,y,width,height; ?unit=ft
osd://auto                  the same, found by itself
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Protocol

from scnet_edge.errors import ConfigError, install_extra
from scnet_edge.inspection.live_odometry import (
    LiveOdometry,
    Receive,
    lines_of_serial,
    lines_of_udp,
)
from scnet_edge.inspection.odometry_file import (
    FilmSpan,
    OdometryFile,
    OdometryRow,
    check_span,
    check_units,
    read_odometry,
)
from scnet_edge.inspection.osd_counter import SCHEME
from scnet_edge.inspection.osd_odometry import parse_counter, read_counter
from scnet_edge.inspection.readings import Pose, Readings
from scnet_edge.inspection.setup import Setup
from scnet_edge.inspection.visual_odometry import VisualOdometry
from scnet_edge.redaction import redact
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


def moves(odometry: Odometry, captured: Captured) -> bool | None:
    """Return whether the robot moves when a frame is taken; None where no odometer says so."""
    if isinstance(odometry, LiveOdometry):
        return odometry.is_moving()
    return odometry.is_moving(captured) if isinstance(odometry, _ReadOdometry) else None


def notes_of(odometry: Odometry) -> tuple[str, ...]:
    """Return what people must know of an odometry file, a line each."""
    return odometry.notes if isinstance(odometry, _ReadOdometry) else ()


def pose_without_frame(
    odometry: Odometry, near: Captured, *, mono_ns: int, frame_id: int
) -> Pose | None:
    """Return the pose at a moment that no frame shows; None where only frames say where it is.

    Args:
        near: a frame of the same source, which tells how its clocks go.
        mono_ns, frame_id: the moment, and the number that a frame would have had then.
    """
    if isinstance(odometry, VisualOdometry):
        return None
    since_ns = mono_ns - near.mono_ns
    moment = replace(
        near,
        frame_id=frame_id,
        mono_ns=mono_ns,
        time_s=None if near.time_s is None else near.time_s + since_ns / 1e9,
        utc_ns=None if near.utc_ns is None else near.utc_ns + since_ns,
    )
    return odometry.at(moment)


@contextmanager
def open_odometry(
    uri: str | None,
    setup: Setup,
    *,
    first_segment: int = 0,
    film: str | None = None,
    span: FilmSpan | None = None,
) -> Iterator[Odometry]:
    """Open what a URI names; without one, every pose is without a chainage.

    Args:
        uri: as listed at the top of this file.
        setup: says how fast the robot may be and how far its odometer is trusted.
        first_segment: the number of the first segment, for a survey that is resumed.
        film: the video file that is inspected, for `osd://`, which is read from it beforehand.
        span: how long it is, to be compared with a file's readings; None for cameras and images.

    Raises:
        InputError: `osd://` and a film that cannot be decoded.
        ConfigError: an unknown kind, a file or device that cannot be read, a bad value in it, or
            units and times that cannot be.
    """
    readings = Readings(
        max_speed_mps=setup.max_speed_mps,
        sigma_share=setup.odometry_sigma_share,
        ahead_m=setup.camera_ahead_m,
        first_segment=first_segment,
    )
    if uri is None:
        yield _Nowhere(first_segment)
    elif uri == "visual://":
        if setup.mode == "forward":
            raise ConfigError(
                f"{redact(uri)}: needs a camera that looks at the wall, found mode 'forward'"
            )
        yield VisualOdometry(setup, first_segment=first_segment)
    elif uri.startswith(("speed://", "step://")):
        yield _constant(uri, setup, first_segment)
    elif uri.startswith(("udp://", "serial://", "ros2://")):
        with _lines(uri) as lines, LiveOdometry(lines, readings) as live:
            yield live
    elif uri.startswith("rosbag:"):
        if span and not span.utc:
            raise ConfigError(f"{uri}: expected pictures with a time, of a bag or a camera")
        yield _ReadOdometry(_ros().read_bag(uri), readings)
    elif uri.startswith(SCHEME):
        yield _ReadOdometry(_read_counter(uri, film), readings)
    elif "://" in uri:
        known = (
            "a CSV or JSONL file, udp://, serial://, rosbag:FOLDER, ros2://, speed://, step://, "
            "visual:// or osd://"
        )
        raise ConfigError(f"{redact(uri)}: unknown kind of odometry, expected {known}")
    else:
        file = read_odometry(Path(uri))
        check_units(Path(uri), file, setup.max_speed_mps)
        notes = check_span(Path(uri), file, span) if span else ()
        yield _ReadOdometry(file, readings, notes=file.notes + notes)


def _lines(uri: str) -> AbstractContextManager[Receive]:
    if uri.startswith("udp://"):
        return lines_of_udp(uri)
    return lines_of_serial(uri) if uri.startswith("serial://") else _ros().lines_of_ros2(uri)


def _ros() -> ModuleType:
    try:
        return import_module("scnet_edge.inspection.ros_odometry")  # its packages are an extra
    except ModuleNotFoundError as e:
        raise ConfigError(f"odometry needs the package {e.name}; {install_extra('ros')}") from e


class _Nowhere:
    def __init__(self, segment: int) -> None:
        self._pose = Pose(segment=segment)

    def at(self, captured: Captured) -> Pose:
        return self._pose


def _read_counter(uri: str, film: str | None) -> OdometryFile:
    """Return the readings of the counter in a film's picture."""
    counter = parse_counter(uri)
    if film is None or not Path(film).is_file():
        raise ConfigError(f"{uri}: reads the counter of a video file, found another source")
    read = read_counter(Path(film), counter)
    if read.place is None:
        raise ConfigError(
            f"{uri}: no counter found in {film}; measure it in a frame, osd://x,y,width,height"
        )
    rows = (OdometryRow(t_s=t, chainage_m=metres, roll_deg=None) for t, metres in read.readings)
    found = () if counter.place else (f"counter found at {read.place.uri}",)
    return OdometryFile(clock="time_s", rows=tuple(rows), notes=found)


class _ReadOdometry:
    """Readings that were there before the first frame."""

    def __init__(
        self, file: OdometryFile, readings: Readings, *, notes: tuple[str, ...] = ()
    ) -> None:
        self.notes = notes
        self._readings, self._clock = readings, file.clock
        self._since_first = SinceFirst()
        for row in file.rows:
            readings.add(row.t_s, row.chainage_m, row.roll_deg)

    def at(self, captured: Captured) -> Pose:
        t_s = self._time(captured)
        return Pose(flags=("odometry_lost",)) if t_s is None else self._readings.at(t_s)

    def is_moving(self, captured: Captured) -> bool | None:
        """Return whether it has moved within the second before; None where it does not say."""
        t_s = self._time(captured)
        if t_s is None or self._clock == "frame_id":
            return None
        return self._readings.is_moving(t_s)

    def _time(self, captured: Captured) -> float | None:
        """Return when a frame was taken, by the file's clock."""
        if self._clock == "frame_id":
            return float(captured.frame_id)
        if self._clock == "time_s":
            return self._since_first(captured)
        if self._clock == "utc_ns":
            return None if captured.utc_ns is None else captured.utc_ns / 1e9
        return captured.mono_ns / 1e9


class SinceFirst:
    """Seconds since a film's beginning, or since the first frame of what is no film."""

    def __init__(self) -> None:
        self._start_ns: int | None = None

    def __call__(self, captured: Captured) -> float:
        """Return the frame's seconds; the first frame that is asked for is the first."""
        if captured.time_s is not None:
            return captured.time_s
        if self._start_ns is None:
            self._start_ns = captured.mono_ns
        return (captured.mono_ns - self._start_ns) / 1e9


class _Steady:
    """A way that follows from the time or the number of a frame alone."""

    def __init__(self, way_m: Callable[[Captured], float], share: float, segment: int) -> None:
        self._way_m, self._share, self._segment = way_m, share, segment

    def at(self, captured: Captured) -> Pose:
        way_m = max(0.0, self._way_m(captured))  # before the first frame it stood there
        return Pose(chainage_m=way_m, sigma_m=self._share * abs(way_m), segment=self._segment)


def _constant(uri: str, setup: Setup, segment: int) -> Odometry:
    kind, _, rest = uri.partition("://")
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(mm|cm|m)(ps)?/?", rest)
    if not match or bool(match[3]) != (kind == "speed") or float(match[1]) == 0:
        example = "speed://0.2mps" if kind == "speed" else "step://50mm"
        raise ConfigError(
            f"{redact(uri)}: expected a number above 0 with its unit, as in {example}"
        )
    amount_m = float(match[1]) * _TO_M[match[2]]
    if kind == "step":
        way_m: Callable[[Captured], float] = lambda captured: amount_m * captured.frame_id  # noqa: E731
    else:
        since_first = SinceFirst()
        way_m = lambda captured: amount_m * since_first(captured)  # noqa: E731
    return _Steady(way_m, setup.odometry_sigma_share, segment)
