"""Print the frames per second of the loop against those of the engine alone, as JSON.

python benchmarks/loop.py BUNDLE [--threads 1] [--frames 40] [--rounds 5] [--out FILE.json]

Two engines are asked: the bundle on this machine's engine, which shares the processor with the
rest of the loop, and a stand-in that sleeps as long as the bundle takes, as a GPU does. The loop
captures from a live source, segments, measures and writes JSON lines; the engine alone does nothing
else. The two take turns, and the median of their ratios is what counts. With --threads the engine
is asked once more, with so many threads, and both loops take turns.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from scnet_edge import Pipeline, __version__
from scnet_edge.inspection.measure import measure_cracks
from scnet_edge.machine.description import machine_name
from scnet_edge.machine.telemetry import Telemetry
from scnet_edge.runtime.loop import run_loop
from scnet_edge.simulation.clip import render_clip
from scnet_edge.sinks.open import open_sinks
from scnet_edge.sinks.run_records import Recorder
from scnet_edge.types import Frame, Result
from scnet_edge.video.fake_source import fake_source

WARM_UP, FASTER = 5, 1.25


def main() -> None:
    """Measure and print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--threads", type=int, help="of the engine, against its own choice")
    parser.add_argument("--frames", type=int, default=40, help="timed, in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with Pipeline.open(asked.bundle) as pipeline:
        size_hw = pipeline.manifest.input.frame_hw
        clip = [frame for frame, _ in render_clip(8, size_hw, seed=9)]
        rounds, frames = asked.rounds, asked.frames
        here = compare(pipeline, clip, rounds, frames)
        elsewhere = compare(sleeper(pipeline, clip, 1 / here["engine_fps"]), clip, rounds, frames)
        result = {
            "what": "loop FPS / engine-only FPS, median of rounds",
            "machine": machine_name(),
            "date": time.strftime("%Y-%m-%d"),
            "version": __version__,
            "bundle": f"{pipeline.manifest.model.name} {pipeline.manifest.precision}",
            "size_hw": pipeline.manifest.input.size_hw,
            "engine": pipeline.engine,
            "rounds": rounds,
            "frames_a_round": frames,
            "load_average": round(os.getloadavg()[0], 1),
            "engine_on_this_machine": here,
            "engine_elsewhere": elsewhere,
        }
        if asked.threads:
            with Pipeline.open(asked.bundle, threads=asked.threads) as fewer:
                result["with_threads"] = {
                    "threads": asked.threads,
                    **compare(fewer, clip, rounds, frames),
                    "loop_over_default": loops_in_turns(fewer, pipeline, clip, rounds, frames),
                }
    text = json.dumps(result, indent=2)
    print(text)
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(text + "\n", encoding="utf-8")


def compare(
    segment: Callable[[Frame], Result], clip: list[Frame], rounds: int, frames: int
) -> dict[str, float]:
    """Return both rates and their ratio, taken in turns; the camera is faster than the engine."""
    pairs = []
    for _ in range(rounds):
        engine = engine_fps(segment, clip, frames)
        pairs.append((loop_fps(segment, clip, frames, FASTER * engine), engine))
    return {
        "engine_fps": round(median(engine for _, engine in pairs), 2),
        "loop_fps": round(median(loop for loop, _ in pairs), 2),
        "ratio": round(median(loop / engine for loop, engine in pairs), 4),
        "ratio_lowest": round(min(loop / engine for loop, engine in pairs), 4),
    }


def loops_in_turns(
    one: Callable[[Frame], Result],
    other: Callable[[Frame], Result],
    clip: list[Frame],
    rounds: int,
    frames: int,
) -> dict[str, float]:
    """Return the loop's rate with one engine over that with the other, from turns."""
    ratios = []
    for _ in range(rounds):
        pair = [
            loop_fps(engine, clip, frames, FASTER * engine_fps(engine, clip, frames))
            for engine in (one, other)
        ]
        ratios.append(pair[0] / pair[1])
    return {
        "median": round(median(ratios), 3),
        "lowest": round(min(ratios), 3),
        "highest": round(max(ratios), 3),
    }


def engine_fps(segment: Callable[[Frame], Result], clip: list[Frame], frames: int) -> float:
    """Return the rate of the engine alone."""
    endless = itertools.cycle(clip)
    for frame in itertools.islice(endless, WARM_UP):
        segment(frame)
    start_s = time.perf_counter()
    for frame in itertools.islice(endless, frames):
        segment(frame)
    return frames / (time.perf_counter() - start_s)


def loop_fps(
    segment: Callable[[Frame], Result], clip: list[Frame], frames: int, camera_fps: float
) -> float:
    """Return the rate at which the engine's results come while the whole loop runs."""
    done_s: list[float] = []

    def timed(frame: Frame) -> Result:
        result = segment(frame)
        done_s.append(time.perf_counter())
        return result

    with (
        tempfile.TemporaryDirectory() as folder,
        open_sinks([f"jsonl:{folder}/run.jsonl"], Recorder(Telemetry, {})) as sinks,
    ):
        run_loop(
            fake_source(itertools.cycle(clip), fps=camera_fps),
            timed,
            sinks,
            frames=frames + WARM_UP,
            measure=lambda mask, frame: measure_cracks(mask, frame=frame),
        )
    return frames / (done_s[-1] - done_s[WARM_UP - 1])


def sleeper(pipeline: Pipeline, clip: list[Frame], seconds: float) -> Callable[[Frame], Result]:
    """Return a stand-in that gives true results after a sleep; they were computed before."""
    results = {id(frame): pipeline(frame) for frame in clip}

    def segment(frame: Frame) -> Result:
        time.sleep(seconds)
        return results[id(frame)]

    return segment


if __name__ == "__main__":
    main()
