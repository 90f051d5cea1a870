"""Codes, grades and width limits, suggested from a table that people edit; never asserted.

A crack seen from a camera is a suggestion: whether it is open, broken or only a stain is for a
person to say, so every suggestion stays under review until one does. Ratings of a pipe are computed
from the suggested grades, and are as good as these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec

from scnet_edge.config import read_toml
from scnet_edge.errors import ConfigError
from scnet_edge.inspection.records import Figure, Kind, Observation, Opening

PACKAGED = Path(__file__).with_name("codes.toml")
SURE_SIGMAS = 1.645  # one-sided 95 %
Positive: TypeAlias = Annotated[float, msgspec.Meta(gt=0)]
Verdict = Literal["above", "within", "undecided", "not measured"]
OPENINGS: dict[Opening, str] = {"surface": "A", "crack": "B", "open": "C"}  # of EN 13508-2


class Graded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A PACP code and its structural grade, 1 (minor) to 5 (most severe)."""

    code: str
    grade: Annotated[int, msgspec.Meta(ge=1, le=5)]


class Pacp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """NASSCO PACP, by direction."""

    open_from_mm: Positive
    continuous_from_m: Positive
    occurrence_m: Positive
    crack: dict[Kind, Graded]
    fracture: dict[Kind, Graded]


class En13508(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """EN 13508-2, main code with two characters."""

    main: str
    crack_from_mm: Positive
    open_from_mm: Positive
    direction: dict[Kind, str]


class Limit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A width that is not to be exceeded, and who says so."""

    width_mm: Positive
    source: str = ""


class Codes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole table."""

    pacp: Pacp
    en13508: En13508
    limits: dict[str, Limit]


class Suggestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the table makes of one observation.

    Attributes:
        en13508: main code and characters, `BAB B A`; the first is `?` where no width is known.
        opening: as a person saw it, else from the width; None where no width is known.
        en13508_width_mm: the first quantity; None where no width is known.
        occurrences: how often it counts in the ratings.
        continuous: long enough for a start and a finish line.
    """

    pacp: str
    grade: int
    en13508: str
    opening: Opening | None
    en13508_width_mm: float | None
    occurrences: int
    continuous: bool


def read_codes(path: Path | None = None) -> Codes:
    """Return a table of one's own, or the packaged one.

    Raises:
        ConfigError: missing, not TOML, an unknown key, or a direction without a code.
    """
    codes = read_toml(path or PACKAGED, Codes)
    directions = get_args(Kind)
    for name, table in (
        ("pacp.crack", codes.pacp.crack),
        ("pacp.fracture", codes.pacp.fracture),
        ("en13508.direction", codes.en13508.direction),
    ):
        if missing := [kind for kind in directions if kind not in table]:
            raise ConfigError(f"{path}: [{name}] has no code for {missing[0]}; add one")
    return codes


def find_limit(codes: Codes, name: str) -> Limit:
    """Return a width limit by its name.

    Raises:
        ConfigError: the table has no such limit.
    """
    if name not in codes.limits:
        raise ConfigError(f"no width limit {name!r}, expected one of {', '.join(codes.limits)}")
    return codes.limits[name]


def suggest(observation: Observation, codes: Codes) -> Suggestion:
    """Return what the table suggests; an opening from a width in mm, or as a person saw it."""
    width_mm = observation.width_p95_mm
    length_m = length_along_m(observation)
    continuous = length_m >= codes.pacp.continuous_from_m
    opened = observation.opening == "open"
    if observation.opening is None:
        opened = surely_above(width_mm, codes.pacp.open_from_mm)
    opening = observation.opening or _find_opening(width_mm, codes.en13508)
    graded = (codes.pacp.fracture if opened else codes.pacp.crack)[observation.kind]
    return Suggestion(
        pacp=graded.code,
        grade=graded.grade,
        en13508=" ".join(
            (
                codes.en13508.main,
                OPENINGS[opening] if opening else "?",
                codes.en13508.direction[observation.kind],
            )
        ),
        opening=opening,
        en13508_width_mm=None if width_mm is None else _round_mm(width_mm.value),
        occurrences=max(1, round(length_m / codes.pacp.occurrence_m)) if continuous else 1,
        continuous=continuous,
    )


def judge(observation: Observation, limit: Limit) -> Verdict:
    """Return how the width, as its 95th percentile along the crack, stands to a limit.

    `above` and `within` are said where 95 % of the measurement's own uncertainty lies there.
    """
    width_mm = observation.width_p95_mm
    if width_mm is None:
        return "not measured"
    if surely_above(width_mm, limit.width_mm):
        return "above"
    sure = width_mm.value + SURE_SIGMAS * width_mm.sigma < limit.width_mm
    return "within" if sure else "undecided"


def surely_above(width_mm: Figure | None, limit_mm: float) -> bool:
    """Return whether a width is above a limit for all its uncertainty."""
    return width_mm is not None and width_mm.value - SURE_SIGMAS * width_mm.sigma > limit_mm


def length_along_m(observation: Observation) -> float:
    """Return the extent along the pipe; 0 where no position is known."""
    if observation.start_m is None or observation.end_m is None:
        return 0.0
    return observation.end_m - observation.start_m


def _find_opening(width_mm: Figure | None, table: En13508) -> Opening | None:
    if width_mm is None:
        return None
    if width_mm.value >= table.open_from_mm:
        return "open"
    return "crack" if width_mm.value >= table.crack_from_mm else "surface"


def _round_mm(width_mm: float) -> float:
    """Return the width as EN 13508-2 asks for it: whole millimetres, one decimal below one."""
    return round(width_mm, 1) if width_mm < 1 else float(round(width_mm))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """PACP's three structural figures.

    Attributes:
        pipe_rating: sum over all occurrences of their grades.
        index: that sum over the number of occurrences; 0 without any.
        quick: highest grade, its count, next grade, its count; `3221` is two of grade 3, one of 2.
    """

    pipe_rating: int
    index: float
    quick: str


def rate(suggestions: Iterable[Suggestion]) -> Rating:
    """Return the ratings of a survey."""
    counts: Counter[int] = Counter()
    for suggestion in suggestions:
        counts[suggestion.grade] += suggestion.occurrences
    total = sum(grade * count for grade, count in counts.items())
    return Rating(
        pipe_rating=total,
        index=total / counts.total() if counts else 0.0,
        quick=quick_rating(counts),
    )


def quick_rating(counts: Counter[int]) -> str:
    """Return the quick rating; ten and more are letters, A for 10 to 14, B for 15 to 19, ..."""
    highest = sorted(counts.items(), reverse=True)[:2]
    return "".join(f"{grade}{_count(count)}" for grade, count in highest).ljust(4, "0")


def _count(count: int) -> str:
    return str(count) if count < 10 else chr(ord("A") + min((count - 10) // 5, 25))
