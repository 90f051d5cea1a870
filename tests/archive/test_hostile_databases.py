"""Databases that were made to take memory or time: refused in a line, or read within bounds."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import coded_files
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scnet_edge.archive.manifest import SCHEMA, VERSION, read_manifest
from scnet_edge.archive.readers import read_inspections
from scnet_edge.errors import InputError

MOST_MB, MOST_S = 500, 20  # of address space beyond the interpreter's own, and of the processor
READ = f"""
import resource, sys
from pathlib import Path
from scnet_edge.archive.readers import read_inspections
from scnet_edge.errors import InputError
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + ({MOST_MB} << 20),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, ({MOST_S}, {MOST_S}))
try:
    print("read", len(read_inspections(Path(sys.argv[1]))))
except InputError as e:
    print("refused", e)
"""
ROWS = (
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
    "INSERT INTO SECOBS (OBS_PK, OBS_Inspection_FK) SELECT i, 'i' FROM n"
)


def read_within_bounds(path: Path) -> str:
    command = [sys.executable, "-c", READ, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout


def many_elements(path: Path) -> Path:
    path = path / "a.xml"
    path.write_bytes(b"<Identifikation>" + b"<a/>" * 30_000_000 + b"</Identifikation>")
    return path


def many_attributes(path: Path) -> Path:
    path = path / "a.xml"
    path.write_bytes(b"<D>" + b'<a b="" c="" d="" e="" f=""/>' * 4_000_000 + b"</D>")
    return path


def wide_table(path: Path) -> Path:
    path = coded_files.write_pacp(path)
    path.write_bytes(b"," * 120_000_000)
    return path


def many_empty_cells(path: Path) -> Path:
    path = coded_files.write_pacp(path)
    path.write_bytes((b"," * 119 + b"\n") * 900_000)
    return path


def empty_lines(path: Path) -> Path:
    path = path / "Daten.txt"
    path.write_bytes(b"\n" * 120_000_000)
    return path


def stretches_without_end(path: Path) -> Path:
    path = path / "Daten.txt"
    path.write_bytes(b"100-200\n  1.0 m BABBA " + b"Anfang " * 300_000)
    return path


def changed(path: Path, *statements: str) -> Path:
    """Return a WinCan project that somebody has changed."""
    path = coded_files.write_wincan(path / "job.db3")
    with closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)
    return path


def long_default(path: Path) -> Path:
    column = f"ALTER TABLE SECOBS ADD COLUMN OBS_Char1 TEXT DEFAULT '{'x' * 900_000}'"
    return changed(path, ROWS.format(count=9_000), column)


def large_cell(path: Path) -> Path:
    return changed(path, "UPDATE SECOBS SET OBS_Observation = zeroblob(200000000)")


def many_rows(path: Path) -> Path:
    return changed(path, ROWS.format(count=510_000))


def beginnings_without_end(path: Path) -> Path:
    """Whose every word may begin a stretch, which then is looked for to the line's end."""
    path = path / "Daten.txt"
    line = b"\t00:01:05  4.20 m  BABBA  " + b"Anfang " * 560 + b"\r\n"
    path.write_bytes(b"100-200\r\n" + 8_000 * line)
    return path


def one_endless_inspection(path: Path) -> Path:
    """Which would be compared with each of our records."""
    return changed(path, ROWS.format(count=11_000))


@pytest.mark.parametrize(
    "bomb",
    [
        *(many_elements, many_attributes, wide_table, many_empty_cells, empty_lines),
        *(stretches_without_end, many_rows, one_endless_inspection),
    ],
)
def test_bombs_are_refused(tmp_path: Path, bomb: Callable[[Path], Path]) -> None:
    assert read_within_bounds(bomb(tmp_path)).startswith("refused")


@pytest.mark.parametrize("bomb", [long_default, large_cell, beginnings_without_end])
def test_long_cells_are_cut(tmp_path: Path, bomb: Callable[[Path], Path]) -> None:
    assert read_within_bounds(bomb(tmp_path)).startswith("read")


def test_columns_that_are_computed_are_not_read(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        "ALTER TABLE SECOBS ADD COLUMN OBS_Char1 TEXT "
        "GENERATED ALWAYS AS (hex(zeroblob(100000000))) VIRTUAL",
    )
    [inspection] = read_inspections(path) or []
    assert [c.code for c in inspection.conditions] == ["BAB B A", "BCA E"]


@pytest.mark.parametrize("table", ["SECOBS", "SECINSP"])
def test_a_virtual_table_or_view_is_none(tmp_path: Path, table: str) -> None:
    for number, made in enumerate(("VIRTUAL TABLE {} USING fts5(a)", "VIEW {} AS SELECT 1")):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = changed(folder, f"DROP TABLE {table}", f"CREATE {made.format(table)}")
        with pytest.raises(InputError, match=f"without the table {table}"):
            read_inspections(path)


def test_one_key_for_all_is_not_the_square_of_them(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        ROWS.format(count=9_900),
        "UPDATE SECOBS SET OBS_PK = 'o'",
        "INSERT INTO SECINSP (INS_PK, INS_Section_FK) SELECT 'i', 's' FROM SECOBS",
        "INSERT INTO SECOBSMM (OMM_Observation_FK, OMM_FileName) SELECT 'o', 'a.jpg' FROM SECOBS",
    )
    assert read_within_bounds(path) == "read 1\n"


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    path = coded_files.write_pacp(tmp_path)
    (tmp_path / "PACP_Conditions.csv").unlink()
    os.mkfifo(tmp_path / "PACP_Conditions.csv")
    with pytest.raises(InputError, match="expected a plain file"):
        read_inspections(path)
    (tmp_path / "PACP_Conditions.csv").unlink()
    (tmp_path / "PACP_Conditions.csv").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="expected a plain file"):
        read_inspections(path)


@pytest.mark.parametrize(
    ("rows", "letters", "expected"),
    [
        (3_000_000, 1, "3000000 rows"),
        (20_000, 1_000_000, "over 128 MiB of text"),
        (1, 300_000_000, "1 rows of 286 MiB"),
    ],
)
def test_a_manifest_that_repeats_itself_is_refused(
    tmp_path: Path, rows: int, letters: int, expected: str
) -> None:
    once = np.zeros(rows, np.int32)
    columns = {}
    for field in SCHEMA:
        value = pa.array(["x" * letters if field.name == "reason" else ""])
        columns[field.name] = pa.DictionaryArray.from_arrays(once, value)
    facts = {b"scnet_edge_archive": VERSION.encode(), b"root": b"/", b"others": b"0"}
    path = tmp_path / "archive.parquet"
    pq.write_table(pa.table(columns).replace_schema_metadata(facts), path, compression="zstd")
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match=expected):
        read_manifest(path)


def test_a_manifest_without_end_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "archive.parquet").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="expected a plain file"):
        read_manifest(tmp_path / "archive.parquet")
