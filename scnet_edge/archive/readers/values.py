"""Numbers, clocks, times, codes and XML as they stand in inspection databases, made plain.

What cannot be understood is None: a human coding with one odd value is still worth reading. XML
from somebody else is bounded, without document types, entities or a network.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from lxml import etree
from msgspec.structs import replace

from scnet_edge.archive.coding import CodedInspection, Condition, Direction
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.files import read_file

MAX_BYTES = 128 << 20  # of a file that is read whole
MAX_CONDITIONS = 1_000_000  # of one database, its films counted as well
MAX_A_FILM = 10_000  # conditions of one inspection; whoever compares it takes their product
FEET_M, INCH_MM = 0.3048, 25.4
# With the flow (downstream, 1, in Fließrichtung, oben) and against it (upstream, 2, gegen, unten).
_DIRECTIONS: dict[str, Direction] = {
    **dict.fromkeys("D1IO", "downstream"),
    **dict.fromkeys("U2G", "upstream"),
}
_LARGEST = 1e6
_NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:[eE][-+]?\d+)?")
_EN13508 = re.compile(r"(B[A-D][A-Z])[ ._-]*([A-Z]{0,2})[ ._-]*([A-Z]{0,2})")
Element: TypeAlias = Any  # lxml has no types
MAX_NODES = 5_000_000  # elements and attributes; each takes some hundred bytes of memory


def read_bytes(path: Path) -> bytes:
    """Return a whole file, whose size is checked before anything is allocated.

    Raises:
        InputError: too large, no plain file, or it cannot be read.
    """
    try:
        return read_file(path, MAX_BYTES)
    except ConfigError as e:
        raise InputError(str(e).removeprefix(f"{path}: ")) from e
    except OSError as e:
        raise InputError(f"cannot be read ({e.strerror})") from e


def encoding_of(data: bytes) -> str:
    """Return UTF-8 where the bytes are it, else the Windows code page of western Europe."""
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def text_of(data: bytes) -> str:
    """Return text that is UTF-8, or else in the Windows code page of western Europe."""
    return data.decode(encoding_of(data), errors="replace")


def plain(value: object) -> str:
    """Return a cell as text without blanks around it or a NUL in it."""
    return "" if value is None else str(value).replace("\0", "").strip()


def number(value: object) -> float | None:
    """Return `12.5`, `12,5`, `1.234,5` or `12.5 m` as a number; None for anything else."""
    if isinstance(value, (int, float)):
        found = float(value)
    else:
        match = _NUMBER.match(plain(value))
        if match is None:
            return None
        digits = match[0].rstrip(".,")
        if digits.rfind(",") > digits.rfind("."):
            digits = digits.replace(".", "").replace(",", ".")
        try:
            found = float(digits.replace(",", ""))
        except ValueError:
            return None
    return found if math.isfinite(found) and abs(found) <= _LARGEST else None


def positive(value: object) -> float | None:
    """Return a number above 0; None for anything else: 0 stands for unknown in most tables."""
    found = number(value)
    return found if found is not None and found > 0 else None


def direction_of(value: object) -> Direction | None:
    """Return which way the camera went, by the letter or number that any of the formats uses."""
    return _DIRECTIONS.get(plain(value).upper()[:1])


def clock(value: object) -> float | None:
    """Return a clock position in [0, 12); `12` is the crown, `0` is how tables leave it out."""
    hours, _, minutes = plain(value).partition(":")
    found, part = number(hours), number(minutes) if minutes else 0.0
    if found is None or part is None or not 0 < found <= 12 or not 0 <= part < 60:
        return None
    return (found + part / 60) % 12


def film_time(value: object) -> float | None:
    """Return seconds of `HH:MM:SS`, `MM:SS`, `HHMMSS`, or of a number of seconds."""
    text = plain(value)
    if re.fullmatch(r"\d{6}", text):
        text = f"{text[:2]}:{text[2:4]}:{text[4:]}"
    parts = [number(part) for part in text.split(":")]
    known = [part for part in parts if part is not None and part >= 0]
    if len(known) != len(parts) or len(parts) > 3:
        return None
    seconds = 0.0
    for part in known:
        seconds = 60 * seconds + part
    return seconds


def iso_date(value: object) -> str:
    """Return a day as ISO 8601: `20261130`, `2026-11-30 08:00:00`, `30.11.2026`, `11/30/2026`.

    With strokes the month comes first, as in PACP. Other forms stay as they stand.
    """
    text = plain(value)
    day = re.split(r"[ T]", text)[0]
    for form in ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%m/%d/%Y", "%m/%d/%y"):
        with suppress(ValueError):
            return datetime.strptime(day, form).date().isoformat()
    return text[:10]


def code_of(*parts: object) -> str:
    """Return a code with its characters apart: `BABBA` and (`BAB`, `B`, `A`) are `BAB B A`."""
    text = " ".join(filter(None, map(plain, parts))).upper()
    match = _EN13508.fullmatch(text)
    if match is None:
        return text
    characters = match[2] + match[3]
    return " ".join([match[1], *characters])


def join_stretches(marked: Iterable[tuple[Condition, str, str]]) -> tuple[Condition, ...]:
    """Return conditions, the start and the end of a continuous one made one.

    Args:
        marked: each condition, with `start`, `end` or nothing, and the stretch it belongs to. Of
            one stretch the main code is the same: some number those of each code from 1 on.

    Raises:
        InputError: more lines than any inspection has.
    """
    joined: list[Condition] = []
    begun: dict[tuple[str, str], int] = {}
    for condition, mark, number in marked:
        stretch = (condition.code.partition(" ")[0], number)
        at = begun.pop(stretch, None) if mark == "end" else None
        if at is not None:
            joined[at] = replace(joined[at], end_m=condition.distance_m)
            continue
        if mark == "start":
            begun[stretch] = len(joined)
        joined.append(condition)
        if len(joined) > MAX_A_FILM:
            raise InputError(f"over {MAX_A_FILM} conditions of one inspection; split it")
    return tuple(joined)


def read_bounded(inspections: Iterable[CodedInspection]) -> list[CodedInspection]:
    """Return the inspections of one database, read one after the other.

    Raises:
        InputError: more conditions and films than any database has.
    """
    found: list[CodedInspection] = []
    count = 0
    for inspection in inspections:
        found.append(inspection)
        count += 1 + len(inspection.conditions) + len(inspection.films)
        if count > MAX_CONDITIONS:
            raise InputError(f"over {MAX_CONDITIONS} conditions, expected an inspection database")
    return found


def read_xml(path: Path) -> Element:
    """Return the root of a file.

    Raises:
        InputError: too large, not XML, or with a document type of its own.
    """
    data = read_bytes(path)
    if (nodes := data.count(b"<") + data.count(b"=")) > MAX_NODES:
        raise InputError(f"XML of {nodes} tags and attributes, expected at most {MAX_NODES}")
    declared = data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"encoding" in data[:200]
    parser = etree.XMLParser(
        encoding=None if declared or encoding_of(data) != "cp1252" else "cp1252",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as e:
        raise InputError(f"not well-formed XML ({e})") from e
    if root.getroottree().docinfo.doctype:
        raise InputError("XML with a document type, which no inspection format has; not read")
    return root


def name_of(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return str(etree.QName(element).localname)


def all_of(element: Element, path: str) -> Iterator[Element]:
    """Yield the elements at a path of names, in whatever namespace."""
    yield from element.iterfind("/".join(f"{{*}}{name}" for name in path.split("/")))


def text_at(element: Element, path: str) -> str:
    """Return the text of the first element at a path of names; empty where there is none."""
    found = element.find("/".join(f"{{*}}{name}" for name in path.split("/")))
    return "" if found is None else plain(found.text)
