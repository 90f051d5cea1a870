"""WinCan VX projects: `NAME.db3`, SQLite, with the operators in `NAME_meta.db3` beside it.

The file is opened read-only and immutable: nothing is written beside it, so it may lie on a DVD.
Only plain tables are read, of them what is needed, and for some seconds: a database may hold
views that never end, columns that are computed, and cells without end.
"""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.archive.media import is_film
from scnet_edge.archive.readers.values import (
    clock,
    code_of,
    direction_of,
    film_time,
    iso_date,
    join_stretches,
    number,
    plain,
    positive,
    read_bounded,
    text_of,
)
from scnet_edge.errors import InputError

MAGIC = b"SQLite format 3\0"
DAMAGED = (sqlite3.Error, UnicodeDecodeError)  # a message that repeats a name may be no UTF-8
_STEPS = 200  # between two looks at the clock
_LONGEST_S = 15.0  # of this process's time
_MOST_ROWS = 500_000  # of all tables together
_MOST_CHARACTERS = 128 << 20  # of all cells together
_LONGEST_CELL = 4_000  # characters; the rest is left out
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA}
_COLUMNS = {
    "SECTION": (
        *("OBJ_PK", "OBJ_Key", "OBJ_FromNode_REF", "OBJ_ToNode_REF", "OBJ_Size1"),
        *("OBJ_Material", "OBJ_Length"),
    ),
    "NODE": ("OBJ_PK", "OBJ_Key"),
    "SECINSP": (
        *("INS_PK", "INS_Section_FK", "INS_Operator_REF", "INS_InspectionDir", "INS_StartDate"),
        "INS_InspectedLength",
    ),
    "SECOBS": (
        *("OBS_PK", "OBS_Inspection_FK", "OBS_OpCode", "OBS_Char1", "OBS_Char2", "OBS_Distance"),
        *("OBS_ContDefectLength", "OBS_ClockPos1", "OBS_ClockPos2", "OBS_TimeCtr", "OBS_VideoCtr"),
        *("OBS_Q1_Value", "OBS_Observation"),
    ),
    "SECOBSMM": ("OMM_Observation_FK", "OMM_FileName", "OMM_Type"),
    "OPERATOR": ("OP_PK", "OP_Key"),
}
_REQUIRED = {
    "SECTION": ("OBJ_PK", "OBJ_Key"),
    "SECINSP": ("INS_PK", "INS_Section_FK"),
    "SECOBS": ("OBS_PK", "OBS_Inspection_FK", "OBS_OpCode", "OBS_Distance"),
}
Rows: TypeAlias = list[dict[str, object]]


def read_wincan(path: Path) -> list[CodedInspection]:
    """Return the inspections of a WinCan VX project; what is marked as deleted is left out.

    Raises:
        InputError: damaged, or a database of something else.
    """
    try:
        rows = _read(path, ("SECTION", "NODE", "SECINSP", "SECOBS", "SECOBSMM"))
        if missing := [name for name in _REQUIRED if name not in rows]:
            raise InputError(f"a SQLite database without the table {missing[0]}, not WinCan VX")
        return read_bounded(_inspections(defaultdict(list, rows), _operators(path)))
    except DAMAGED as e:
        if "interrupted" in str(e):
            raise InputError("a SQLite database that takes too long to read; not read") from e
        raise InputError(f"a damaged SQLite database ({e}); copy it again") from e


def _read(path: Path, names: Iterable[str]) -> dict[str, Rows]:
    """Return the rows of those tables that are there."""
    with closing(_open(path)) as db:
        found = db.execute("SELECT name, substr(sql, 1, 13) FROM sqlite_master")
        plain_tables = {name for name, sql in found if str(sql).upper() == "CREATE TABLE "}
        budget = _Budget()
        return {name: _rows(db, name, budget) for name in names if name in plain_tables}


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path.absolute().as_uri() + "?mode=ro&immutable=1", uri=True)
    db.text_factory = text_of
    end_s = time.process_time() + _LONGEST_S
    db.set_progress_handler(lambda: time.process_time() > end_s, _STEPS)
    db.set_authorizer(_authorise)
    return db


def _authorise(action: int, _: str | None, name: str | None, *rest: str | None) -> int:
    """Allow reading, and of all functions the one that cuts cells short."""
    cutting = action == sqlite3.SQLITE_FUNCTION and name == "substr"
    return sqlite3.SQLITE_OK if cutting or action in _READING else sqlite3.SQLITE_DENY


@dataclass
class _Budget:
    """What is left of the rows and characters that a database may have."""

    rows: int = _MOST_ROWS
    characters: int = _MOST_CHARACTERS

    def take(self, row: tuple[object, ...]) -> None:
        self.rows -= 1
        self.characters -= sum(len(cell) for cell in row if isinstance(cell, (str, bytes)))
        if min(self.rows, self.characters) < 0:
            raise InputError(
                f"over {_MOST_ROWS} rows, or {_MOST_CHARACTERS >> 20} million characters in them; "
                "expected a WinCan VX project"
            )


def _rows(db: sqlite3.Connection, table: str, budget: _Budget) -> Rows:
    """Return the rows of a table that are not marked as deleted."""
    stored = [str(c[1]) for c in db.execute(f"PRAGMA table_xinfo({table})") if c[6] == 0]
    deleted = next((name for name in stored if name.endswith("_Deleted")), "")
    if missing := [name for name in _REQUIRED.get(table, ()) if name not in stored]:
        raise InputError(
            f"the table {table} has no column {missing[0]}: another version of WinCan; export it "
            "as ISYBAU or DWA-M 150 XML"
        )
    names = [name for name in _COLUMNS[table] if name in stored] + ([deleted] if deleted else [])
    quoted = ('"' + name.replace('"', '""') + '"' for name in names)
    cells = ", ".join(f"substr({name}, 1, {_LONGEST_CELL})" for name in quoted)
    rows: Rows = []
    for row in db.execute(f"SELECT {cells} FROM {table}") if cells else ():
        budget.take(row)
        if not deleted or row[-1] is None:
            rows.append(dict(zip(names, row, strict=True)))
    return rows


def _operators(path: Path) -> dict[str, str]:
    """Return the operators' names by their key; none where the second file is missing or bad."""
    meta = path.with_name(f"{path.stem}_meta{path.suffix}")
    if not meta.is_file():
        return {}
    try:
        rows = _read(meta, ("OPERATOR",)).get("OPERATOR", [])
    except (InputError, *DAMAGED):
        return {}
    return {plain(row.get("OP_PK")): plain(row.get("OP_Key")) for row in rows}


def _inspections(tables: dict[str, Rows], operators: dict[str, str]) -> Iterator[CodedInspection]:
    nodes = {plain(row.get("OBJ_PK")): plain(row.get("OBJ_Key")) for row in tables["NODE"]}
    sections = {plain(row.get("OBJ_PK")): row for row in tables["SECTION"]}
    observations, media = defaultdict(list), defaultdict(list)
    for row in tables["SECOBS"]:
        observations[plain(row.get("OBS_Inspection_FK"))].append(row)
    for row in tables["SECOBSMM"]:
        media[plain(row.get("OMM_Observation_FK"))].append(row)
    inspections = {plain(row.get("INS_PK")): row for row in tables["SECINSP"]}
    for key, row in inspections.items():
        section = sections.get(plain(row.get("INS_Section_FK")))
        if section is None:
            continue
        lines = observations.pop(key, [])
        keys = dict.fromkeys(plain(line.get("OBS_PK")) for line in lines)
        attached = {key: media.pop(key, []) for key in keys}
        operator = plain(row.get("INS_Operator_REF"))
        ends = (plain(section.get(f"OBJ_{end}Node_REF")) for end in ("From", "To"))
        from_node, to_node = (nodes.get(end, end) for end in ends)
        yield CodedInspection(
            system="wincan",
            pipe=plain(section.get("OBJ_Key")),
            from_node=from_node,
            to_node=to_node,
            direction=direction_of(row.get("INS_InspectionDir")),
            date=iso_date(row.get("INS_StartDate")),
            diameter_mm=positive(section.get("OBJ_Size1")),
            material=plain(section.get("OBJ_Material")),
            length_m=positive(row.get("INS_InspectedLength"))
            or positive(section.get("OBJ_Length")),
            operator=operators.get(operator, operator),
            films=_films(attached),
            conditions=join_stretches((_condition(o, attached), "", "") for o in lines),
        )


def _films(attached: dict[str, Rows]) -> tuple[str, ...]:
    names = (_file(row) for rows in attached.values() for row in rows if not _is_picture(row))
    return tuple(dict.fromkeys(filter(None, names)))


def _file(row: dict[str, object]) -> str:
    return plain(row.get("OMM_FileName"))


def _is_picture(row: dict[str, object]) -> bool:
    """Return whether it is a picture: by its type, which not every version writes, or its name."""
    kind = plain(row.get("OMM_Type")).upper()
    return kind.startswith("PI") if kind else not is_film(_file(row))


def _condition(row: dict[str, object], attached: dict[str, Rows]) -> Condition:
    start_m, length_m = number(row.get("OBS_Distance")), positive(row.get("OBS_ContDefectLength"))
    pictures = (_file(m) for m in attached.pop(plain(row.get("OBS_PK")), []) if _is_picture(m))
    return Condition(
        code=code_of(row.get("OBS_OpCode"), row.get("OBS_Char1"), row.get("OBS_Char2")),
        distance_m=start_m,
        end_m=None if start_m is None or length_m is None else start_m + length_m,
        clock_from=clock(row.get("OBS_ClockPos1")),
        clock_to=clock(row.get("OBS_ClockPos2")),
        film_s=film_time(row.get("OBS_TimeCtr") or row.get("OBS_VideoCtr")),
        quantity=number(row.get("OBS_Q1_Value")),
        text=plain(row.get("OBS_Observation")),
        pictures=tuple(filter(None, pictures)),
    )
