"""A recorded odometry file, CSV or JSON lines, read whole and checked row by row."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from scnet_edge.config import NOT_JSON, read_text
from scnet_edge.errors import ConfigError

Clock: TypeAlias = Literal["frame_id", "time_s", "mono_ns", "utc_ns"]
CLOCKS: tuple[Clock, ...] = ("frame_id", "time_s", "mono_ns", "utc_ns")  # the first there is counts
_UNIT = {"frame_id": 1.0, "time_s": 1.0, "mono_ns": 1e-9, "utc_ns": 1e-9}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One reading; t_s is in seconds of the file's clock, or a frame's number."""

    t_s: float
    chainage_m: float
    roll_deg: float | None


def read_rows(path: Path) -> tuple[Clock, list[Row]]:
    """Return the clock of a file and its readings, in its order.

    Raises:
        ConfigError: missing, empty, without the columns, a value that is no number, or times that
            do not go up.
    """
    text = read_text(path)
    jsonl = path.suffix.lower() in {".jsonl", ".ndjson"}
    table = _json_lines(path, text) if jsonl else list(csv.DictReader(text.splitlines()))
    if not table:
        raise ConfigError(f"{path}: no reading in it, expected a header and at least one row")
    clock = _clock(path, table[0])
    rows = [_row(path, number, record, clock) for number, record in enumerate(table, 2 - jsonl)]
    for number, (one, other) in enumerate(pairwise(rows), 3 - jsonl):
        if other.t_s <= one.t_s:
            raise ConfigError(f"{path}, line {number}: {clock} does not go up; sort or mend it")
    return clock, rows


def _json_lines(path: Path, text: str) -> list[dict[str, object]]:
    records = []
    for number, line in enumerate(filter(str.strip, text.splitlines()), 1):
        try:
            records.append(msgspec.json.decode(line, type=dict[str, object]))
        except NOT_JSON as e:
            raise ConfigError(f"{path}, line {number}: {e}") from e
    return records


def _clock(path: Path, record: dict[str, object]) -> Clock:
    if "chainage_m" not in record:
        raise ConfigError(f"{path}: no column chainage_m, found {', '.join(map(str, record))}")
    for clock in CLOCKS:
        if clock in record:
            return clock
    raise ConfigError(f"{path}: no column of time, expected one of {', '.join(CLOCKS)}")


def _row(path: Path, number: int, record: dict[str, object], clock: Clock) -> Row:
    def value(name: str) -> float:
        found = record.get(name)
        try:
            return float("nan") if found in (None, "") else float(str(found))
        except ValueError:
            raise ConfigError(f"{path}, line {number}: {name} is {found!r}, not a number") from None

    t_s = value(clock) * _UNIT[clock]
    if t_s != t_s:
        raise ConfigError(f"{path}, line {number}: no {clock}")
    has_roll = record.get("roll_deg") not in (None, "")
    return Row(
        t_s=t_s, chainage_m=value("chainage_m"), roll_deg=value("roll_deg") if has_roll else None
    )
