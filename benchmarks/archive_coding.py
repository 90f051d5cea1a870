"""Simulated rides, inspected, against a human coding that is made from their truth.

People note to the decimetre and the hour, are a little off, miss some cracks, and code what is no
crack. A pair is true if our record shows the crack that the condition was made of.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.survey import shows, survey_ride
from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.archive.compare import Tolerances, compare
from scnet_edge.simulation.scene import Scene, ScenePlan, make_scene
from scnet_edge.survey.folder import Survey, read_survey
from scnet_edge.survey.sorting import set_aside

RIDES, METRES, CRACKS = 4, 10.0, 20
CODES = {
    "longitudinal": "BAB B A",
    "circumferential": "BAB B B",
    "multiple": "BAB B C",
    "spiral": "BAB B D",
}
OFF_M, OFF_H = 0.12, 0.3  # standard deviations of what a person notes
MISSED = 0.15  # share of the cracks


def measure_coding(bundle: Path, folder: Path) -> dict[str, Any]:
    """Return how many pairs of one crack the comparison finds, and how many of two."""
    chance, counts, verdicts = random.Random(5), Counter[str](), Counter[str]()
    for seed in range(1, RIDES + 1):
        plan = ScenePlan(seed=seed, metres=METRES, cracks=CRACKS, speed_mps=0.4, fps=8.0)
        scene, survey = _inspect_ride(plan, bundle, folder / str(seed))
        survey = set_aside(survey)
        coding = CodedInspection(
            system="m150", pipe="1", conditions=tuple(_note(scene, survey, chance))
        )
        shown = _find_crack(scene, survey)
        coded = {condition.text for condition in coding.conditions}
        counts["pairs"] += len(coded & set(shown.values()))
        found = set[str]()
        for pair in compare(survey, coding, Tolerances()):
            verdicts[pair.verdict] += 1
            if pair.ours is None or pair.theirs is None or not pair.theirs.text:
                continue  # alone, or coded as something else
            true = shown.get(pair.ours.seq) == pair.theirs.text
            counts["false_pairs"] += not true
            found |= {pair.theirs.text} if true else set()
        counts["pairs_found"] += len(found)
        counts["cracks"] += len(scene.defects)
        counts["conditions"] += len(coding.conditions)
        counts["records"] += len(survey.observations)
    return {
        **{name: counts[name] for name in ("cracks", "conditions", "records")},
        **{name: counts[name] for name in ("pairs", "pairs_found", "false_pairs")},
        "verdicts": dict(sorted(verdicts.items())),
        "rides": RIDES,
        "metres": METRES,
    }


def _inspect_ride(plan: ScenePlan, bundle: Path, folder: Path) -> tuple[Scene, Survey]:
    """Return a ride and its survey; one that is there from before is read."""
    if not (folder / "survey").exists():
        return survey_ride(plan, bundle, folder)
    return make_scene(plan), read_survey(folder / "survey")


def _find_crack(scene: Scene, survey: Survey) -> dict[int, str]:
    """Return which crack a record shows, by their numbers."""
    around_mm = math.pi * scene.plan.diameter_mm
    return {
        one.seq: str(number)
        for number, defect in enumerate(scene.defects)
        for one in survey.observations
        if shows(one, defect, around_mm)
    }


def _note(scene: Scene, survey: Survey, chance: random.Random) -> Iterator[Condition]:
    """Yield what a person codes of a ride; `text` names the crack."""
    around_mm = math.pi * scene.plan.diameter_mm
    for number, defect in enumerate(scene.defects):
        if chance.random() < MISSED:
            continue
        along_mm, across_mm = defect.places_mm().T
        clock_h = float(across_mm.mean()) / around_mm * 12 + chance.gauss(0, OFF_H)
        yield Condition(
            code=CODES[defect.kind],
            distance_m=round(float(along_mm.min()) / 1000 + chance.gauss(0, OFF_M), 1),
            clock_from=float(round(clock_h) % 12),
            text=str(number),
        )
    for _ in range(3):
        yield Condition(code="BCA E A", distance_m=round(chance.uniform(0, METRES), 1), text="")
