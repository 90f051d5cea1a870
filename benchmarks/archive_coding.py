"""Simulated rides, inspected, against human codings that are made from their truth.

People note to the decimetre and the hour, are a little off, miss some cracks, and code what is no
crack. A pair is true if our record shows the crack that the condition was made of: most of one lies
on the other. How far people are off decides: where cracks lie closer than that, or a false alarm
does, no place tells them apart. What is possible at all says an oracle that pairs the same records
and conditions, and knows exactly how the conditions were made: how far people are off, and that
they never mistake which way a crack runs.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.survey import covers, shows, survey_ride
from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.archive.compare import CLEAR, compare
from scnet_edge.archive.likeness import Tolerances, are_upon_each_other, kind_of
from scnet_edge.archive.pairs import likeliest_pairs
from scnet_edge.inspection.records import Observation
from scnet_edge.simulation.scene import Scene, ScenePlan, make_scene
from scnet_edge.survey.folder import Survey, read_survey
from scnet_edge.survey.sorting import set_aside

RIDES, CODINGS, METRES = 4, 10, 10.0
CRACKS = (8, 20)  # of a bad pipe, and of one that is crowded with them
CODES = {
    "longitudinal": "BAB B A",
    "circumferential": "BAB B B",
    "multiple": "BAB B C",
    "spiral": "BAB B D",
}
OFF_M, OFF_H = (0.05, 0.08, 0.12), 0.3  # standard deviations of what a person notes
MISSED = 0.15  # share of the cracks
SEEN_OTHERWISE = 0.06  # share of the cracks in which a record runs another way


def measure_coding(bundle: Path, folder: Path) -> dict[str, Any]:
    """Return how many pairs of one crack the comparison finds, and how many of two."""
    rows = []
    for cracks in CRACKS:
        plans = [
            ScenePlan(seed=seed, metres=METRES, cracks=cracks, speed_mps=0.4, fps=8.0)
            for seed in range(1, RIDES + 1)
        ]
        rides = [_inspect_ride(p, bundle, folder / str(cracks) / str(p.seed)) for p in plans]
        found = [(scene, set_aside(survey)) for scene, survey in rides]
        for off_m in OFF_M:
            counts = sum((_compare(*one, off_m) for one in found), Counter[str]())
            rows.append({"cracks": cracks, "off_m": off_m, **dict(sorted(counts.items()))})
    return {"rides": RIDES, "codings": CODINGS, "metres": METRES, "rows": rows}


def _compare(scene: Scene, survey: Survey, off_m: float) -> Counter[str]:
    """Return how the pairs with several codings of a ride are, by name."""
    counts, shown = Counter[str](), _find_cracks(scene, survey)
    for number in range(CODINGS):
        chance = random.Random(1000 * number + scene.plan.seed)
        conditions = tuple(_note(scene, chance, off_m))
        coding = CodedInspection(system="m150", pipe="1", conditions=conditions)
        counts["conditions"] += len(conditions)
        counts["records"] += len(survey.observations)
        coded = {condition.text for condition in conditions}
        counts["pairs"] += len(coded & set().union(*shown.values()))
        for pair in compare(survey, coding, Tolerances()):
            if pair.ours is None or pair.theirs is None or not pair.theirs.text:
                continue  # alone, or coded as something else
            if pair.verdict == "part":
                continue  # the crack is counted with the record that agrees
            true = pair.theirs.text in shown[pair.ours.seq]
            counts["unclear" if pair.verdict == "unclear" else "found" if true else "false"] += 1
        for one, condition in _ask_oracle(survey, conditions, off_m):
            counts["oracle_found" if condition.text in shown[one.seq] else "oracle_false"] += 1
    return counts


def _ask_oracle(
    survey: Survey, conditions: tuple[Condition, ...], off_m: float
) -> list[tuple[Observation, Condition]]:
    """Return the pairs of who knows how the conditions were made, but for the unclear ones."""
    ours = [one for one in survey.observations if one.start_m is not None]
    theirs = [coded for coded in conditions if coded.text]
    costs = np.array([[_exact_cost(o, c, off_m) for c in theirs] for o in ours])
    twins = np.array([[are_upon_each_other(a, b) for b in ours] for a in ours])
    pairs = likeliest_pairs(costs.reshape(len(ours), len(theirs)), twins=twins)
    return [(ours[p.row], theirs[p.column]) for p in pairs if p.margin >= CLEAR]


def _exact_cost(o: Observation, c: Condition, off_m: float) -> float:
    """Return minus the logarithm of how much likelier a condition is of a record than of none."""
    assert o.start_m is not None
    assert c.distance_m is not None
    assert o.clock_from is not None
    assert o.clock_to is not None
    assert c.clock_from is not None
    middle_h = o.clock_from + (o.clock_to - o.clock_from) % 12 / 2
    apart_m, apart_h = c.distance_m - o.start_m, (c.clock_from - middle_h + 6) % 12 - 6
    near = _rounded(apart_m, off_m, 0.1) * _rounded(apart_h, OFF_H, 1.0)
    alike = 1 - SEEN_OTHERWISE if o.kind == kind_of(c.code) else SEEN_OTHERWISE / 3
    by_chance = 0.1 / METRES * 1 / 12 / 4  # of a decimetre, an hour, a way
    return math.log(by_chance) - math.log(max(near * alike, 1e-300))


def _rounded(apart: float, sigma: float, step: float) -> float:
    """Return how likely a rounded value is so far from the true one."""
    ends = [(apart + side * step / 2) / sigma / math.sqrt(2) for side in (1, -1)]
    return (math.erf(ends[0]) - math.erf(ends[1])) / 2


def _inspect_ride(plan: ScenePlan, bundle: Path, folder: Path) -> tuple[Scene, Survey]:
    """Return a ride and its survey; one that is there from before is read."""
    if not (folder / "survey").exists():
        return survey_ride(plan, bundle, folder)
    return make_scene(plan), read_survey(folder / "survey")


def _find_cracks(scene: Scene, survey: Survey) -> dict[int, set[str]]:
    """Return which cracks each record shows, by their numbers."""
    around_mm = math.pi * scene.plan.diameter_mm
    return {
        one.seq: {
            str(number)
            for number, defect in enumerate(scene.defects)
            if shows(one, defect, around_mm) or covers(one, defect, around_mm)
        }
        for one in survey.observations
    }


def _note(scene: Scene, chance: random.Random, off_m: float) -> Iterator[Condition]:
    """Yield what a person codes of a ride; `text` names the crack."""
    around_mm = math.pi * scene.plan.diameter_mm
    for number, defect in enumerate(scene.defects):
        if chance.random() < MISSED:
            continue
        along_mm, across_mm = defect.places_mm().T
        clock_h = float(across_mm.mean()) / around_mm * 12 + chance.gauss(0, OFF_H)
        yield Condition(
            code=CODES[defect.kind],
            distance_m=round(float(along_mm.min()) / 1000 + chance.gauss(0, off_m), 1),
            clock_from=float(round(clock_h) % 12),
            text=str(number),
        )
    for _ in range(3):
        yield Condition(
            code="BCA E A", distance_m=round(chance.uniform(0, scene.plan.metres), 1), text=""
        )
