"""A recorded odometry file, CSV or JSON lines, read whole and checked: its rows, units and film.

CSV as people have it: commas, semicolons or tabs between the columns, decimal points or decimal
commas, Excel's `sep=` line, its UTF-16, Windows' own letters, capitals in the names. What a power
cut leaves (zero bytes, half a line, an unclosed quotation) is left out, and said. A line that comes
twice counts once.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal, TypeAlias

import msgspec

from scnet_edge.config import MAX_BYTES, NOT_JSON
from scnet_edge.errors import ConfigError
from scnet_edge.files import read_file

Clock: TypeAlias = Literal["frame_id", "time_s", "mono_ns", "utc_ns"]
CLOCKS: tuple[Clock, ...] = ("frame_id", "time_s", "mono_ns", "utc_ns")  # the first there is counts
_UNIT = {"frame_id": 1.0, "time_s": 1.0, "mono_ns": 1e-9, "utc_ns": 1e-9}
_DELIMITERS = (";", "\t", ",")
_DECIMAL_COMMA = re.compile(r"-?\d{1,3}(\.\d{3})*,\d+|-?\d+,\d+")
_SHOWN = 30  # characters of a bad value in a message
_NAMES_SHOWN = 200  # of the names of columns
_CALENDAR_S = 1e8  # three years; a drive does not last so long, a calendar's seconds are more
_SLOWEST_MPS = 0.002  # of a drive as a whole
_LONGER = 100.0  # times the film: then the odometry's seconds are not the film's
_COVERED = 0.9  # of the film; where less is covered, it is said


class OdometryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One reading; t_s is in seconds of the file's clock, or a frame's number."""

    t_s: float
    chainage_m: float
    roll_deg: float | None


class OdometryFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds: readings whose times go up, and what people must know of it."""

    clock: Clock
    rows: tuple[OdometryRow, ...]
    notes: tuple[str, ...]


def read_odometry(path: Path) -> OdometryFile:
    """Return the readings of a file, in its order.

    Raises:
        ConfigError: missing, empty, without the columns, a value that is no number, or times that
            go back.
    """
    text = _text(path)
    jsonl = path.suffix.lower() in {".jsonl", ".ndjson"}
    whole, torn = _whole_lines(text)
    records = _json_records(path, whole) if jsonl else _csv_records(whole)
    clock: Clock | None = None
    rows, known = list[OdometryRow](), set[OdometryRow]()
    for number, record, last in records:
        clock = clock or _clock(path, record)
        try:
            row = _row(path, number, record, clock)
        except ConfigError:
            if not (last and not text.endswith(("\n", "\r"))):
                raise
            torn += 1
            break
        if row in known or (rows and row.t_s == rows[-1].t_s):
            continue
        if rows and row.t_s < rows[-1].t_s:
            raise ConfigError(f"{path}, line {number}: {clock} does not go up; sort or mend it")
        rows.append(row)
        known.add(row)
    if clock is None or not rows:
        raise ConfigError(f"{path}: no reading in it, expected a header and at least one row")
    notes = (f"{path}: {torn} torn line{'s' * (torn > 1)} left out",) if torn else ()
    return OdometryFile(clock=clock, rows=tuple(rows), notes=notes)


def _text(path: Path) -> str:
    try:
        data = read_file(path, MAX_BYTES)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file, expected odometry as CSV or JSONL") from None
    except OSError as e:
        raise ConfigError(f"{path}: cannot be read ({e.strerror})") from e
    try:
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")  # numbers and our names are ASCII in both


def _whole_lines(text: str) -> tuple[list[tuple[int, str]], int]:
    """Return the lines that hold something, numbered from 1, and how many are torn."""
    lines = [(i, line) for i, line in enumerate(re.split(r"\r\n|\n|\r", text), 1) if line.strip()]
    whole = [(i, line) for i, line in lines if "\0" not in line and line.count('"') % 2 == 0]
    if len(whole) > 2 and not text.endswith(("\n", "\r")) and whole[-1] == lines[-1]:
        whole = whole[:-1] if _is_shorter(whole[-1][1], whole[-2][1]) else whole
    return whole, len(lines) - len(whole)


def _is_shorter(line: str, before: str) -> bool:
    """Return whether a line ends before the one before it does: in columns, or in decimals."""
    parts, parts_before = (re.split(r"[;,\t.]", text) for text in (line, before))
    if len(parts) != len(parts_before):
        return len(parts) < len(parts_before)
    decimals = re.search(r"\.\d+$", before) or re.search(r"[;\t].*,\d+$", before)
    return decimals is not None and len(parts[-1]) < len(parts_before[-1])


def _json_records(
    path: Path, lines: list[tuple[int, str]]
) -> Iterator[tuple[int, Mapping[str, object], bool]]:
    """Yield (line, record, whether it is the last)."""
    for number, line in lines:
        last = number == lines[-1][0]
        try:
            yield number, msgspec.json.decode(line, type=dict[str, object]), last
        except NOT_JSON as e:
            if not last:
                raise ConfigError(f"{path}, line {number}: {e}") from e
            yield number, {}, True


def _csv_records(
    lines: list[tuple[int, str]],
) -> Iterator[tuple[int, Mapping[str, object], bool]]:
    """Yield (line, record, whether it is the last); a header that comes again is passed over."""
    if lines and lines[0][1].lower().startswith("sep="):
        lines = lines[1:]
    if not lines:
        return
    header = lines[0][1]
    delimiter = next((d for d in _DELIMITERS if d in header), ",")
    names = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter))]
    for number, line in lines[1:]:
        if line == header:
            continue
        try:
            values = [value.strip() for value in next(csv.reader([line], delimiter=delimiter))]
        except csv.Error:
            values = []
        if delimiter != ",":
            values = [_with_point(value) for value in values]
        yield number, dict(zip(names, values, strict=False)), number == lines[-1][0]


def _with_point(value: str) -> str:
    """Return a number with a decimal comma, such as 1.234,5, with a decimal point."""
    if not _DECIMAL_COMMA.fullmatch(value):
        return value
    return value.replace(".", "").replace(",", ".")


def _clock(path: Path, record: Mapping[str, object]) -> Clock:
    if "chainage_m" not in record:
        found = ", ".join(map(str, record))
        shown = found if len(found) <= _NAMES_SHOWN else f"{found[:_NAMES_SHOWN]} ..."
        raise ConfigError(f"{path}: no column chainage_m, found {shown}")
    for clock in CLOCKS:
        if clock in record:
            return clock
    raise ConfigError(f"{path}: no column of time, expected one of {', '.join(CLOCKS)}")


def _row(path: Path, number: int, record: Mapping[str, object], clock: Clock) -> OdometryRow:
    def value(name: str) -> float:
        found = record.get(name)
        try:
            return float("nan") if found in (None, "") else float(str(found))
        except ValueError:
            shown = repr(str(found)[:_SHOWN])
            raise ConfigError(f"{path}, line {number}: {name} is {shown}, not a number") from None

    t_s = value(clock) * _UNIT[clock]
    if t_s != t_s:
        raise ConfigError(f"{path}, line {number}: no {clock}")
    has_roll = record.get("roll_deg") not in (None, "")
    return OdometryRow(
        t_s=t_s, chainage_m=value("chainage_m"), roll_deg=value("roll_deg") if has_roll else None
    )


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
