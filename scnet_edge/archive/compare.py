"""Ours against the human coding of the same film: what agrees, differs, and stands alone.

Two records are of one crack if their stretches along the pipe are no further apart than a
tolerance, their clock positions too, and the cracks run the same way. Of all ways to pair them one
to one, that with the most pairs is taken, and of those the nearest. A piece of ours that lies
within a coded stretch is part of it: a person codes a long crack once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import msgspec
import numpy as np

from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.inspection.records import Kind, Observation
from scnet_edge.survey.codes import SURE_SIGMAS
from scnet_edge.survey.folder import Survey

Verdict = Literal["agrees", "part", "differs", "only ours", "only theirs", "not seen"]
_FAR = 1e6  # what a pair that must not be costs
_AHEAD_M = 0.5  # a camera sees a little further than where it is
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
# What is no damage: the start, the end, the water level, photographs, a change of the pipe.
_REMARK = re.compile(
    r"B(C[D-E]|D[A-G]).*|A[A-Z]{2}.*|ST|FH|MWL.*|MGO|MGP|AMH|AEP|SA|MSA|MLC|MSC|WL"
)


class Tolerances(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far apart two records of one crack may be.

    Attributes:
        distance_m: along the pipe; the uncertainty of our chainage is added.
        clock_h: around it, where both say.
    """

    distance_m: Annotated[float, msgspec.Meta(ge=0, le=100)] = 0.5
    clock_h: Annotated[float, msgspec.Meta(ge=0, le=6)] = 1.5


class Pairing(msgspec.Struct, frozen=True, kw_only=True):
    """One record of ours, one condition of theirs, or both.

    Attributes:
        verdict: `agrees`; `part` of a stretch that another piece of ours agrees with; `differs`,
            a crack that runs another way or that the person coded as something else; `only ours`;
            `only theirs`; `not seen`, coded where we did not look.
    """

    verdict: Verdict
    ours: Observation | None = None
    theirs: Condition | None = None


def compare(survey: Survey, inspection: CodedInspection, tolerances: Tolerances) -> list[Pairing]:
    """Return every record of ours and every crack of theirs, each once, along the pipe.

    What has no distance, and what a person has rejected in ours, is left out. Without the geometry
    of a pipe nobody knows which way a crack runs, so that does not count then.
    """
    ways = survey.facts.mode != "wall"
    ours = [o for o in survey.observations if o.start_m is not None and o.review != "rejected"]
    coded = [c for c in inspection.conditions if c.distance_m is not None]
    cracks = [c for c in coded if kind_of(c.code) is not None]
    others = [c for c in coded if is_damage(c.code)]
    pairings: list[Pairing] = []

    def settle(verdict: Verdict, theirs: list[Condition], *, alike: bool) -> None:
        alike = alike and ways
        for i, j in assign(ours, theirs, lambda o, c: _cost(o, c, tolerances, alike=alike)):
            pairings.append(Pairing(verdict=verdict, ours=ours[i], theirs=theirs[j]))
        paired = {id(p.ours) for p in pairings} | {id(p.theirs) for p in pairings}
        ours[:] = [o for o in ours if id(o) not in paired]
        theirs[:] = [c for c in theirs if id(c) not in paired]

    settle("agrees", cracks, alike=True)
    stretches = [p.theirs for p in pairings if p.theirs is not None]
    for piece in list(ours):
        costs = [(_cost(piece, c, tolerances, alike=ways), i) for i, c in enumerate(stretches)]
        cost, i = min(costs, default=(_FAR, -1))
        if cost < _FAR and stretches[i].end_m is not None:
            pairings.append(Pairing(verdict="part", ours=piece, theirs=stretches[i]))
            ours.remove(piece)
    settle("differs", cracks, alike=False)
    settle("differs", others, alike=False)
    pairings += [Pairing(verdict="only ours", ours=o) for o in ours]
    for c in cracks:
        verdict: Verdict = "only theirs" if _has_looked_at(survey, c) else "not seen"
        pairings.append(Pairing(verdict=verdict, theirs=c))
    return sorted(pairings, key=_place)


def assign(
    ours: list[Observation],
    theirs: list[Condition],
    cost: Callable[[Observation, Condition], float],
) -> list[tuple[int, int]]:
    """Return pairs of indices: as many as can be, and of all such pairings the cheapest."""
    if not ours or not theirs:
        return []
    from scipy.optimize import linear_sum_assignment

    costs = np.array([[cost(o, c) for c in theirs] for o in ours])  # (ours, theirs)
    rows, columns = linear_sum_assignment(costs)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if costs[i, j] < _FAR]


def scores(pairings: Sequence[Pairing]) -> dict[str, float | None]:
    """Return precision and recall as the person sees it, None where there is nothing to divide.

    Precision: of our records, those that agree with a coded crack or are part of one. Recall: of
    the cracks coded where we looked, those that a record of ours agrees with.
    """
    counts = Counter(p.verdict for p in pairings)
    ours = [p for p in pairings if p.ours is not None]
    theirs = [
        p
        for p in pairings
        if p.theirs is not None and p.verdict not in ("part", "not seen") and kind_of(p.theirs.code)
    ]
    right = counts["agrees"] + counts["part"]
    return {
        "precision": right / len(ours) if ours else None,
        "recall": counts["agrees"] / len(theirs) if theirs else None,
    }


def _cost(o: Observation, c: Condition, tolerances: Tolerances, *, alike: bool) -> float:
    """Return how far apart two records are, in tolerances; `_FAR` if they are not of one crack."""
    assert o.start_m is not None
    assert c.distance_m is not None
    end_m = o.start_m if o.end_m is None else o.end_m
    ends_m = sorted((c.distance_m, c.distance_m if c.end_m is None else c.end_m))
    apart_m = max(0.0, o.start_m - ends_m[1], ends_m[0] - end_m)
    allowed_m = tolerances.distance_m + SURE_SIGMAS * (o.start_sigma_m or 0.0)
    apart_h = _hours_apart(o, c)
    kinds = (o.kind, kind_of(c.code))
    same = kinds[0] == kinds[1]
    fits = same or "multiple" in kinds or "unknown" in kinds
    if apart_m > allowed_m or apart_h > tolerances.clock_h or (alike and not fits):
        return _FAR
    return (
        apart_m / max(allowed_m, 1e-9) + apart_h / max(tolerances.clock_h, 1e-9) + 0.5 * (not same)
    )


def _hours_apart(o: Observation, c: Condition) -> float:
    """Return the hours between two arcs of the clock; 0 where one of them does not say."""
    if o.clock_from is None or o.clock_to is None or c.clock_from is None:
        return 0.0
    to = c.clock_from if c.clock_to is None else c.clock_to
    for start, end, other in (
        (o.clock_from, o.clock_to, c.clock_from),
        (c.clock_from, to, o.clock_from),
    ):
        if (other - start) % 12 <= (end - start) % 12:
            return 0.0
    return min((c.clock_from - o.clock_to) % 12, (o.clock_from - to) % 12)


def _has_looked_at(survey: Survey, condition: Condition) -> bool:
    """Return whether we looked where a condition begins."""
    at_m, progress = condition.distance_m, survey.progress
    if at_m is None or progress is None or progress.chainage_m is None:
        return False
    missed = [(g.start_m, g.end_m) for g in survey.gaps]
    return at_m <= progress.chainage_m + _AHEAD_M and not any(
        a <= at_m <= b for a, b in missed if a is not None and b is not None
    )


def _place(pairing: Pairing) -> tuple[float, str]:
    if pairing.theirs is not None:
        return pairing.theirs.distance_m or 0.0, pairing.theirs.code
    return (pairing.ours and pairing.ours.start_m) or 0.0, ""


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


def is_damage(code: str) -> bool:
    """Return whether a code is of something that may be taken for a crack, and is none."""
    return bool(code) and kind_of(code) is None and not _REMARK.fullmatch(code)
