"""What of a survey to look at first, and what stands aside: joints, water lines, the unsure.

A joint is a ring: lines straight around the pipe at one chainage that together go around half of
it, or three of them a third. Roots hang out of a joint: three short pieces or more that begin at
one chainage, or end there, and what is short and begins at a ring. Where records come back at one
distance, joints are there, too, and what is short along the pipe there is of one. A water line runs
straight along the pipe at one clock position, for metres. What the net is very sure of stays a
crack: cracks can go around a pipe, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Literal

from scnet_edge.inspection.records import Observation
from scnet_edge.survey.folder import Survey
from scnet_edge.survey.joint_spacing import distances_to_joints_m

MIN_CONFIDENCE = 0.6  # mean probability over a crack; on simulated rides every true crack has more
REASONS = {
    "joint": "joint of the pipe",
    "roots": "roots at a joint",
    "water_line": "water line",
    "short": "short",
    "unsure": "unsure",
}
Structure = Literal["joint", "roots", "water_line"]

SURE = 0.8  # confidence from which a record stays a crack
_STRAIGHT_MM, _STRAIGHT_SHARE = 12.0, 0.06  # off a line: so much, or this share of its length
_ONE_CHAINAGE_M = 0.015  # between neighbours of one ring
_JOINT_M = 0.03  # that a line around the pipe may lie off a joint
_ROOT_M, _ROOTS = 0.1, 3  # how far a root reaches along the pipe; so many tell a joint
_RING_SHARE, _RING_SHARE_OF_MANY, _MANY = 0.5, 0.35, 3  # of the clock; of so many pieces
_ONE_CLOCK_H = 0.1  # between neighbours of one water line
_LINE_M, _LINE_SHARE = 1.0, 0.5  # its least length, and how much of it is seen
_WATER_H = (3.2, 8.8)  # water does not stand above the middle of a pipe


def set_aside(survey: Survey, min_confidence: float = MIN_CONFIDENCE) -> Survey:
    """Return a survey whose observations are the cracks to look at; the others are `aside`.

    Joints, roots at them and water lines stand aside, and what is short or less sure. What a
    person accepted is looked at, whatever it looks like.

    Args:
        survey: what `read_survey` gave.
        min_confidence: in [0, 1], of a record's mean probability; with 0 nothing stands aside.
    """
    if min_confidence <= 0:
        return survey
    structures = find_structures(survey.observations)

    def reason(one: Observation) -> str | None:
        if one.review == "accepted":
            return None
        if one.seq in structures:
            return structures[one.seq]
        if "short" in one.flags:
            return "short"
        return "unsure" if one.confidence < min_confidence else None

    reasons = [(one, reason(one)) for one in survey.observations]
    return replace(
        survey,
        observations=tuple(one for one, why in reasons if why is None),
        aside=tuple((one, why) for one, why in reasons if why is not None),
    )


def count_aside(survey: Survey) -> str:
    """Return how many records stand aside and why, in words: `11 joint of the pipe, 3 short`."""
    counts = Counter(why for _, why in survey.aside)
    return ", ".join(f"{counts[why]} {words}" for why, words in REASONS.items() if counts[why])


def find_structures(observations: Iterable[Observation]) -> dict[int, Structure]:
    """Return the records that show a joint or a water line, by their `seq`.

    Args:
        observations: of one survey of a pipe, with chainage and clock; others are left out.
    """
    unsure = [o for o in observations if o.clock_from is not None and o.confidence < SURE]
    found: dict[int, Structure] = {}
    for segment in {o.segment for o in unsure}:
        here = [o for o in unsure if o.segment == segment]
        for ring in _groups(filter(_straight_around, here), _chainage_m, _ONE_CHAINAGE_M):
            share = _RING_SHARE_OF_MANY if len(ring) >= _MANY else _RING_SHARE
            if _coverage(_clock_spans(ring)) >= 12 * share:
                found |= dict.fromkeys((o.seq for o in ring), "joint")
        for one in _roots(here, [o for o in here if o.seq in found]):
            found.setdefault(one.seq, "roots")
        for one in _at_even_distances(here):
            found.setdefault(one.seq, "joint" if one.kind == "circumferential" else "roots")
        for line in _groups(filter(_straight_along, here), _clock_h, _ONE_CLOCK_H):
            spans = [(_start_m(o), _end_m(o)) for o in line]
            length_m = max(end for _, end in spans) - min(start for start, _ in spans)
            if length_m >= _LINE_M and _coverage(spans) >= _LINE_SHARE * length_m:
                found |= dict.fromkeys((o.seq for o in line), "water_line")
    return found


def _straight_around(one: Observation) -> bool:
    """Return whether a record is a straight line around the pipe."""
    if one.kind != "circumferential" or one.start_m is None or one.end_m is None:
        return False
    return 1000 * _reach_m(one) <= _slack_mm(one)


def _roots(here: Sequence[Observation], ring: Sequence[Observation]) -> list[Observation]:
    """Return the short pieces that begin, or end, where others do, or where a ring is."""
    short = [o for o in here if _reach_m(o) <= _ROOT_M and o.kind != "circumferential"]
    ends: tuple[Callable[[Observation], float], ...] = (_start_m, _end_m)
    roots: list[Observation] = []
    for end in ends:
        for one in short:
            at_ring = any(abs(_chainage_m(o) - end(one)) <= _ONE_CHAINAGE_M for o in ring)
            bunch = [o for o in short if 0 <= end(o) - end(one) <= _ONE_CHAINAGE_M]
            if len(bunch) >= _ROOTS:
                roots += bunch
            elif at_ring:
                roots.append(one)
    return roots


def _at_even_distances(here: Sequence[Observation]) -> list[Observation]:
    """Return what is short along the pipe and lies where pipes of one length meet."""
    short = [o for o in here if _reach_m(o) <= _ROOT_M]
    distances_m = distances_to_joints_m([_chainage_m(o) for o in short])
    return [
        one
        for one, distance_m in zip(short, distances_m, strict=True)
        if distance_m <= (_JOINT_M if one.kind == "circumferential" else _ROOT_M)
    ]


def _straight_along(one: Observation) -> bool:
    """Return whether a record is a straight line along the pipe, where water may stand."""
    if one.kind != "longitudinal" or not one.outline_m_h or one.length_mm is None:
        return False
    if one.mm_per_px is None or not _WATER_H[0] <= _clock_h(one) <= _WATER_H[1]:
        return False
    return one.tortuosity <= 1 + _STRAIGHT_SHARE


def _slack_mm(one: Observation) -> float:
    length_mm = one.length_mm.value if one.length_mm else 0.0
    return max(_STRAIGHT_MM, _STRAIGHT_SHARE * length_mm)


def _start_m(one: Observation) -> float:
    return one.start_m or 0.0


def _end_m(one: Observation) -> float:
    return one.end_m or 0.0


def _reach_m(one: Observation) -> float:
    return _end_m(one) - _start_m(one)


def _chainage_m(one: Observation) -> float:
    return (_start_m(one) + _end_m(one)) / 2


def _clock_h(one: Observation) -> float:
    start, end = one.clock_from or 0.0, one.clock_to or 0.0
    return (start + ((end - start) % 12) / 2) % 12


def _clock_spans(ring: Sequence[Observation]) -> list[tuple[float, float]]:
    """Return from where to where each record goes, in hours; one over 12 o'clock is two spans."""
    spans = []
    for one in ring:
        start, end = one.clock_from or 0.0, one.clock_to or 0.0
        spans += [(start, end)] if start <= end else [(start, 12.0), (0.0, end)]
    return spans


def _coverage(spans: Sequence[tuple[float, float]]) -> float:
    """Return how much the spans cover together."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered


def _groups(
    observations: Iterable[Observation], place: Callable[[Observation], float], apart: float
) -> list[list[Observation]]:
    """Return the records in groups whose neighbours are at most so far apart."""
    groups: list[list[Observation]] = []
    for one in sorted(observations, key=place):
        if groups and place(one) - place(groups[-1][-1]) <= apart:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups
