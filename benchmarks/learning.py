"""What a net learns from a review: the documented commands on simulated rides.

    python -m benchmarks.learning MODEL --out FOLDER --json FILE [--steps 400] [--seeds 11 12]

Rides are rendered and inspected; a reviewer who knows the truth accepts the records that show a
crack and rejects the others. `export --format training`, `train --start`, `calibrate` and `build`
follow, as a user types them. Another ride, and where there is DeepCrack its test split, is looked
at with the old and the new bundle.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.survey import compare, shows, survey_ride
from scnet_edge.config import write_json
from scnet_edge.machine.description import machine_name
from scnet_edge.simulation.optics import MODES, Mode
from scnet_edge.simulation.scene import Scene, ScenePlan
from scnet_edge.survey.folder import Survey
from scnet_edge.survey.review import review_record

METRES, CRACKS, TEST_SEED = 20.0, 40, 7


def main() -> None:
    """Review, learn, build and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--mode", choices=MODES, default="side")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12])
    parser.add_argument("--steps", type=int, default=400)
    asked = parser.parse_args()
    out: Path = asked.out
    old, new, learn = out / "old", out / "new", out / "learn"
    scnet_edge("build", "--model", asked.model, "--int8", "--out", old)
    reviewed = []
    for seed in asked.seeds:
        scene, survey = survey_ride(plan_of(asked.mode, seed), old, out / f"ride-{seed}")
        reviewed.append(judge(scene, survey))
        scnet_edge("export", survey.folder, "--format", "training", "--out", learn)
    begun = ("--start", asked.model, "--steps", asked.steps)
    scnet_edge(
        "train", "small-review", "--corpus", learn / "corpus.toml", *begun, "--out", out / "run"
    )
    ranges = out / "ranges.toml"
    seen = learn / "train" / "images"
    scnet_edge("calibrate", "--data", seen, "--model", out / "run", "--out", ranges)
    ranged = ("--int8", "--calibration", ranges)
    scnet_edge("build", "--model", out / "run", *ranged, "--out", new)
    plan = plan_of(asked.mode, TEST_SEED)
    result = {
        "what": "a ride inspected before and after a net learned from the review of others",
        "machine": machine_name(),
        "date": time.strftime("%Y-%m-%d"),
        "model": asked.model,
        "mode": asked.mode,
        "steps": asked.steps,
        "reviewed": reviewed,
        "before": figures(old, plan, out / "before"),
        "after": figures(new, plan, out / "after"),
    }
    write_json(asked.json, result)
    print(json.dumps(result, indent=2))


def plan_of(mode: Mode, seed: int) -> ScenePlan:
    """Return a ride; another seed is another pipe."""
    return ScenePlan(
        seed=seed,
        mode=mode,
        metres=METRES,
        cracks=CRACKS,
        speed_mps=0.4,
        fps=8.0,
    )


def judge(scene: Scene, survey: Survey) -> dict[str, int]:
    """Accept the records that show a crack of the ride, reject the others, and count both."""
    around_mm = math.pi * scene.plan.diameter_mm
    verdicts = {
        one.seq: any(shows(one, defect, around_mm) for defect in scene.defects)
        for one in survey.observations
    }
    for seq, true in verdicts.items():
        review_record(survey.folder, seq, by="truth", verdict="accepted" if true else "rejected")
    accepted = sum(verdicts.values())
    return {"accepted": accepted, "rejected": len(verdicts) - accepted}


def figures(bundle: Path, plan: ScenePlan, out: Path) -> dict[str, object]:
    """Return what a bundle records of a ride, and its F1 on DeepCrack where that is at hand."""
    scene, survey = survey_ride(plan, bundle, out)
    found = compare(scene, survey)
    told: dict[str, object] = {
        name: found[name] for name in ("cracks", "found", "false_alarms", "default_report")
    }
    data = os.environ.get("SCNET_EDGE_DATA")
    if data:
        scores = out / "deepcrack.json"
        scnet_edge("evaluate", bundle, "--data", f"deepcrack:{data}/deepcrack", "--json", scores)
        told["deepcrack_f1"] = json.loads(scores.read_text())["shipped"]["f1"]
    return told


def scnet_edge(*arguments: object) -> None:
    """Run a command as a user does.

    Raises:
        CalledProcessError: it failed.
    """
    subprocess.run([sys.executable, "-m", "scnet_edge", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
