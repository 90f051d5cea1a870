"""NASSCO PACP exchange: `PACP_Inspections.csv` with its fellows, or the same tables in Access.

Access files (`.mdb`, `.accdb`) are read by mdbtools, where it is installed. Version 7 names its
tables `PACP_Inspections`, version 6 `Inspections`; both are read. Imperial lengths become metres.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import TypeAlias

from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.archive.readers.values import (
    FEET_M,
    INCH_MM,
    MAX_BYTES,
    MAX_CONDITIONS,
    clock,
    code_of,
    direction_of,
    encoding_of,
    film_time,
    iso_date,
    join_stretches,
    number,
    plain,
    positive,
    read_bounded,
    read_bytes,
    text_of,
)
from scnet_edge.errors import InputError

MAX_CELLS = 10_000_000  # of a table; each takes some hundred bytes of memory
TABLES = ("Inspections", "Conditions", "Media_Inspections", "Media_Conditions")
ACCESS = (b"\0\1\0\0Standard Jet DB\0", b"\0\1\0\0Standard ACE DB\0")
_LONGEST_S = 30.0  # of all calls of mdbtools for one file
_CONTINUOUS = re.compile(r"([SF])(\d+)")
Row: TypeAlias = dict[str, str]


def read_pacp_csv(path: Path) -> list[CodedInspection]:
    """Return the inspections of `PACP_Inspections.csv` and the tables in the same folder.

    Raises:
        InputError: a table that must be there is not, or a table is damaged.
    """
    prefix = path.name.lower().replace(" ", "_").removesuffix("inspections.csv")
    beside = {p.name.lower().replace(" ", "_"): p for p in path.parent.iterdir()}
    rows: dict[str, list[Row]] = {}
    for table in TABLES:
        found = beside.get(f"{prefix}{table.lower()}.csv")
        if found is None and not table.startswith("Media"):
            raise InputError(f"no {prefix}{table.lower()}.csv beside it, expected both tables")
        rows[table] = [] if found is None else _table(read_bytes(found))
    return read_bounded(_inspections(rows))


def read_pacp_access(path: Path) -> list[CodedInspection]:
    """Return the inspections of a PACP exchange database.

    Raises:
        InputError: mdbtools is missing, or the file is damaged or of something else.
    """
    if shutil.which("mdb-export") is None:
        raise InputError("an Access database, which needs mdbtools: apt install mdbtools")
    until_s = time.monotonic() + _LONGEST_S
    tables = set(text_of(_run(until_s, "mdb-tables", "-1", str(path.absolute()))).split("\n"))
    prefix = "PACP_" if "PACP_Inspections" in tables else ""
    if f"{prefix}Inspections" not in tables or f"{prefix}Conditions" not in tables:
        if "S_T" in tables:
            raise InputError("a project of WinCan 8, which is not read; export DWA-M 150 XML")
        raise InputError("an Access database without PACP_Inspections and PACP_Conditions")
    rows = {}
    for table in TABLES:
        name = f"{prefix}{table}"
        rows[table] = _export(path, name, until_s) if name in tables else []
    return read_bounded(_inspections(rows))


def _export(path: Path, table: str, until_s: float) -> list[Row]:
    """Return the rows of a table, as many as the file says that there are."""
    dates = ("-D", "%Y-%m-%d", "-T", "%Y-%m-%d %H:%M:%S")
    rows = _table(_run(until_s, "mdb-export", *dates, str(path.absolute()), table))
    expected = number(text_of(_run(until_s, "mdb-count", str(path.absolute()), table)))
    if expected is not None and expected != len(rows):
        raise InputError(
            f"mdbtools gave {len(rows)} of {expected:.0f} rows of {table}; close the database in "
            "Access, or export CSV"
        )
    return rows


def _run(until_s: float, *command: str) -> bytes:
    """Return what a program of mdbtools prints until a time, of at most `MAX_BYTES`."""
    try:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as running:
            assert running.stdout is not None
            # One that says nothing is not waited for.
            ending = Timer(max(0.0, until_s - time.monotonic()), running.kill)
            ending.start()
            try:
                data = running.stdout.read(MAX_BYTES + 1)
                status = None if len(data) > MAX_BYTES else running.wait()
            finally:
                ending.cancel()
                running.kill()
    except OSError as e:
        raise InputError(f"{command[0]} does not read it ({type(e).__name__})") from e
    if status != 0 and time.monotonic() >= until_s:
        raise InputError(f"{command[0]} takes over {_LONGEST_S:g} s; export CSV from Access")
    if status != 0:
        raise InputError(f"{command[0]} does not read it; a damaged or protected Access database")
    return data


def _table(data: bytes) -> list[Row]:
    """Return the rows of a CSV file without their empty cells.

    The separator is a comma, or a semicolon by the header.
    """
    header = data.partition(b"\n")[0]
    separator = ";" if header.count(b";") > header.count(b",") else ","
    if (cells := data.count(separator.encode())) > MAX_CELLS:
        raise InputError(f"a table of {cells} cells, expected at most {MAX_CELLS}")
    text = io.TextIOWrapper(io.BytesIO(data), encoding_of(data), errors="replace", newline="")
    rows: list[Row] = []
    try:
        for row in csv.DictReader(text, delimiter=separator):
            rows.append({plain(k): plain(v) for k, v in row.items() if v and isinstance(v, str)})
            if len(rows) > MAX_CONDITIONS:
                raise InputError(f"over {MAX_CONDITIONS} rows, expected a PACP table")
    except csv.Error as e:
        raise InputError(f"a damaged CSV table ({e})") from e
    return rows


def _inspections(tables: dict[str, list[Row]]) -> Iterator[CodedInspection]:
    heads = tables["Inspections"]
    if heads and not any("InspectionID" in row for row in heads):
        raise InputError("no column InspectionID, expected a PACP exchange table")
    conditions, films, pictures = (defaultdict[str, list[Row]](list) for _ in range(3))
    for table, key, into in (
        ("Conditions", "InspectionID", conditions),
        ("Media_Inspections", "InspectionID", films),
        ("Media_Conditions", "ConditionID", pictures),
    ):
        for row in tables[table]:
            into[row.get(key, "")].append(row)
    for row in {row.get("InspectionID", ""): row for row in heads}.values():
        metric = row.get("IsImperial", "").strip().lower() in ("", "0", "false", "no")
        length_m = 1.0 if metric else FEET_M
        lines = conditions[row.get("InspectionID", "")]
        names = [_media(f, "Video") for f in films[row.get("InspectionID", "")]]
        size = positive(row.get("Height"))
        surveyed = positive(row.get("Length_Surveyed")) or positive(row.get("Total_Length"))
        yield CodedInspection(
            system="pacp",
            pipe=row.get("Pipe_Segment_Reference", ""),
            from_node=row.get("Upstream_MH", ""),
            to_node=row.get("Downstream_MH", ""),
            direction=direction_of(row.get("Direction")),
            date=iso_date(row.get("Inspection_Date") or row.get("Date", "")),
            diameter_mm=None if size is None else size * (1.0 if metric else INCH_MM),
            material=row.get("Material", ""),
            length_m=None if surveyed is None else surveyed * length_m,
            operator=row.get("Surveyed_By", ""),
            films=tuple(dict.fromkeys(filter(None, names))),
            conditions=join_stretches(_condition(line, length_m, pictures) for line in lines),
        )


def _condition(
    row: Row, length_m: float, pictures: dict[str, list[Row]]
) -> tuple[Condition, str, str]:
    distance = number(row.get("Distance"))
    match = _CONTINUOUS.match(row.get("Continuous", "").upper())
    attached = [_media(p, "Image") for p in pictures.pop(row.get("ConditionID", ""), [])]
    condition = Condition(
        code=code_of(row.get("PACP_Code")),
        distance_m=None if distance is None else distance * length_m,
        clock_from=clock(row.get("Clock_At_From")),
        clock_to=clock(row.get("Clock_To")),
        film_s=film_time(row.get("VCR_Time")),
        quantity=number(row.get("Value_1st_Dimension") or row.get("Value_Percent")),
        text=row.get("Remarks", ""),
        pictures=tuple(filter(None, attached)),
    )
    mark = {"S": "start", "F": "end"}[match[1]] if match else ""
    return condition, mark, match[2] if match else ""


def _media(row: Row, kind: str) -> str:
    """Return a media reference; version 7 splits it into a folder and a name."""
    folder = row.get(f"{kind}_Location" if kind == "Video" else "Image_Path", "")
    name = row.get("Video_Name" if kind == "Video" else "Image_Reference", "")
    return f"{folder}\\{name}" if folder and name and folder not in name else name
