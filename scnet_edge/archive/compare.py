"""Ours against the human coding of the same film: what agrees, differs, and stands alone.

Two records may be of one crack if their stretches along the pipe are no further apart than a
tolerance, their clock positions too, and the cracks run the same way. How likely they are of one
falls with the distance, the hours, another kind, and what we are less sure of. The pairs that are
likeliest together count; one that another way to pair is nearly as likely as is `unclear`, for a
person to see, and so is one further apart than the others of its inspection. A piece of ours that
lies within a coded stretch is part of it: a person codes a long crack once.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal, get_args

import msgspec
import numpy as np
from msgspec.structs import replace

from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.archive.pairs import likeliest_pairs
from scnet_edge.inspection.records import Kind, Observation
from scnet_edge.survey.codes import SURE_SIGMAS
from scnet_edge.survey.folder import Survey

Verdict = Literal["agrees", "part", "unclear", "differs", "only ours", "only theirs", "not seen"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
# Costs are negative logarithms of how likely two records are of one crack.
_SIGMAS = 3.0  # that a tolerance is wide
_OTHER_KIND = 2.0  # of a branching crack and a straight one, or of a code that does not say
_SURE, _UNSURE = 0.9, 0.7  # confidence of nearly all cracks, and below all of them
_STRANGERS = 6.0  # what two records cost that have nothing to do with each other
_CLEAR = math.log(1.5)  # so much likelier than the next best way to pair
_ENOUGH, _MAD, _LEAST_SIGMA_M = 5, 1.4826, 0.05  # pairs; of normal errors; a counter's step
_ODD, _SHORT_M = 3.5, 0.25
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
        verdict: `agrees`; `part` of a stretch that another piece of ours agrees with; `unclear`,
            the likeliest of several ways to pair that are nearly as likely, or an odd one;
            `differs`, a crack that runs another way or that the person coded as something else;
            `only ours`; `only theirs`; `not seen`, coded where we did not look.
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
    placed = [c for c in inspection.conditions if c.distance_m is not None]
    cracks = [c for c in placed if kind_of(c.code) is not None]
    others = [c for c in placed if is_damage(c.code)]
    pairings: list[Pairing] = []

    def settle(verdict: Verdict, theirs: list[Condition], *, alike: bool) -> None:
        costs = [[_cost(o, c, tolerances, alike=alike and ways) for c in theirs] for o in ours]
        for pair in likeliest_pairs(np.array(costs).reshape(len(ours), len(theirs))):
            coded = theirs[pair.column]
            clear = pair.margin >= _CLEAR or coded.end_m is not None or not alike
            said: Verdict = verdict if clear else "unclear"
            pairings.append(Pairing(verdict=said, ours=ours[pair.row], theirs=coded))
        paired = {id(p.ours) for p in pairings} | {id(p.theirs) for p in pairings}
        ours[:] = [o for o in ours if id(o) not in paired]
        theirs[:] = [c for c in theirs if id(c) not in paired]

    settle("agrees", cracks, alike=True)
    pairings[:] = _doubt_the_odd(pairings)
    stretches = [p.theirs for p in pairings if p.theirs is not None]
    for piece in list(ours):
        costs = [(_cost(piece, c, tolerances, alike=ways), i) for i, c in enumerate(stretches)]
        cost, i = min(costs, default=(math.inf, -1))
        if cost < math.inf and stretches[i].end_m is not None:
            pairings.append(Pairing(verdict="part", ours=piece, theirs=stretches[i]))
            ours.remove(piece)
    settle("differs", cracks, alike=False)
    settle("differs", others, alike=False)
    pairings += [Pairing(verdict="only ours", ours=o) for o in ours]
    for c in cracks:
        verdict: Verdict = "only theirs" if _has_looked_at(survey, c) else "not seen"
        pairings.append(Pairing(verdict=verdict, theirs=c))
    return sorted(pairings, key=_place)


def _doubt_the_odd(pairings: list[Pairing]) -> list[Pairing]:
    """Return pairs, `unclear` those that are further apart than all others of the inspection.

    How far a person and we are apart, and whether one of the two begins to count elsewhere, is
    learnt from the pairs themselves.
    """
    apart_m = [
        p.theirs.distance_m - p.ours.start_m
        for p in pairings
        if p.ours and p.theirs and p.theirs.distance_m is not None and p.ours.start_m is not None
    ]
    if len(apart_m) < _ENOUGH:
        return pairings
    off_m = np.abs(np.array(apart_m) - np.median(apart_m))
    sigma_m = max(_MAD * float(np.median(off_m)), _LEAST_SIGMA_M)
    return [
        replace(pair, verdict="unclear") if off > _ODD * sigma_m and _is_short(pair) else pair
        for pair, off in zip(pairings, off_m, strict=True)
    ]


def _is_short(pair: Pairing) -> bool:
    """Return whether both have one place, more or less: where a long crack begins is a choice."""
    ours, theirs = pair.ours, pair.theirs
    length_m = 0.0 if ours is None else (ours.end_m or 0.0) - (ours.start_m or 0.0)
    return theirs is not None and theirs.end_m is None and length_m <= _SHORT_M


def scores(pairings: Sequence[Pairing]) -> dict[str, float | None]:
    """Return precision and recall as the person sees it, None where there is nothing to divide.

    Precision: of our records, those that agree with a coded crack or are part of one. Recall: of
    the cracks coded where we looked, those that a record of ours agrees with. What is unclear
    counts in neither.
    """
    counts = Counter(p.verdict for p in pairings)
    ours = [p for p in pairings if p.ours is not None and p.verdict != "unclear"]
    theirs = [
        p
        for p in pairings
        if p.theirs is not None
        and p.verdict not in ("part", "unclear", "not seen")
        and kind_of(p.theirs.code)
    ]
    right = counts["agrees"] + counts["part"]
    return {
        "precision": right / len(ours) if ours else None,
        "recall": counts["agrees"] / len(theirs) if theirs else None,
    }


def _cost(o: Observation, c: Condition, tolerances: Tolerances, *, alike: bool) -> float:
    """Return the cost of a pair: below 0 if it is likelier than two strangers, else infinite.

    A person notes where a crack begins, or where it is seen best: the tolerance counts from the
    nearest point of ours, the likelihood from its start.
    """
    assert o.start_m is not None
    assert c.distance_m is not None
    end_m = o.start_m if o.end_m is None else o.end_m
    ends_m = sorted((c.distance_m, c.distance_m if c.end_m is None else c.end_m))
    apart_m = max(0.0, o.start_m - ends_m[1], ends_m[0] - end_m)
    from_start_m = max(0.0, o.start_m - ends_m[1], ends_m[0] - o.start_m)
    allowed_m = tolerances.distance_m + SURE_SIGMAS * (o.start_sigma_m or 0.0)
    apart_h = _hours_apart(o, c)
    kinds = (o.kind, kind_of(c.code))
    same = kinds[0] == kinds[1]
    fits = same or "multiple" in kinds or "unknown" in kinds
    if apart_m > allowed_m or apart_h > tolerances.clock_h or (alike and not fits):
        return math.inf
    sure = min(1.0, max(0.05, (o.confidence - _UNSURE) / (_SURE - _UNSURE)))
    cost = (
        _squared(min(from_start_m, allowed_m), allowed_m)
        + _squared(apart_h, tolerances.clock_h)
        + (0.0 if same else _OTHER_KIND)
        - math.log(sure)
    )
    return min(cost - _STRANGERS, -1e-6)


def _squared(apart: float, tolerance: float) -> float:
    return (_SIGMAS * apart / max(tolerance, 1e-9)) ** 2 / 2


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
