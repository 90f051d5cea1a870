"""IBAK `Daten.txt`: the pipe on a line of its own, its conditions indented below, in cp1252.

100-200
    00:01:05    12.30 m  BABBA   Riss, Anfang (1)@!$ibak$!100-200$H

It names no film: films are called `L_100-200_1.mpg`, pictures `L_100-200_001.jpg`.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.archive.readers.values import (
    MAX_CONDITIONS,
    code_of,
    film_time,
    join_stretches,
    number,
    read_bounded,
    read_bytes,
)
from scnet_edge.errors import InputError

_LINE = re.compile(r"\s+(?:(\d{1,2}:\d{2}:\d{2})\s+)?([\d.,]+)\s*m\s+([A-Z][A-Z0-9]*)\s*(.*)")
_META = "@!$ibak$!"
_LONGEST = 4_000  # characters of a line
_STRETCH_WITHIN = 200  # characters; what is looked for in more takes the square of them
_STRETCH = re.compile(r"\b(Anfang|Start|Ende|End)\b\D*\((\d{1,9})\)", re.IGNORECASE)
_MARKS = {"anfang": "start", "start": "start", "ende": "end", "end": "end"}


def read_ibak(path: Path) -> list[CodedInspection]:
    """Return the inspections of a `Daten.txt`.

    Raises:
        InputError: too large, or not such a file.
    """
    found: list[tuple[str, list[tuple[Condition, str, str]]]] = []
    lines = io.TextIOWrapper(io.BytesIO(read_bytes(path)), "cp1252", errors="replace")
    for number_of_line, line in enumerate(lines):
        if number_of_line >= MAX_CONDITIONS or len(line) > _LONGEST:
            raise InputError(
                f"over {MAX_CONDITIONS} lines, or one of over {_LONGEST} characters, expected "
                "IBAK's Daten.txt"
            )
        if not line.strip():
            continue
        match = _LINE.match(line)
        if match and found:
            found[-1][1].append(_condition(*match.groups()))
        elif not line[0].isspace() and len(line) <= 200:
            found.append((line.strip(), []))
        else:
            raise InputError(f"{line.strip()[:60]!r} is no line of IBAK's Daten.txt")
    if not any(conditions for _, conditions in found):
        raise InputError("no condition in it, expected IBAK's Daten.txt")
    return read_bounded(_inspection(name, conditions) for name, conditions in found)


def _inspection(name: str, marked: list[tuple[Condition, str, str]]) -> CodedInspection:
    nodes = name.split("-")
    from_node, to_node = (nodes[0].strip(), nodes[1].strip()) if len(nodes) == 2 else ("", "")
    places = [c.distance_m for c, _, _ in marked if c.distance_m is not None]
    return CodedInspection(
        system="ibak",
        pipe=name,
        from_node=from_node,
        to_node=to_node,
        length_m=max(places, default=None),
        conditions=join_stretches(marked),
    )


def _condition(time: str | None, metres: str, code: str, text: str) -> tuple[Condition, str, str]:
    words = text.split(_META)[0].strip()
    stretch = _STRETCH.search(words[:_STRETCH_WITHIN])
    condition = Condition(
        code=code_of(code),
        distance_m=number(metres),
        film_s=film_time(time) if time else None,
        text=words,
    )
    if stretch is None:
        return condition, "", ""
    return condition, _MARKS[stretch[1].lower()], f"{code}{stretch[2]}"
