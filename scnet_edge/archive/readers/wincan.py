"""WinCan VX projects: `NAME.db3`, SQLite, with the operators in `NAME_meta.db3` beside it.

The file is opened read-only and immutable: nothing is written beside it, so it may lie on a DVD.
Only tables are read, with a limit of steps: a database may hold a view that never ends.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from scnet_edge.archive.coding import CodedInspection, Condition, Direction
from scnet_edge.archive.media import is_film
from scnet_edge.archive.readers.values import (
    MAX_CONDITIONS,
    clock,
    code_of,
    film_time,
    join_stretches,
    number,
    plain,
    positive,
    text_of,
)
from scnet_edge.errors import InputError

MAGIC = b"SQLite format 3\0"
_STEPS = 1_000  # between two looks at the budget
_MOST_LOOKS = 200_000  # of them: some seconds
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA}
_DIRECTIONS: dict[str, Direction] = {
    "D": "downstream",
    "1": "downstream",
    "I": "downstream",
    "U": "upstream",
    "2": "upstream",
    "G": "upstream",
}
Rows: TypeAlias = list[dict[str, object]]


def read_wincan(path: Path) -> list[CodedInspection]:
    """Return the inspections of a WinCan VX project; what is marked as deleted is left out.

    Raises:
        InputError: damaged, or a database of something else.
    """
    try:
        with closing(_opened(path)) as db:
            tables = {
                row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            if not {"SECTION", "SECINSP", "SECOBS"} <= tables:
                raise InputError(
                    "a SQLite database without SECTION, SECINSP and SECOBS, not WinCan VX"
                )
            names = ("SECTION", "NODE", "SECINSP", "SECOBS", "SECOBSMM")
            rows = {name: _rows(db, name) if name in tables else [] for name in names}
        return list(_inspections(rows, _operators(path)))
    except sqlite3.Error as e:
        if "interrupted" in str(e):
            raise InputError("a SQLite database that takes too long to read; not read") from e
        raise InputError(f"a damaged SQLite database ({e}); copy it again") from e


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path.absolute().as_uri() + "?mode=ro&immutable=1", uri=True)
    db.text_factory = text_of
    looks = iter(range(_MOST_LOOKS))
    db.set_progress_handler(lambda: next(looks, None) is None, _STEPS)
    db.set_authorizer(
        lambda action, *_: sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY
    )
    return db


def _rows(db: sqlite3.Connection, table: str) -> Rows:
    cursor = db.execute(f"SELECT * FROM {table} LIMIT {MAX_CONDITIONS + 1}")
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    if len(rows) > MAX_CONDITIONS:
        raise InputError(f"over {MAX_CONDITIONS} rows in {table}, expected a WinCan VX project")
    deleted = next((name for name in names if name.endswith("_Deleted")), "")
    return [row for row in rows if row.get(deleted) is None]


def _operators(path: Path) -> dict[str, str]:
    """Return the operators' names by their key; none where the second file is missing or bad."""
    meta = path.with_name(f"{path.stem}_meta{path.suffix}")
    if not meta.is_file():
        return {}
    try:
        with closing(_opened(meta)) as db:
            rows = _rows(db, "OPERATOR")
    except (sqlite3.Error, InputError):
        return {}
    return {plain(row.get("OP_PK")): plain(row.get("OP_Key")) for row in rows}


def _inspections(tables: dict[str, Rows], operators: dict[str, str]) -> Iterator[CodedInspection]:
    nodes = {plain(row.get("OBJ_PK")): plain(row.get("OBJ_Key")) for row in tables["NODE"]}
    sections = {plain(row.get("OBJ_PK")): row for row in tables["SECTION"]}
    frame_result, media = defaultdict(list), defaultdict(list)
    for row in tables["SECOBS"]:
        frame_result[plain(row.get("OBS_Inspection_FK"))].append(row)
    for row in tables["SECOBSMM"]:
        media[plain(row.get("OMM_Observation_FK"))].append(row)
    for row in tables["SECINSP"]:
        section = sections.get(plain(row.get("INS_Section_FK")))
        if section is None:
            continue
        lines = frame_result[plain(row.get("INS_PK"))]
        attached = {plain(line.get("OBS_PK")): media[plain(line.get("OBS_PK"))] for line in lines}
        operator = plain(row.get("INS_Operator_REF"))
        ends = (plain(section.get(f"OBJ_{end}Node_REF")) for end in ("From", "To"))
        from_node, to_node = (nodes.get(end, end) for end in ends)
        yield CodedInspection(
            system="wincan",
            pipe=plain(section.get("OBJ_Key")),
            from_node=from_node,
            to_node=to_node,
            direction=_DIRECTIONS.get(plain(row.get("INS_InspectionDir")).upper()),
            date=plain(row.get("INS_StartDate"))[:10],
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
    pictures = (_file(m) for m in attached[plain(row.get("OBS_PK"))] if _is_picture(m))
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
