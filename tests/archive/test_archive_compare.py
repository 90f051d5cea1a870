"""Pairs of records: every pairing by hand, and simulated pipes with a made human coding."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_made import facts, gap, observation

from scnet_edge.archive import pairs
from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.archive.compare import Pairing, Verdict, compare, is_damage, scores
from scnet_edge.archive.likeness import Tolerances, kind_of
from scnet_edge.archive.pairs import likeliest_pairs
from scnet_edge.inspection.records import Observation
from scnet_edge.survey.facts import Progress
from scnet_edge.survey.folder import Survey

CODES = {"longitudinal": "BAB B A", "circumferential": "BAB B B", "multiple": "BAB B C"}


def survey(observations: list[Observation], reach_m: float = 50.0, **more: Any) -> Survey:
    progress = Progress(frame_id=1, resume_frame_id=2, frames=2, chainage_m=reach_m)
    return Survey(
        folder=Path("nowhere"),
        facts=facts(),
        observations=tuple(observations),
        gaps=more.get("gaps", ()),
        alarms=(),
        progress=progress,
    )


def crack(seq: int, start_m: float, end_m: float | None = None, **more: Any) -> Observation:
    return observation(seq, start_m=start_m, end_m=end_m or start_m, start_sigma_m=0.0, **more)


def pairings(ours: list[Observation], theirs: list[Condition], **more: Any) -> list[Pairing]:
    coded = CodedInspection(system="m150", pipe="1", conditions=tuple(theirs))
    return compare(survey(ours, **more), coded, Tolerances())


def verdicts(ours: list[Observation], theirs: list[Condition], **more: Any) -> list[Verdict]:
    return [p.verdict for p in pairings(ours, theirs, **more)]


def code(distance_m: float, code: str = "BAB B A", **more: Any) -> Condition:
    return Condition(code=code, distance_m=distance_m, **more)


def test_the_same_crack_agrees_up_to_the_tolerance_and_no_further() -> None:
    assert verdicts([crack(1, 3.0)], [code(3.5)]) == ["agrees"]
    assert verdicts([crack(1, 3.0)], [code(3.51)]) == ["only ours", "only theirs"]
    unsure = observation(1, start_m=3.0, end_m=3.0, start_sigma_m=0.5)
    assert verdicts([unsure], [code(4.3)]) == ["agrees"]  # its own uncertainty is added


def test_the_clock_counts_where_both_say() -> None:
    ours = crack(1, 3.0, clock_from=11.5, clock_to=0.5)
    assert verdicts([ours], [code(3.0, clock_from=1.9, clock_to=3.0)]) == ["agrees"]
    assert verdicts([ours], [code(3.0, clock_from=1.4)]) == ["agrees"]  # of its middle
    assert verdicts([ours], [code(3.0, clock_from=10.1, clock_to=11.0)]) == ["agrees"]
    assert verdicts([ours], [code(3.0, clock_from=6.0)]) == ["only ours", "only theirs"]
    assert verdicts([ours], [code(3.0)]) == ["agrees"]
    around = crack(1, 3.0, clock_from=0.0, clock_to=11.99)
    assert verdicts([around], [code(3.0, clock_from=6.0)]) == ["agrees"]


def test_another_way_or_another_code_differs() -> None:
    assert verdicts([crack(1, 3.0)], [code(3.0, "BAB B B")]) == ["differs"]
    assert verdicts([crack(1, 3.0)], [code(3.0, "BBA A")]) == ["differs"]  # roots
    assert verdicts([crack(1, 3.0)], [code(3.0, "BDD A")]) == ["only ours"]  # the water level
    assert verdicts([crack(1, 3.0)], [code(3.0, "BAB B C")]) == ["agrees"]  # a branching one
    assert verdicts([crack(1, 3.0)], [code(3.0, "BAB")]) == ["agrees"]
    assert verdicts([crack(1, 3.0)], [code(3.0, "FL")]) == ["agrees"]  # PACP


def test_without_the_geometry_of_a_pipe_only_the_place_counts() -> None:
    flat = replace(survey([crack(1, 3.0)]), facts=facts(mode="wall"))
    coded = CodedInspection(system="m150", pipe="1", conditions=(code(3.0, "BAB B B"),))
    assert [p.verdict for p in compare(flat, coded, Tolerances())] == ["agrees"]


def test_pieces_of_a_coded_stretch_are_part_of_it() -> None:
    ours = [crack(1, 3.0, 4.0), crack(2, 5.0, 6.0), crack(3, 9.0)]
    assert verdicts(ours, [code(3.0, end_m=6.2)]) == ["agrees", "part", "only ours"]
    assert verdicts(ours[:2], [code(3.0)]) == ["agrees", "only ours"]


def test_where_we_did_not_look_nothing_is_missed() -> None:
    assert verdicts([], [code(60.0)]) == ["not seen"]
    assert verdicts([], [code(3.0)], gaps=(gap(start_m=2.0, end_m=4.0),)) == ["not seen"]
    assert verdicts([], [code(3.0)]) == ["only theirs"]
    rejected = crack(1, 3.0, review="rejected")
    assert verdicts([rejected], [code(3.0)]) == ["only theirs"]


def test_the_likeliest_pairing_is_found_and_what_each_pair_adds_to_it() -> None:
    chance = np.random.default_rng(3)
    for _ in range(60):
        n, m = chance.integers(1, 5, 2)
        costs = chance.uniform(-2, 1, (n, m))
        costs[chance.random((n, m)) < 0.4] = np.inf
        found = likeliest_pairs(costs)
        assert sum(costs[p.row, p.column] for p in found) == pytest.approx(least(costs))
        for p in found:
            without = costs.copy()
            without[p.row, p.column] = np.inf
            assert p.margin == pytest.approx(least(without) - least(costs))


def least(costs: np.ndarray) -> float:
    """Return the least cost of all ways to pair, each tried."""
    n, m = costs.shape
    square = np.zeros((n + m, n + m))
    square[:n, :m] = np.minimum(costs, 0)
    ways = itertools.permutations(range(n + m), n)
    return float(min(square[range(n), way].sum() for way in ways))


def test_two_far_pairs_are_not_made_where_one_near_pair_explains_the_records() -> None:
    ours, theirs = [crack(1, 3.0), crack(2, 3.45)], [code(3.45), code(3.9)]
    assert verdicts(ours, theirs) == ["only ours", "agrees", "only theirs"]


def test_a_pair_that_another_is_as_likely_as_is_unclear_and_counts_for_nobody() -> None:
    ours = [crack(1, 3.0), crack(2, 3.2)]
    assert sorted(verdicts(ours, [code(3.1)])) == ["only ours", "unclear"]
    assert verdicts(ours, [code(2.9)]) == ["agrees", "only ours"]
    coded = CodedInspection(system="m150", pipe="1", conditions=(code(3.1),))
    found = compare(survey(ours), coded, Tolerances())
    assert scores(found) == {"precision": 0.0, "recall": None}


def test_a_pair_further_apart_than_all_others_is_unclear() -> None:
    """All others are 0.2 m off, as where a counter starts elsewhere."""
    ours = [crack(i, 3.0 * i) for i in range(1, 8)]
    near = [code(3.0 * i + 0.2) for i in range(1, 7)]
    assert set(verdicts(ours, [*near, code(21.25)])) == {"agrees"}
    odd = verdicts(ours, [*near, code(20.8)])
    assert (odd.count("agrees"), odd.count("unclear")) == (6, 1)
    few = verdicts(ours[3:], [*near[3:], code(20.8)])
    assert set(few) == {"agrees"}


def test_two_records_upon_each_other_are_one_found_crack() -> None:
    """Which of them the coded crack belongs to is nobody's question; the other is part of it."""
    ours = [
        crack(1, 3.00, 3.30, clock_from=2.0, clock_to=2.4),
        crack(2, 3.01, 3.32, clock_from=2.1, clock_to=2.5),
    ]
    assert verdicts(ours, [code(3.0, clock_from=2.0)]) == ["agrees", "part"]
    beside = [crack(1, 3.00, 3.01), crack(2, 3.02, 3.03)]  # people note to the decimetre
    assert sorted(verdicts(beside, [code(3.0)])) == ["agrees", "part"]
    apart = [ours[0], crack(2, 3.01, 3.32, clock_from=3.1, clock_to=3.5)]
    assert verdicts(apart, [code(3.0, clock_from=3.0)]) == ["only ours", "unclear"]
    assert verdicts(apart, [code(3.0, clock_from=3.5)]) == ["only ours", "agrees"]


def test_kinds_places_and_clocks_decide_together() -> None:
    """A crack at the coded place that we saw otherwise is likelier than a branching one far off."""
    ours = [crack(1, 3.0, kind="spiral"), crack(2, 3.5, kind="multiple")]
    found = {p.verdict: p.ours and p.ours.seq for p in pairings(ours, [code(3.0)])}
    assert found == {"differs": 1, "only ours": 2}


def test_one_hour_that_is_noted_is_that_of_the_middle() -> None:
    wide = crack(1, 3.0, clock_from=1.0, clock_to=7.0, kind="circumferential")
    narrow = crack(2, 3.0, clock_from=6.8, clock_to=7.2, kind="circumferential")
    for hour, seq in ((4.0, 1), (7.0, 2)):
        coded = [code(3.0, "BAB B B", clock_from=hour)]
        (pair,) = [p for p in pairings([wide, narrow], coded) if p.verdict == "agrees"]
        assert pair.ours is not None
        assert pair.ours.seq == seq


def test_how_far_a_crew_errs_is_learnt_from_its_clear_pairs() -> None:
    """0.15 m apart tells two cracks apart for a crew that is never more than 0.02 m off."""
    near = [crack(i, 3.0 * i) for i in range(1, 9)]
    two = [crack(20, 40.0), crack(21, 40.15)]
    exact = [code(3.0 * i + 0.02 * (-1) ** i) for i in range(1, 9)]
    rough = [code(3.0 * i + 0.2 * (-1) ** i) for i in range(1, 9)]
    said = [verdicts([*near, *two], [*coded, code(40.04)])[-2:] for coded in (exact, rough)]
    assert said == [["agrees", "only ours"], ["unclear", "only ours"]]


def test_the_margin_of_a_pair_does_not_count_twins() -> None:
    costs, twins = np.array([[-3.0], [-2.9], [-1.0]]), np.eye(3, dtype=bool)
    twins[0, 1] = twins[1, 0] = True
    assert likeliest_pairs(costs)[0].margin == pytest.approx(0.1)
    assert likeliest_pairs(costs, twins=twins)[0].margin == pytest.approx(2.0)


def test_of_two_records_that_lie_alike_the_surer_one_is_taken() -> None:
    ours = [crack(1, 3.0, confidence=0.65), crack(2, 3.2, confidence=0.9)]
    coded = CodedInspection(system="m150", pipe="1", conditions=(code(3.1),))
    (pair,) = [p for p in compare(survey(ours), coded, Tolerances()) if p.theirs]
    assert pair.verdict == "agrees"
    assert pair.ours is not None
    assert pair.ours.seq == 2


def test_a_made_coding_of_many_pipes_is_found_again() -> None:
    """People note to the decimetre and the hour, miss some, and code what we do not look for."""
    chance = np.random.default_rng(1)
    true = false = pairs = 0
    for _ in range(60):
        places = np.cumsum(chance.uniform(1.2, 4.0, 12))
        kinds = chance.choice(list(CODES), 12)
        hours = chance.uniform(0, 12, 12)
        ours = [
            crack(i + 1, float(p), kind=k, clock_from=float(h), clock_to=float(h + 0.5) % 12)
            for i, (p, k, h) in enumerate(zip(places, kinds, hours, strict=True))
            if chance.random() < 0.8
        ]
        theirs = [
            code(
                round(float(p + chance.normal(0, 0.12)), 1),
                CODES[k],
                clock_from=float(round(h + chance.normal(0, 0.3)) % 12),
                text=str(i + 1),
            )
            for i, (p, k, h) in enumerate(zip(places, kinds, hours, strict=True))
            if chance.random() < 0.8
        ]
        both = {str(o.seq) for o in ours} & {c.text for c in theirs}
        pairs += len(both)
        inspection = CodedInspection(system="wincan", pipe="1", conditions=tuple(theirs))
        for p in compare(survey(ours, reach_m=99), inspection, Tolerances()):
            if p.verdict == "agrees" and p.ours and p.theirs:
                true += str(p.ours.seq) == p.theirs.text
                false += str(p.ours.seq) != p.theirs.text
    assert true >= 0.95 * pairs
    assert false == 0


def test_scores_count_what_the_person_sees() -> None:
    ours = [crack(1, 3.0, 4.0), crack(2, 5.0, 6.0), crack(3, 9.0), crack(4, 20.0)]
    theirs = [code(3.0, end_m=6.2), code(20.0, "BAJ B"), code(30.0), code(80.0)]
    coded = CodedInspection(system="m150", pipe="1", conditions=tuple(theirs))
    found = compare(survey(ours), coded, Tolerances())
    assert [p.verdict for p in found].count("differs") == 1
    assert scores(found) == {"precision": 2 / 4, "recall": 1 / 2}
    assert scores([]) == {"precision": None, "recall": None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BAB B A", "longitudinal"),
        ("BAB C D", "spiral"),
        ("BAB", "unknown"),
        ("BAC A", None),
        ("CC", "circumferential"),
        ("FS", "spiral"),
        ("CH2", "multiple"),
        ("CM", "multiple"),
        ("", None),
    ],
)
def test_kinds_of_codes(text: str, expected: str | None) -> None:
    assert kind_of(text) == expected


def test_remarks_are_no_damage() -> None:
    assert [c for c in ("BCD", "BCE XP", "BDD A", "MWL", "", "BAB B A") if is_damage(c)] == []
    assert all(map(is_damage, ("BAC A", "BBA", "BCA E", "B", "TFA", "RFJ")))


def test_in_a_crowd_nobody_is_sure_of_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second best way takes as long as the best: of hundreds alike none is looked for."""
    costs = np.array([[-5.0, -1.0], [-1.0, -5.0]])
    alone = likeliest_pairs(costs)
    monkeypatch.setattr(pairs, "MOST_CELLS", 3)
    crowd = likeliest_pairs(costs)
    assert [(p.row, p.column) for p in crowd] == [(p.row, p.column) for p in alone]
    assert all(p.margin > 0 for p in alone)
    assert [p.margin for p in crowd] == [0.0, 0.0]
