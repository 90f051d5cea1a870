"""Settle what the HED prior is worth: one small net with the full HED, a light one, and none.

    python -m benchmarks.prior --data deepcrack:DIR --out RUNS --json prior-study.json

A light HED is distilled from the full one. The net of the `tiny` preset is then trained with each
prior and seed for the same steps on the same crops, from the same first weights, and scored on the
whole test images. Run the line again after a kill: what is done is not done twice. It takes
some 40 minutes of one core at the default length.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.prior_report import report
from benchmarks.prior_study import PRIORS, Plan, claim, priors_of, score_run, splits_of
from scnet_edge.cli.train import hardware_of
from scnet_edge.config import write_json

FIELDS = ("data", "steps", "batch", "crop", "distil_steps", "light_width", "seeds")


def main() -> None:
    """Run what is not there yet, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="deepcrack:DIR and the like")
    parser.add_argument("--out", type=Path, required=True, help="the folder of all runs")
    parser.add_argument("--json", type=Path, required=True)
    changes = parser.add_argument_group("what else, where another study is wanted")
    changes.add_argument("--steps", type=int)
    changes.add_argument("--batch", type=int)
    changes.add_argument("--crop", type=int)
    changes.add_argument("--distil-steps", type=int)
    changes.add_argument("--light-width", type=float)
    changes.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--workers", type=int, default=0, help="processes that cut crops ahead")
    asked = parser.parse_args()
    on = hardware_of(asked.device, asked.workers, compiled=False)
    given = {name: value for name in FIELDS if (value := getattr(asked, name)) is not None}
    plan = msgspec.convert(given, Plan)
    claim(asked.out, plan)
    splits = splits_of(plan.data)
    maps = priors_of(plan, asked.out, splits, print_steps, on)
    runs = [
        score_run(plan, prior, seed, asked.out, splits, maps, print_steps, on)
        for seed in plan.seeds
        for prior in PRIORS
    ]
    write_json(asked.json, report(plan, splits, maps, runs))
    print(asked.json)


def print_steps(name: str, steps: int) -> Callable[[int, float], None]:
    """Return what prints the steps of a run."""
    began_s = time.monotonic()

    def step(done: int, loss: float) -> None:
        if done % 20 == 0 or done == steps:
            spent_s = time.monotonic() - began_s
            print(f"{name}: {done} of {steps}, loss {loss:.4f}, {spent_s:.0f} s", file=sys.stderr)

    return step


if __name__ == "__main__":
    main()
