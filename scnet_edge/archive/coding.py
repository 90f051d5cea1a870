"""What a person coded while looking at a pipe: the values that every reader gives.

Distances are metres from where the inspection started. Clock positions are hours in [0, 12), 0 at
the crown. Codes are as they stand in the file: `BAB B A` (EN 13508-2) or `CL` (PACP).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Direction = Literal["downstream", "upstream"]
System = Literal["wincan", "pacp", "isybau", "m150", "ibak"]


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the human coding: an observation at a place or over a stretch.

    Attributes:
        code: the main code with its characters, separated by blanks.
        distance_m, end_m: where it is, and where a continuous one ends; None where not given.
        clock_from, clock_to: clockwise; None where not given.
        film_s: when it is seen, in seconds of the film.
        quantity: the first number that belongs to the code, mostly mm or %.
        text: what the operator wrote.
        pictures: media references as they stand in the file.
    """

    code: str
    distance_m: float | None = None
    end_m: float | None = None
    clock_from: float | None = None
    clock_to: float | None = None
    film_s: float | None = None
    quantity: float | None = None
    text: str = ""
    pictures: tuple[str, ...] = ()


class CodedInspection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One inspection of one pipe.

    Attributes:
        system: the format it was read from.
        pipe: the name of the pipe.
        from_node, to_node: the pipe's upstream and downstream manholes.
        direction: which way the camera went; None where not said.
        date: ISO 8601, as far as it is known.
        length_m: how far was inspected, or else how long the pipe is.
        films: media references as they stand in the file.
    """

    system: System
    pipe: str
    from_node: str = ""
    to_node: str = ""
    direction: Direction | None = None
    date: str = ""
    diameter_mm: float | None = None
    material: str = ""
    length_m: float | None = None
    operator: str = ""
    films: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
