"""Odometry files as loggers, spreadsheets and power cuts leave them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scnet_edge.errors import ConfigError
from scnet_edge.inspection.odometry import notes_of, open_odometry
from scnet_edge.inspection.odometry_file import (
    FilmSpan,
    OdometryFile,
    OdometryRow,
    check_span,
    check_units,
    read_odometry,
)
from scnet_edge.inspection.setup import Setup

ROWS = tuple(OdometryRow(t_s=i / 4, chainage_m=i / 32, roll_deg=-i / 2) for i in range(5))
LINES = [f"{r.t_s:.2f},{r.chainage_m:.5f},{r.roll_deg:.1f}" for r in ROWS]
PLAIN = "\n".join(["time_s,chainage_m,roll_deg", *LINES]) + "\n"
GERMAN = PLAIN.replace(",", ";").replace(".", ",")
FILM = FilmSpan(seconds=20.0, frames=200)


def read(tmp_path: Path, content: str | bytes, name: str = "odometry.csv") -> OdometryFile:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_odometry(path)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "\t").replace(".", ","),
        GERMAN,
        "sep=;\n" + GERMAN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("chainage_m", "Chainage_m").replace("time_s", "TIME_S"),
        PLAIN.replace("\n", ",Stra\xdfe\n").encode("cp1252"),
        PLAIN.replace("\n", "\n\n"),
        PLAIN.rstrip("\n"),
        PLAIN.replace(",", " , "),
        "\ufeff" + PLAIN,
        PLAIN.replace(",", "\t").encode("utf-16"),
        "\n".join(f'"{line}"' for line in PLAIN.split()).replace(",", '","') + "\n",
        PLAIN + "\n".join(LINES[2:]) + "\n",  # the logger sent its buffer again
        PLAIN + PLAIN,
    ],
    ids=[
        "plain",
        "semicolons",
        "tabs",
        "tabs-commas",
        "german",
        "sep",
        "crlf",
        "cr",
        "capitals",
        "windows-letters",
        "blank-lines",
        "no-newline",
        "spaces",
        "bom",
        "utf16",
        "quoted",
        "repeated",
        "twice",
    ],
)
def test_one_table_in_many_ways(tmp_path: Path, content: str | bytes) -> None:
    file = read(tmp_path, content)
    assert (file.clock, file.rows, file.notes) == ("time_s", ROWS, ())


def test_thousands_of_metres_in_german(tmp_path: Path) -> None:
    file = read(tmp_path, "time_s;chainage_m\n0;1.234,5\n1;1.235\n")
    assert [row.chainage_m for row in file.rows] == [1234.5, 1.235]


def test_of_readings_at_one_time_the_first_counts(tmp_path: Path) -> None:
    file = read(tmp_path, "time_s,chainage_m\n0,0\n0,0.1\n1,0.2\n1,0.3\n")
    assert [(row.t_s, row.chainage_m) for row in file.rows] == [(0, 0), (1, 0.2)]


@pytest.mark.parametrize(
    ("name", "whole", "tail"),
    [
        ("a.csv", PLAIN, "\0" * 500),
        ("a.csv", PLAIN, "1.25,0.1" + "\0" * 500),
        ("a.csv", PLAIN, '"' + "9" * 200_000),
        ("a.csv", PLAIN, "1.2"),
        ("a.csv", PLAIN, "1.25,-"),
        ("a.csv", PLAIN, "1.25,0.15625,-2."),
        ("a.csv", GERMAN, "1,25;0,1"),
        ("a.jsonl", '{"time_s": 0, "chainage_m": 1}\n', '{"time_s": 1, "chai'),
    ],
    ids=[
        "zeros",
        "line and zeros",
        "quote",
        "half a row",
        "sign",
        "half a number",
        "german",
        "json",
    ],
)
def test_what_a_power_cut_leaves_is_left_out_and_said(
    tmp_path: Path, name: str, whole: str, tail: str
) -> None:
    expected = read(tmp_path, whole, name)
    file = read(tmp_path, whole + tail, name)
    assert file.notes == (f"{tmp_path / name}: 1 torn line left out",)
    rows = {row.t_s: row.chainage_m for row in file.rows}
    assert rows == {row.t_s: row.chainage_m for row in expected.rows}


def test_a_torn_line_in_the_middle_does_not_swallow_the_rest(tmp_path: Path) -> None:
    torn = PLAIN.replace(LINES[2], LINES[2][:5] + '"\0\0')
    file = read(tmp_path, torn)
    assert file.rows == ROWS[:2] + ROWS[3:]
    assert len(file.notes) == 1


def test_bytes_that_are_no_text_are_one_short_line(tmp_path: Path) -> None:
    noise = bytes(range(1, 256)).replace(b"\n", b"").replace(b"\r", b"").replace(b'"', b"") * 99
    with pytest.raises(ConfigError, match="no column chainage_m") as raised:
        read(tmp_path, noise + b"\n1,2\n")
    assert len(str(raised.value)) < 500


def test_a_message_is_short(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 2: chainage_m is 'xxx") as caught:
        read(tmp_path, f"time_s,chainage_m\n0,{'x' * 5000}\n1,1\n")
    assert len(str(caught.value)) < 250


def drive(
    first_s: float, last_s: float, way_m: float, count: int = 181, clock: str = "time_s"
) -> OdometryFile:
    steps = [i / (count - 1) for i in range(count)]
    rows = [
        OdometryRow(t_s=first_s + s * (last_s - first_s), chainage_m=s * way_m, roll_deg=None)
        for s in steps
    ]
    return OdometryFile(clock=clock, rows=tuple(rows), notes=())


def test_units_that_cannot_be_are_refused() -> None:
    path = Path("o.csv")
    check_units(path, drive(0, 18, 2), 1.0)
    with pytest.raises(ConfigError, match=r"o\.csv: .*calendar"):
        check_units(path, drive(1.7e9, 1.7e9 + 18, 2), 1.0)
    with pytest.raises(ConfigError, match=r"o\.csv: .*111 m/s.*in metres"):
        check_units(path, drive(0, 18, 2000), 1.0)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (drive(0, 18_000, 2), "look like milliseconds"),
        (drive(20, 38, 2), "do not overlap"),
        (drive(-38, -5, 2), "do not overlap"),
        (drive(200, 300, 2, clock="frame_id"), "do not overlap"),
        (drive(0, 18, 2, clock="utc_ns"), "a film has no utc_ns"),
        (drive(0, 18, 2, clock="mono_ns"), "a film has no mono_ns"),
    ],
)
def test_times_that_cannot_be_a_film_s_are_refused(file: OdometryFile, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        check_span(Path("o.csv"), file, FILM)
    assert str(caught.value).startswith("o.csv: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "notes"),
    [
        (drive(0, 20, 2), 0),
        (drive(-5, 25, 2), 0),
        (drive(0, 10_800, 600), 0),  # a drive of three hours, of which this is the beginning
        (drive(0, 10, 2), 1),
        (drive(15, 200, 2), 1),
        (drive(0, 200, 2, clock="frame_id"), 0),
    ],
)
def test_a_film_that_is_hardly_covered_is_said(file: OdometryFile, notes: int) -> None:
    assert len(check_span(Path("o.csv"), file, FILM)) == notes
    assert check_span(Path("o.csv"), drive(0, 5, 1), FilmSpan(seconds=None, frames=None)) == ()


def test_notes_reach_who_opens_the_odometry(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text(PLAIN + "1.2")
    with open_odometry(str(path), Setup(mode="wall"), span=FILM) as odometry:
        torn, short = notes_of(odometry)
    assert "torn" in torn
    assert "95% of the film has no chainage" in short
