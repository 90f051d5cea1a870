"""Every format against what was written into it by hand, and against files that mean harm."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import coded_files
import pytest
from msgspec.structs import replace

from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.archive.media import is_film
from scnet_edge.archive.readers import is_database, pacp, read_inspections, values
from scnet_edge.archive.readers.values import clock, code_of, film_time, iso_date, number
from scnet_edge.errors import InputError


def written(folder: Path, system: str) -> Path:
    write = {
        "wincan": lambda: coded_files.write_wincan(folder / "job.db3"),
        "isybau": lambda: coded_files.write_isybau(folder / "job.xml"),
        "m150": lambda: coded_files.write_m150(folder / "m150.XML"),
        "ibak": lambda: coded_files.write_ibak(folder / "Daten.txt"),
        "pacp": lambda: coded_files.write_pacp(folder),
    }
    return write[system]()


def only(path: Path) -> CodedInspection:
    found = read_inspections(path)
    assert found is not None
    return found[0]


@pytest.mark.parametrize("system", ["wincan", "isybau", "m150", "pacp"])
def test_every_format_gives_the_same_inspection(tmp_path: Path, system: str) -> None:
    path = written(tmp_path, system)
    found = only(path)
    assert is_database(path.name)
    assert (found.system, found.pipe, found.from_node, found.to_node) == (
        system,
        "100-200",
        "100",
        "200",
    )
    assert (found.direction, found.date) == ("upstream", "2026-03-01")
    assert found.length_m == pytest.approx(31.5, abs=0.01)
    assert found.diameter_mm == pytest.approx(304.8 if system == "pacp" else 300)
    assert "Müller" in found.operator
    assert [film.split("\\")[-1] for film in found.films] == ["prüfung_1.mpg"]
    crack, connection = found.conditions
    assert (crack.distance_m, crack.end_m) == pytest.approx((4.2, 6.7), abs=0.01)
    assert (crack.clock_from, crack.clock_to, crack.film_s, crack.quantity) == (0.0, 2.0, 65.0, 2.0)
    assert [p.split("\\")[-1] for p in crack.pictures] == ["prüfung_1_3.jpg"]
    assert connection.distance_m == pytest.approx(9.0, abs=0.01)
    assert (connection.clock_from, connection.clock_to, connection.film_s) == (3.0, None, 130.0)
    codes = ["CL", "TFA"] if system == "pacp" else ["BAB B A", "BCA E"]
    assert [c.code for c in found.conditions] == codes


def test_ibak_has_pipes_conditions_and_stretches_but_no_films(tmp_path: Path) -> None:
    first, second = read_inspections(written(tmp_path, "ibak")) or []
    assert (first.pipe, first.from_node, first.to_node, second.pipe) == (
        "100-200",
        "100",
        "200",
        "300-400",
    )
    assert first.films == ()
    assert first.conditions == (
        Condition(
            code="BAB B A", distance_m=4.2, end_m=6.7, film_s=65.0, text="Riss längs, Anfang (1)"
        ),
        Condition(code="BCA E", distance_m=9.0, film_s=130.0, text="Anschluss bei 3 Uhr, Foto 1"),
    )


def test_access_is_read_through_mdbtools_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coded_files.write_pacp(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, code in {
        "mdb-tables": "print('PACP_Inspections\\nPACP_Conditions')",
        "mdb-export": "import shutil; shutil.copyfileobj(open(a[-1] + '.csv', 'rb'), out)",
        "mdb-count": "print(os.environ['ROWS'] if 'Cond' in a[-1] else 1)",
    }.items():
        lines = ["#!" + sys.executable, "import os, sys", "a, out = sys.argv, sys.stdout.buffer"]
        (programs / name).write_text("\n".join([*lines, code]))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "job.mdb"
    path.write_bytes(b"\0\1\0\0Standard Jet DB\0")
    monkeypatch.setenv("ROWS", "3")
    same = only(tmp_path / "PACP_Inspections.csv")
    assert only(path) == replace(
        same, films=(), conditions=tuple(replace(c, pictures=()) for c in same.conditions)
    )
    monkeypatch.setenv("ROWS", "5")
    with pytest.raises(InputError, match=r"gave 3 of 5 rows of PACP_Conditions"):
        read_inspections(path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt install mdbtools"):
        read_inspections(path)


def test_a_program_of_mdbtools_that_hangs_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mdb-tables", "mdb-export"):
        (tmp_path / name).write_text("#!/bin/sh\nexec sleep 600\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(pacp, "_LONGEST_S", 0.2)
    (tmp_path / "job.mdb").write_bytes(b"\0\1\0\0Standard Jet DB\0")
    with pytest.raises(InputError, match="mdb-tables takes over"):
        read_inspections(tmp_path / "job.mdb")


LAUGHS = (
    '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    "<Identifikation><Version>&c;</Version></Identifikation>"
)
FOREIGN = (
    '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><DATA><HG><HG001>&b;</HG001></HG></DATA>'
)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.xml", b"", "not well-formed"),
        ("a.xml", b"<DATA><HG>", "not well-formed"),
        ("a.xml", LAUGHS.encode(), "document type"),
        ("a.xml", FOREIGN.encode(), "document type"),
        ("a.db3", b"", "not WinCan"),
        ("a.db3", b"SQLite format 3\0" + b"\xff" * 4000, "damaged"),
        ("a.db3", b"MZ" * 4000, "damaged"),
        ("Daten.txt", b"notes of a Sunday\n", "no condition"),
        ("Daten.txt", b"\x00\xff" * 3000, "IBAK"),
        ("PACP_Inspections.csv", b"a,b\n1,2\n", "no pacp_conditions.csv"),
        ("a.sdf", b"x", "no reader"),
    ],
)
def test_a_damaged_file_is_one_line(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=expected) as raised:
        read_inspections(tmp_path / name)
    assert len(str(raised.value).splitlines()) == 1
    assert "root:" not in str(raised.value)


def test_another_version_of_a_database_says_what_is_missing(tmp_path: Path) -> None:
    path = coded_files.write_wincan(tmp_path / "other.db3")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("ALTER TABLE SECOBS RENAME COLUMN OBS_OpCode TO OBS_Code")
    with pytest.raises(InputError, match="SECOBS has no column OBS_OpCode: another version"):
        read_inspections(path)


def test_a_database_that_never_ends_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = coded_files.write_wincan(tmp_path / "endless.db3")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TABLE SECOBS")
        db.execute(
            "CREATE VIEW SECOBS AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) "
            "SELECT i FROM n WHERE i < 0"
        )
    with pytest.raises(InputError, match="not WinCan"):
        read_inspections(path)
    monkeypatch.setattr("scnet_edge.archive.readers.wincan._LONGEST_S", 0.0)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP VIEW SECOBS")
        db.execute("CREATE TABLE SECOBS (OBS_PK, OBS_Inspection_FK, OBS_OpCode, OBS_Distance)")
        rows = (("x", "1", "BABBA", 1.0) for _ in range(50_000))
        db.executemany("INSERT INTO SECOBS VALUES (?, ?, ?, ?)", rows)
    with pytest.raises(InputError, match="takes too long"):
        read_inspections(path)


def test_a_file_that_is_too_large_is_not_even_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = coded_files.write_m150(tmp_path / "a.xml")
    monkeypatch.setattr(values, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="expected at most"):
        read_inspections(path)


def test_nothing_is_written_beside_a_database_on_a_read_only_medium(tmp_path: Path) -> None:
    path = coded_files.write_wincan(tmp_path / "job.db3")
    before = sorted(p.name for p in tmp_path.iterdir())
    stamp_ns = path.stat().st_mtime_ns
    tmp_path.chmod(0o500)
    try:
        assert only(path).pipe == "100-200"
    finally:
        tmp_path.chmod(0o700)
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert path.stat().st_mtime_ns == stamp_ns


@pytest.mark.parametrize("head", ["", '<?xml version="1.0"?>', '<?xml version="1.0"?>\n<!-- x -->'])
def test_xml_that_does_not_say_its_encoding_is_read(tmp_path: Path, head: str) -> None:
    path = tmp_path / "a.xml"
    for encoding in ("utf-8", "cp1252"):
        text = coded_files.M150.partition("?>")[2].replace("100-200", "Süd-Straße")
        path.write_bytes((head + text.strip()).encode(encoding))
        assert "Süd-Straße" in {one.pipe for one in read_inspections(path) or []}


def test_xml_of_something_else_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<svg/>")
    assert read_inspections(tmp_path / "a.xml") is None
    assert not is_database("notes.txt")
    assert not is_database("job_meta.db3")
    assert is_database("PACP Inspections.CSV")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("12,5", 12.5), ("1.234,5", 1234.5), ("1,234.5", 1234.5), ("3 m", 3.0), ("", None)),
        *(("nan", None), ("1e999", None), (None, None), (float("inf"), None), ("2.5e+01", 25.0)),
    ],
)
def test_numbers(text: object, expected: float | None) -> None:
    assert number(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("12", 0.0), ("03", 3.0), ("6:30", 6.5), ("0", None), ("13", None), ("x", None), (9, 9.0)],
)
def test_clocks(text: object, expected: float | None) -> None:
    assert clock(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("01:02:03", 3723.0), ("02:03", 123.0), ("010203", 3723.0), ("95", 95.0), ("a:b", None)],
)
def test_times_in_the_film(text: str, expected: float | None) -> None:
    assert film_time(text) == expected


def test_codes_stand_with_their_characters_apart() -> None:
    assert code_of("babba") == code_of("BAB", "B", "A") == code_of("BAB.B.A") == "BAB B A"
    assert code_of("BCD") == "BCD"
    assert code_of("FM ") == "FM"
    assert code_of("BSV") == "BSV"  # PACP: broken, soil visible


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-30", "2026-11-30"),
        ("2014-01-31 00:00:00.000", "2014-01-31"),
        ("20261130", "2026-11-30"),
        ("12.05.2026", "2026-05-12"),
        ("12/31/2025", "2025-12-31"),
        ("01/31/14 13:41:58", "2014-01-31"),
        ("May 2019", "May 2019"),
        ("", ""),
        (None, ""),
    ],
)
def test_days_become_iso_8601(text: str | None, expected: str) -> None:
    assert iso_date(text) == expected


def test_a_pipe_without_a_name_is_called_by_its_nodes(tmp_path: Path) -> None:
    """As some programs write DWA-M 150: no HG001, a decimal comma, a film of MPEG-2 as .mp2."""
    (tmp_path / "m150.xml").write_text(
        "<DATA><HG><HG003>A1</HG003><HG004>A2</HG004><HG306>300</HG306><HG307/><HG310>35,12</HG310>"
        "<HI><HI104>22.04.2014</HI104><HI116>1_1.mp2</HI116>"
        "<HZ><HZ001>9,8</HZ001><HZ002>BBA</HZ002></HZ></HI></HG></DATA>",
        encoding="utf-8",
    )
    found = only(tmp_path / "m150.xml")
    assert (found.pipe, found.date, found.length_m) == ("A1-A2", "2014-04-22", 35.12)
    assert (found.diameter_mm, found.conditions[0].distance_m) == (300.0, 9.8)
    assert all(map(is_film, found.films))


def test_isybau_reads_laterals_and_the_film_of_each_direction_and_tape(tmp_path: Path) -> None:
    """As the published examples have it: time codes of a tape, and one film for each way."""

    def film(name: str, pipe: str, way: str, first_frame: int) -> str:
        return (
            f"<Film><Filmname>{name}</Filmname><Frame><fps>25</fps></Frame>"
            f"<Offsets><Offset><TcFrameNr>{first_frame}</TcFrameNr><MPEGFrameNr>0</MPEGFrameNr>"
            f"</Offset></Offsets><FilmObjekte><FilmObjekt><Objektbezeichnung>{pipe}"
            f"</Objektbezeichnung><Inspektionsrichtung>{way}</Inspektionsrichtung>"
            "</FilmObjekt></FilmObjekte></Film>"
        )

    def run(way: str, *codes: str) -> str:
        states = "".join(
            f"<RZustand><Station>1.00</Station><Timecode>{code}</Timecode>"
            "<InspektionsKode>BAB</InspektionsKode></RZustand>"
            for code in codes
        )
        return (
            f"<OptischeInspektion><Rohrleitung><Inspektionsrichtung>{way}</Inspektionsrichtung>"
            f"<Inspektionsdaten>{states}</Inspektionsdaten></Rohrleitung></OptischeInspektion>"
        )

    def plant(name: str, kind: int, *runs: str) -> str:
        return (
            f"<InspizierteAbwassertechnischeAnlage><Objektbezeichnung>{name}</Objektbezeichnung>"
            f"<Anlagentyp>{kind}</Anlagentyp>{''.join(runs)}</InspizierteAbwassertechnischeAnlage>"
        )

    (tmp_path / "tape.xml").write_text(
        "<Identifikation><Datenkollektive><Zustandsdatenkollektiv>"
        + plant("P", 1, run("O", "00000100", "00011505"), run("U", "00020000"))
        + plant("L", 2, run("U", "02020500", "02000000"))
        + plant("M", 3, run("O"))
        + "<Filme>"
        + film("down.mpg", "P", "O", 0)
        + film("up.mpg", "P", "U", 0)
        + film("lateral.mpg", "L", "U", 25 * 7322)  # 02:02:02 of the tape
        + "</Filme></Zustandsdatenkollektiv></Datenkollektive></Identifikation>",
        encoding="utf-8",
    )
    found = read_inspections(tmp_path / "tape.xml") or []
    assert [(one.pipe, one.films) for one in found] == [
        ("P", ("down.mpg",)),
        ("P", ("up.mpg",)),
        ("L", ("lateral.mpg",)),
    ]
    seconds = [[condition.film_s for condition in one.conditions] for one in found]
    assert seconds == [[1.0, 75.0], [120.0], [3.0, None]]  # before the film: of another one


def test_stretches_of_one_number_are_told_apart_by_their_codes(tmp_path: Path) -> None:
    """As in a published example of ISYBAU XML: a crack and a hole along it, both number 1."""
    states = "".join(
        f"<HZ><HZ001>{metres}</HZ001><HZ002>{code}</HZ002><HZ005>{mark}1</HZ005></HZ>"
        for metres, code, mark in [
            (9, "BAB", "A"),
            (9, "BAO", "A"),
            (10, "BAB", "B"),
            (11, "BAO", "B"),
        ]
    )
    path = tmp_path / "two.xml"
    path.write_text(f"<DATA><HG><HI>{states}</HI></HG></DATA>", encoding="utf-8")
    ends = [(one.code, one.distance_m, one.end_m) for one in only(path).conditions]
    assert ends == [("BAB", 9.0, 10.0), ("BAO", 9.0, 11.0)]
