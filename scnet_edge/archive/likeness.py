"""How likely a record of ours and a coded condition are of one crack.

A cost is the negative logarithm of how much likelier they are of one than of two. It falls with the
distance, the hours, the way the cracks run, and what we are surer of. How far people are off, and
where they begin to count, differs from crew to crew: it is learnt from the clear pairs of an
inspection. One hour that is noted of a wide crack is that of its middle.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np

from scnet_edge.archive.coding import Condition
from scnet_edge.inspection.records import Kind, Observation
from scnet_edge.survey.codes import SURE_SIGMAS
from scnet_edge.survey.sorting import MIN_CONFIDENCE

_SIGMAS = 3.0  # that a tolerance is wide
_BRANCHING, _OTHER_WAY = 2.0, 4.0  # costs of a branching and a straight crack, of two ways
_SURE, _UNSURE = 0.9, MIN_CONFIDENCE  # confidence of nearly all cracks, and below all of them
_STRANGERS = 6.0  # what two records cost that have nothing to do with each other
_ASTRAY = 0.02  # share of the distances that are off as far as a tolerance lets them
_SAME_M = 0.05  # half of the step in which people note
_WIDTHS = 8.0  # of an arc's middle that people miss, as a share of the arc
_ENOUGH, _SHORT_M = 5, 0.25  # pairs to learn from; a long crack has no one place
_AS_MANY, _USUAL_M, _USUAL_H = 2.0, 0.1, 0.5  # pairs that what is usual counts for, and what it is
_DOUBT = 8.0  # pairs that say as much as that both begin to count at one place
_LEAST_M, _LEAST_H, _MAD = 0.04, 0.3, 1.4826  # of a decimetre and an hour; of normal errors
_EN13508: dict[str, Kind] = {
    "A": "longitudinal",
    "B": "circumferential",
    "C": "multiple",
    "D": "spiral",
}
_PACP: dict[str, Kind] = {
    "L": "longitudinal",
    "C": "circumferential",
    "M": "multiple",
    "H": "multiple",
    "S": "spiral",
}
_CRACK = re.compile(r"[CF]([LCMHS])\d?J?")  # of PACP and MSCC: a crack or a fracture, at a joint


class Tolerances(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far apart two records of one crack may be.

    Attributes:
        distance_m: along the pipe; the uncertainty of our chainage is added.
        clock_h: around it, where both say.
    """

    distance_m: Annotated[float, msgspec.Meta(ge=0, le=100)] = 0.5
    clock_h: Annotated[float, msgspec.Meta(ge=0, le=6)] = 1.5


@dataclass(frozen=True, slots=True)
class Errors:
    """How people and we differ in one inspection.

    Attributes:
        ahead_m: how much further they count than we.
        sigma_m, sigma_h: standard deviations; None for a third of the tolerance.
    """

    ahead_m: float = 0.0
    sigma_m: float | None = None
    sigma_h: float | None = None


def learn_errors(pairs: Sequence[tuple[Observation, Condition]]) -> Errors:
    """Return how people and we differ, of clear pairs; what is usual counts for two of them."""
    apart_m = [apart for o, c in pairs if (apart := distance_apart(o, c)) is not None]
    if len(apart_m) < _ENOUGH:
        return Errors()
    n, middle_m = len(apart_m), float(np.median(apart_m))
    spread_m = _MAD * float(np.median(np.abs(np.array(apart_m) - middle_m)))
    hours = [_hours_off(o, c)[0] for o, c in pairs]
    return Errors(
        ahead_m=middle_m * n / (n + _DOUBT),
        sigma_m=max(_LEAST_M, _mix(spread_m**2, n, _USUAL_M)),
        sigma_h=max(_LEAST_H, _mix(float(np.mean(np.square(hours))), len(hours), _USUAL_H)),
    )


def _mix(variance: float, count: int, usual: float) -> float:
    return math.sqrt((count * variance + _AS_MANY * usual**2) / (count + _AS_MANY))


def distance_apart(o: Observation, c: Condition) -> float | None:
    """Return how much further they count; None where one is long: where it begins is a choice."""
    if o.start_m is None or c.distance_m is None or c.end_m is not None:
        return None
    length_m = (o.end_m or o.start_m) - o.start_m
    return c.distance_m - o.start_m if length_m <= _SHORT_M else None


def cost(
    o: Observation, c: Condition, tolerances: Tolerances, errors: Errors, *, ways: bool
) -> float:
    """Return the cost of a pair: below 0 if it is likelier than two strangers, else infinite.

    A person notes where a crack begins, or where it is seen best: the tolerance counts from the
    nearest point of ours, the likelihood from its start.

    Args:
        o, c: both with a distance.
        ways: two that run another way are hardly one.
    """
    assert o.start_m is not None
    assert c.distance_m is not None
    end_m = o.start_m if o.end_m is None else o.end_m
    ends_m = sorted((c.distance_m, c.distance_m if c.end_m is None else c.end_m))
    apart_m = max(0.0, o.start_m - ends_m[1], ends_m[0] - end_m)
    allowed_m = tolerances.distance_m + SURE_SIGMAS * (o.start_sigma_m or 0.0)
    if apart_m > allowed_m or hours_apart(o, c) > tolerances.clock_h:
        return math.inf
    first_m, last_m = (end - errors.ahead_m for end in ends_m)
    from_start_m = min(max(0.0, o.start_m - last_m, first_m - o.start_m), allowed_m)
    sure = min(1.0, max(0.05, (o.confidence - _UNSURE) / (_SURE - _UNSURE)))
    total = (
        _cost_of_distance(from_start_m, allowed_m, errors.sigma_m, o.start_sigma_m or 0.0)
        + _cost_of_hours(o, c, tolerances.clock_h, errors.sigma_h)
        + _cost_of_kinds(o.kind, kind_of(c.code), ways=ways)
        - math.log(sure)
    )
    return min(total - _STRANGERS, -1e-6)


def _cost_of_distance(
    apart_m: float, allowed_m: float, sigma_m: float | None, ours_m: float
) -> float:
    usual_m = max(allowed_m, 1e-9) / _SIGMAS
    known_m = usual_m if sigma_m is None else min(math.hypot(sigma_m, ours_m), usual_m)
    near = math.exp(-((apart_m / known_m) ** 2) / 2) * usual_m / known_m
    astray = math.exp(-((apart_m / usual_m) ** 2) / 2)
    return -math.log((1 - _ASTRAY) * near + _ASTRAY * astray)


def _cost_of_hours(o: Observation, c: Condition, allowed_h: float, sigma_h: float | None) -> float:
    usual_h = max(allowed_h, 1e-9) / _SIGMAS
    off_h, arc_h = _hours_off(o, c)
    known_h = math.hypot(usual_h if sigma_h is None else sigma_h, arc_h / _WIDTHS)
    return (off_h / known_h) ** 2 / 2 - math.log(usual_h / known_h)


def _cost_of_kinds(ours: Kind, theirs: Kind | Literal["unknown"] | None, *, ways: bool) -> float:
    if ours == theirs:
        return 0.0
    return _OTHER_WAY if ways and not may_be_one(ours, theirs) else _BRANCHING


def may_be_one(ours: Kind, theirs: Kind | Literal["unknown"] | None) -> bool:
    """Return whether two run the same way, as far as both say."""
    return ours == theirs or bool({ours, theirs} & {"multiple", "unknown"})


def _hours_off(o: Observation, c: Condition) -> tuple[float, float]:
    """Return by how many hours a noted clock misses, and how wide the arc is that it stands for."""
    if o.clock_from is None or o.clock_to is None or c.clock_from is None or c.clock_to is not None:
        return hours_apart(o, c), 0.0
    arc_h = (o.clock_to - o.clock_from) % 12
    return abs((c.clock_from - o.clock_from - arc_h / 2 + 6) % 12 - 6), arc_h


def hours_apart(one: Observation | Condition, other: Observation | Condition) -> float:
    """Return the hours between two arcs of the clock; 0 where one of them does not say."""
    arcs = _arc(one), _arc(other)
    if arcs[0] is None or arcs[1] is None:
        return 0.0
    (start, end), (begin, stop) = arcs[0], arcs[1]
    if (begin - start) % 12 <= (end - start) % 12 or (start - begin) % 12 <= (stop - begin) % 12:
        return 0.0
    return min((begin - end) % 12, (start - stop) % 12)


def _arc(record: Observation | Condition) -> tuple[float, float] | None:
    if record.clock_from is None:
        return None
    return record.clock_from, record.clock_from if record.clock_to is None else record.clock_to


def are_upon_each_other(one: Observation, other: Observation) -> bool:
    """Return whether no note of a person could tell two records of ours apart by their place."""
    if one.start_m is None or other.start_m is None or hours_apart(one, other) > 0:
        return False
    one_end_m = one.start_m if one.end_m is None else one.end_m
    other_end_m = other.start_m if other.end_m is None else other.end_m
    between_m = max(one.start_m - other_end_m, other.start_m - one_end_m)
    return between_m <= _SAME_M


def kind_of(code: str) -> Kind | Literal["unknown"] | None:
    """Return which way a coded crack runs; `unknown` where the code does not say, None for others.

    Args:
        code: with its characters apart, as the readers give it: `BAB B A`, `CL`.
    """
    parts = code.split()
    if parts[:1] == ["BAB"]:
        return _EN13508.get(parts[2], "unknown") if len(parts) > 2 else "unknown"
    match = _CRACK.fullmatch(code)
    return _PACP[match[1]] if match else None
