"""Settle what a light HED in front of a net is worth, against a wider net of the same time.

    python -m benchmarks.prior --corpus corpora/open.toml --field corpora/field.toml \
        --out RUNS --json benchmarks/results/prior-study.json

Three nets, from random weights, on the same crops: the small one behind `hed-light`, a wider one
without a prior that takes as long a frame in INT8, and the small one without. Each is scored on
test images of every domain. Run the line again after a kill: what is done is not done twice. It
takes an hour of one core at the default length.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec

from benchmarks.prior_report import report
from benchmarks.prior_study import ARMS, Loaded, Plan, claim, run_arm
from scnet_edge.config import write_json
from scnet_edge.data.corpus import read_corpus
from scnet_edge.evaluation.domains import hold_back
from scnet_edge.models.weights import open_hed
from scnet_edge.training.corpora import load_corpus

FIELDS = ("steps", "batch", "crop", "seeds", "most")


def main() -> None:
    """Run what is not there yet, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True, help="what trains, a TOML file")
    parser.add_argument("--field", type=Path, required=True, help="what scores, by domain")
    parser.add_argument("--hed", default="hed-light", help="a model or the folder of a run")
    parser.add_argument("--out", type=Path, required=True, help="the folder of all runs")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    changes = parser.add_argument_group("what else, where another study is wanted")
    changes.add_argument("--steps", type=int)
    changes.add_argument("--batch", type=int)
    changes.add_argument("--crop", type=int)
    changes.add_argument("--seeds", type=int, nargs="+")
    changes.add_argument("--most", type=int, help="images of a domain that score")
    asked = parser.parse_args()
    given = {name: value for name in FIELDS if (value := getattr(asked, name)) is not None}
    plan = msgspec.convert({**given, "corpus": asked.corpus.stem}, Plan)
    claim(asked.out, plan)
    corpus, hed = read_corpus(asked.corpus), open_hed(asked.hed)
    tests = hold_back(read_corpus(asked.field))

    @cache
    def load() -> Loaded:
        return load_corpus(corpus)

    runs = [
        run_arm(
            plan, corpus, arm, seed, asked.out,
            hed=hed, load=load, tests=tests, begin=print_steps,
        )
        for seed in plan.seeds
        for arm in asked.arms
    ]  # fmt: skip
    write_json(asked.json, report(plan, hed, runs))
    print(asked.json)


def print_steps(name: str) -> Callable[[int, float], None]:
    """Return what prints the steps of a run."""
    began_s = time.monotonic()

    def step(done: int, loss: float) -> None:
        if done % 50 == 0:
            spent_s = time.monotonic() - began_s
            print(f"{name}: step {done}, loss {loss:.4f}, {spent_s:.0f} s", file=sys.stderr)

    return step


if __name__ == "__main__":
    main()
