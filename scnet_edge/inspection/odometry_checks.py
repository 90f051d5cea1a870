"""Whether an odometry file can be what it says: its units, and that it is about this film."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import median

import msgspec

from scnet_edge.errors import ConfigError
from scnet_edge.inspection.odometry_file import OdometryFile

_CALENDAR_S = 1e8  # three years; a drive does not last so long, a calendar's seconds are more
_SLOWEST_MPS = 0.002  # of a drive as a whole
_LONGER = 100.0  # times the film: then the odometry's seconds are not the film's
_COVERED = 0.9  # of the film; where less is covered, it is said


class FilmSpan(msgspec.Struct, frozen=True, kw_only=True):
    """How long a film is, about; None where nobody knows.

    Attributes:
        utc: its frames have the time of the day, as in a ROS bag.
    """

    seconds: float | None
    frames: int | None
    utc: bool = False


def check_units(path: Path, file: OdometryFile, max_speed_mps: float) -> None:
    """Refuse readings whose units cannot be.

    Raises:
        ConfigError: seconds of a calendar, or way by way faster than a robot may be.
    """
    rows = [row for row in file.rows if row.chainage_m == row.chainage_m]
    if file.clock == "time_s" and file.rows[0].t_s > _CALENDAR_S:
        raise ConfigError(
            f"{path}: time_s begins at {file.rows[0].t_s:.0f}, the seconds of a calendar; "
            "expected seconds since the first frame: take the first frame's off all of them"
        )
    if file.clock == "frame_id" or len(rows) < 3:
        return
    speeds = [abs(b.chainage_m - a.chainage_m) / (b.t_s - a.t_s) for a, b in pairwise(rows)]
    moving = [speed for speed in speeds if speed > 0]
    if moving and median(moving) > max_speed_mps:
        raise ConfigError(
            f"{path}: the odometer moves at {median(moving):.3g} m/s, more than max_speed_mps "
            f"({max_speed_mps:g}); expected chainage_m in metres and {file.clock} as its name says"
        )


def check_span(path: Path, file: OdometryFile, film: FilmSpan) -> tuple[str, ...]:
    """Return what people must know of how the readings and a film overlap in time.

    Raises:
        ConfigError: they do not overlap, their clock is none that a film has, or they are in
            milliseconds.
    """
    first, last = file.rows[0], file.rows[-1]
    if file.clock == "utc_ns" and film.utc:
        return ()
    if file.clock in ("mono_ns", "utc_ns"):
        raise ConfigError(
            f"{path}: a film has no {file.clock}; expected a column time_s, seconds since its "
            "first frame, or frame_id"
        )
    length = film.seconds if file.clock == "time_s" else film.frames
    if not length:
        return ()
    unit = "s" if file.clock == "time_s" else "frames"
    spans = f"the odometry covers {first.t_s:g} to {last.t_s:g} {unit}, the film {length:.4g}"
    if first.t_s >= length or last.t_s <= 0:
        raise ConfigError(f"{path}: {spans}; they do not overlap, is it another film's?")
    way_m = max(row.chainage_m for row in file.rows) - min(row.chainage_m for row in file.rows)
    slow = way_m < _SLOWEST_MPS * (last.t_s - first.t_s)
    if file.clock == "time_s" and last.t_s > _LONGER * length and slow:
        raise ConfigError(f"{path}: {spans}; expected seconds, these look like milliseconds")
    covered = (min(last.t_s, length) - max(first.t_s, 0.0)) / length
    if covered >= _COVERED:
        return ()
    return (f"{path}: {spans}; {1 - covered:.0%} of the film has no chainage",)
