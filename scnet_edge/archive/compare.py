"""Ours against the human coding of the same film: what agrees, differs, and stands alone.

Two records may be of one crack if their stretches along the pipe are no further apart than a
tolerance, and their clock positions too. Of all ways to pair those the likeliest counts
(`likeness`). A pair that another way to pair is nearly as likely as is `unclear`, for a person to
see, and so is one further apart than the others of its inspection. A piece of ours that lies within
a coded stretch, or upon a record of ours that is paired, is part of it: a person codes a long crack
once.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, TypeVar, get_args

import msgspec
import numpy as np
from msgspec.structs import replace

from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.archive.likeness import (
    Errors,
    Tolerances,
    are_upon_each_other,
    cost,
    distance_apart,
    kind_of,
    learn_errors,
    may_be_one,
)
from scnet_edge.archive.pairs import Costs, LikelyPair, likeliest_pairs
from scnet_edge.inspection.records import Observation
from scnet_edge.survey.folder import Survey

Verdict = Literal["agrees", "part", "unclear", "differs", "only ours", "only theirs", "not seen"]
Record = TypeVar("Record", Observation, Condition)
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
CLEAR = math.log(3)  # so much likelier than the next best way to pair
_ROUNDS = 3  # of pairing; each knows how people err from the clear pairs of the one before
_LEARN = 1.0  # the margin of a pair to learn from
_ENOUGH, _MAD, _LEAST_SIGMA_M = 5, 1.4826, 0.05  # pairs; of normal errors; a counter's step
_ODD = 5.0
_AHEAD_M = 0.5  # a camera sees a little further than where it is
# What is no damage: the start, the end, the water level, photographs, a change of the pipe.
_REMARK = re.compile(
    r"B(C[D-E]|D[A-G]).*|A[A-Z]{2}.*|ST|FH|MWL.*|MGO|MGP|AMH|AEP|SA|MSA|MLC|MSC|WL"
)


class Pairing(msgspec.Struct, frozen=True, kw_only=True):
    """One record of ours, one condition of theirs, or both.

    Attributes:
        verdict: `agrees`; `part` of a crack that another piece of ours agrees with; `unclear`,
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
    twins = [[are_upon_each_other(a, b) for b in ours] for a in ours]
    pairings: list[Pairing] = []
    for pair in _pair(ours, cracks, twins, tolerances, ways=ways):
        one, coded = ours[pair.row], cracks[pair.column]
        clear = pair.margin >= CLEAR or coded.end_m is not None
        same = not ways or may_be_one(one.kind, kind_of(coded.code))
        verdict: Verdict = "unclear" if not clear else "agrees" if same else "differs"
        pairings.append(Pairing(verdict=verdict, ours=one, theirs=coded))
    pairings = _doubt_the_odd(pairings)
    ours, cracks = _left(ours, pairings), _left(cracks, pairings)
    found = [(piece, _whole_of(piece, pairings, tolerances, ways=ways)) for piece in ours]
    pairings += [Pairing(verdict="part", ours=p, theirs=whole) for p, whole in found if whole]
    ours = _left(ours, pairings)
    costs = _costs(ours, others, tolerances, Errors(), ways=False)
    for pair in likeliest_pairs(costs):
        differs = Pairing(verdict="differs", ours=ours[pair.row], theirs=others[pair.column])
        pairings.append(differs)
    pairings += [Pairing(verdict="only ours", ours=o) for o in _left(ours, pairings)]
    for c in cracks:
        missed: Verdict = "only theirs" if _has_looked_at(survey, c) else "not seen"
        pairings.append(Pairing(verdict=missed, theirs=c))
    return sorted(pairings, key=_place)


def _pair(
    ours: list[Observation],
    cracks: list[Condition],
    twins: list[list[bool]],
    tolerances: Tolerances,
    *,
    ways: bool,
) -> list[LikelyPair]:
    """Return the likeliest pairs, once what they say of how people err is known."""
    errors, pairs = Errors(), list[LikelyPair]()
    for _ in range(_ROUNDS):
        costs = _costs(ours, cracks, tolerances, errors, ways=ways)
        pairs = likeliest_pairs(costs, twins=np.array(twins, bool).reshape(len(ours), len(ours)))
        clear = [(ours[p.row], cracks[p.column]) for p in pairs if p.margin >= _LEARN]
        errors = learn_errors(clear)
    return pairs


def _costs(
    ours: list[Observation],
    theirs: list[Condition],
    tolerances: Tolerances,
    errors: Errors,
    *,
    ways: bool,
) -> Costs:
    table = [[cost(o, c, tolerances, errors, ways=ways) for c in theirs] for o in ours]
    return np.array(table).reshape(len(ours), len(theirs))


def _left(records: list[Record], pairings: list[Pairing]) -> list[Record]:
    """Return the records that stand in no pair."""
    paired = {id(p.ours) for p in pairings} | {id(p.theirs) for p in pairings}
    return [record for record in records if id(record) not in paired]


def _whole_of(
    piece: Observation, pairings: list[Pairing], tolerances: Tolerances, *, ways: bool
) -> Condition | None:
    """Return the coded crack that a piece is part of: a stretch, or one found at its place."""
    costs = [
        (cost(piece, p.theirs, tolerances, Errors(), ways=ways), i)
        for i, p in enumerate(pairings)
        if p.theirs is not None
        and p.ours is not None
        and (p.theirs.end_m is not None or are_upon_each_other(piece, p.ours))
        and (not ways or may_be_one(piece.kind, kind_of(p.theirs.code)))
    ]
    least, i = min(costs, default=(math.inf, -1))
    return pairings[i].theirs if least < math.inf else None


def _doubt_the_odd(pairings: list[Pairing]) -> list[Pairing]:
    """Return pairs, `unclear` those that are further apart than all others of the inspection."""
    apart_m = [distance_apart(p.ours, p.theirs) if p.ours and p.theirs else None for p in pairings]
    known_m = np.array([apart for apart in apart_m if apart is not None])
    if known_m.size < _ENOUGH:
        return pairings
    middle_m = float(np.median(known_m))
    sigma_m = max(_MAD * float(np.median(np.abs(known_m - middle_m))), _LEAST_SIGMA_M)
    return [
        replace(pair, verdict="unclear")
        if apart is not None and abs(apart - middle_m) > _ODD * sigma_m
        else pair
        for pair, apart in zip(pairings, apart_m, strict=True)
    ]


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


def is_damage(code: str) -> bool:
    """Return whether a code is of something that may be taken for a crack, and is none."""
    return bool(code) and kind_of(code) is None and not _REMARK.fullmatch(code)
