"""Inspect a simulated ride with a bundle and print what was found of its cracks, as JSON.

python benchmarks/survey.py BUNDLE [--mode forward] [--metres 20] [--cracks 40] [--out FILE.json]

The ride is rendered, `scnet-edge inspect` runs on it as on any video, and an observation shows a
crack if most of its outline lies within 20 mm of it on the wall. One that shows none is a false
alarm. It says how the parts work together; how a model does on noise says little of a pipe.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.inspection.records import Observation
from scnet_edge.robot.run import inspect
from scnet_edge.simulation.defects import Defect
from scnet_edge.simulation.footage import write_footage
from scnet_edge.simulation.optics import MODES
from scnet_edge.simulation.scene import Scene, ScenePlan
from scnet_edge.survey.folder import Survey
from scnet_edge.survey.sorting import set_aside

NEAR_MM = 20.0
CONFIDENCES = (0.7, 0.75, 0.8)  # of `scnet-edge report --min-confidence`


def main() -> None:
    """Render, inspect, compare and print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--mode", choices=MODES, default="side")
    parser.add_argument("--metres", type=float, default=20.0)
    parser.add_argument("--cracks", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed-mps", type=float, default=0.4)
    parser.add_argument("--fps", type=float, default=8.0)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    plan = ScenePlan(
        seed=asked.seed,
        mode=asked.mode,
        metres=asked.metres,
        cracks=asked.cracks,
        speed_mps=asked.speed_mps,
        fps=asked.fps,
    )
    with tempfile.TemporaryDirectory() as folder:
        scene, survey = survey_ride(plan, asked.bundle, Path(folder))
    result = {**facts_of(survey, plan), "frames": len(scene.steps), **compare(scene, survey)}
    text = json.dumps(result, indent=2)
    print(text)
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(text + "\n", encoding="utf-8")


def survey_ride(plan: ScenePlan, bundle: Path, folder: Path) -> tuple[Scene, Survey]:
    """Return a ride's truth and what `scnet-edge inspect` recorded of it."""
    ride, out = folder / "ride", folder / "survey"
    scene = write_footage(plan, ride)
    survey = inspect(
        bundle,
        str(ride / "footage.mp4"),
        out,
        pipe=ride / "pipe.toml",
        odometry=str(ride / "odometry.csv"),
    )
    return scene, survey


def facts_of(survey: Survey, plan: ScenePlan) -> dict[str, object]:
    """Return what ran, where and when."""
    facts = survey.facts
    return {
        "what": "observations of a simulated ride against its cracks",
        "machine": facts.machine,
        "date": time.strftime("%Y-%m-%d"),
        "version": facts.version,
        "bundle": msgspec.to_builtins(facts.bundle),
        "engine": facts.engine,
        "plan": {name: getattr(plan, name) for name in plan.__dataclass_fields__},
    }


def default_report(
    survey: Survey, shown: list[list[Observation]], true: set[int]
) -> dict[str, int]:
    """Return what a report shows first: the joints, the short and the unsure stand aside."""
    first = {one.seq for one in set_aside(survey).observations}
    return {
        "found": sum(any(one.seq in first for one in pieces) for pieces in shown),
        "false_alarms": len(first - true),
    }


def compare(scene: Scene, survey: Survey) -> dict[str, object]:
    """Return how many cracks were found, in how many pieces, how well, and what was none."""
    around_mm = math.pi * scene.plan.diameter_mm
    found = survey.observations
    shown = [[one for one in found if shows(one, d, around_mm)] for d in scene.defects]
    true = {one.seq for pieces in shown for one in pieces}
    alarms = [one for one in found if one.seq not in true]
    recalled = sum(bool(pieces) for pieces in shown)
    pairs = zip(scene.defects, shown, strict=True)
    whole = [(defect, pieces[0]) for defect, pieces in pairs if len(pieces) == 1]
    return {
        "cracks": len(scene.defects),
        "observations": len(found),
        "found": recalled,
        "recall": round(recalled / max(len(scene.defects), 1), 4),
        "found_in_pieces": sum(len(pieces) > 1 for pieces in shown),
        "false_alarms": len(alarms),
        "false_alarms_per_100_m": round(100 * len(alarms) / scene.plan.metres, 1),
        "false_alarms_in_one_frame": sum(one.sightings == 1 for one in alarms),
        "found_cracks_in_one_frame": sum(
            all(one.sightings == 1 for one in pieces) for pieces in shown if pieces
        ),
        **errors(whole),
        "default_report": default_report(survey, shown, true),
        "at_least_as_sure": [
            {
                "min_confidence": bound,
                "found": sum(any(o.confidence >= bound for o in pieces) for pieces in shown),
                "false_alarms": sum(o.confidence >= bound for o in alarms),
            }
            for bound in CONFIDENCES
        ],
    }


def errors(pairs: list[tuple[Defect, Observation]]) -> dict[str, object]:
    """Return the errors of the cracks that are one observation: none where there is no pair."""
    lengths = [o.length_mm.value / d.length_mm() - 1 for d, o in pairs if o.length_mm]
    widths = [
        o.width_mean_mm.value - float(d.width_mm().mean()) for d, o in pairs if o.width_mean_mm
    ]
    return {
        "in_one_piece": len(pairs),
        "length_error_share_median": round(median(lengths), 4) if lengths else None,
        "length_error_share_abs_median": round(median(map(abs, lengths)), 4) if lengths else None,
        "widths": len(widths),
        "width_error_mm_median": round(median(widths), 3) if widths else None,
        "width_error_mm_abs_median": round(median(map(abs, widths)), 3) if widths else None,
    }


def shows(one: Observation, defect: Defect, around_mm: float) -> bool:
    """Return whether most of an observation's outline lies near a crack."""
    near = _apart_mm(one, defect, around_mm) < NEAR_MM
    return bool(near.size) and bool(near.any(axis=0).mean() > 0.5)


def covers(one: Observation, defect: Defect, around_mm: float) -> bool:
    """Return whether most of a crack lies near an observation's outline."""
    near = _apart_mm(one, defect, around_mm) < NEAR_MM
    return bool(near.size) and bool(near.any(axis=1).mean() > 0.5)


def _apart_mm(one: Observation, defect: Defect, around_mm: float) -> npt.NDArray[np.float64]:
    """Return the distances between the points of a crack and of an outline, (points, points)."""
    outline = np.array(one.outline_m_h).reshape(-1, 2) * (1000, around_mm / 12)
    way = defect.places_mm()[:, None] - outline[None]
    way[..., 1] = (way[..., 1] + around_mm / 2) % around_mm - around_mm / 2
    return np.hypot(way[..., 0], way[..., 1])


if __name__ == "__main__":
    main()
