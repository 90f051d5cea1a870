"""DWA-M 150 XML: `HG` is a pipe, `HI` an inspection of it, `HZ` one condition."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.archive.readers.values import (
    Element,
    all_of,
    clock,
    code_of,
    direction_of,
    film_time,
    iso_date,
    join_stretches,
    number,
    positive,
    read_bounded,
    text_at,
)

PIPE, MANHOLE = "HG", "KG"
_MARKS = {"A": "start", "B": "end"}


def read_m150(root: Element) -> list[CodedInspection]:
    """Return the inspections of pipes."""
    return read_bounded(found for pipe in all_of(root, PIPE) for found in _of_pipe(pipe))


def _of_pipe(pipe: Element) -> Iterator[CodedInspection]:
    nodes = text_at(pipe, "HG003"), text_at(pipe, "HG004")
    named = text_at(pipe, "HG001") or text_at(pipe, "HG002")
    for inspection in all_of(pipe, "HI"):
        film = text_at(inspection, "HI116")
        yield CodedInspection(
            system="m150",
            pipe=named or "-".join(filter(None, nodes)),  # not every program names pipes
            from_node=nodes[0],
            to_node=nodes[1],
            direction=direction_of(text_at(inspection, "HI101")),
            date=iso_date(text_at(inspection, "HI104")),
            diameter_mm=positive(text_at(pipe, "HG307")) or positive(text_at(pipe, "HG306")),
            material=text_at(pipe, "HG304"),
            length_m=positive(text_at(pipe, "HG310")),  # HG314 is that of one piece of pipe
            operator=text_at(inspection, "HI112"),
            films=(film,) if film else (),
            conditions=join_stretches(map(_condition, all_of(inspection, "HZ"))),
        )


def _condition(state: Element) -> tuple[Condition, str, str]:
    photo, stretch = text_at(state, "HZ009"), text_at(state, "HZ005")
    condition = Condition(
        code=code_of(text_at(state, "HZ002"), text_at(state, "HZ014"), text_at(state, "HZ015")),
        distance_m=number(text_at(state, "HZ001")),
        clock_from=clock(text_at(state, "HZ006")),
        clock_to=clock(text_at(state, "HZ007")),
        film_s=film_time(text_at(state, "HZ008")),
        quantity=number(text_at(state, "HZ003")),
        text=text_at(state, "HZ010"),
        pictures=(photo,) if photo else (),
    )
    digits = re.search(r"\d+", stretch)
    return condition, _MARKS.get(stretch[:1], ""), digits[0] if digits else ""
