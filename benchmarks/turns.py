"""Print which of several bundles is quicker here, as JSON: their engines in turns, on one frame.

python benchmarks/turns.py BUNDLE BUNDLE... [--rounds 20] [--frames 20] [--out FILE.json]

Every round times every bundle, and what counts is the median over rounds of the ratio to the first
bundle's time in the same round. A suite of `scnet-edge bench` that says `together = true` does so
too, engines and all; before it could, its models took no turns.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from scnet_edge import Pipeline, __version__
from scnet_edge.machine.description import machine_name
from scnet_edge.simulation.clip import render_clip
from scnet_edge.types import Frame

WARM_UP = 10


def in_turns(
    pipelines: list[Pipeline], frame: Frame, rounds: int, frames: int
) -> list[list[float]]:
    """Return the milliseconds a frame takes, of each round a list with one for each pipeline."""
    return [[_time_ms(pipeline, frame, frames) for pipeline in pipelines] for _ in range(rounds)]


def _time_ms(pipeline: Pipeline, frame: Frame, frames: int) -> float:
    begun = time.perf_counter()
    for _ in range(frames):
        pipeline(frame)
    return 1e3 * (time.perf_counter() - begun) / frames


def row_of(name: str, pipeline: Pipeline, times_ms: list[float], first_ms: list[float]) -> Any:
    """Return a bundle's row: its median time, and its time over the first bundle's by round."""
    ratios = sorted(t / f for t, f in zip(times_ms, first_ms, strict=True))
    return {
        "bundle": name,
        "size_hw": pipeline.manifest.input.size_hw,
        "engine": pipeline.engine,
        "ms": round(median(times_ms), 2),
        "time_of_first": round(median(ratios), 3),
        "quartiles": [round(ratios[len(ratios) * q // 4], 3) for q in (1, 3)],
    }


def main() -> None:
    """Time the bundles in turns and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--frames", type=int, default=20, help="of each bundle in a round")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        pipelines = [stack.enter_context(Pipeline.open(str(path))) for path in chosen.bundles]
        frame, _ = next(iter(render_clip(1, pipelines[0].manifest.input.frame_hw, seed=1)))
        in_turns(pipelines, frame, 1, WARM_UP)
        rounds = in_turns(pipelines, frame, chosen.rounds, chosen.frames)
        columns = [list(column) for column in zip(*rounds, strict=True)]
        names = [f"{p.manifest.model.name} {p.manifest.precision}" for p in pipelines]
        rows = [
            row_of(name, pipeline, times, columns[0])
            for name, pipeline, times in zip(names, pipelines, columns, strict=True)
        ]
    found = {
        "what": "milliseconds from frame to mask, bundles in turns; ratios within a round",
        "machine": machine_name(),
        "date": datetime.date.today().isoformat(),
        "version": __version__,
        "rounds": chosen.rounds,
        "frames": chosen.frames,
        "load_before": round(load, 1),
        "rows": rows,
    }
    text = json.dumps(found, indent=2)
    print(text)
    if chosen.out:
        chosen.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
