"""Print what each way of saving time costs in recall, on rendered clips whose truth is known.

python benchmarks/schedule.py --full SMALL --smaller SMALL_HALF_SIZE --gate TINY_HALF_SIZE
python benchmarks/schedule.py --full SCNET --split-graphs --hed SCNET_HALF_SIZE

Every option works on the same frames in the same order, frame by frame in turns, so that their
times can be compared. A crack is one connected piece of the truth of at least 50 px; it is found
when a quarter of its pixels are, within 2 px. The clips are the simulator's, easier than a real
pipe: what is to be read off is the difference between the rows.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import Any

import cv2
import numpy as np

from scnet_edge import Pipeline, __version__
from scnet_edge.machine.description import machine_name
from scnet_edge.robot.robot_toml import Robot
from scnet_edge.robot.segmentation import open_segmentation
from scnet_edge.simulation.clip import render_clip
from scnet_edge.sinks.run_folder import count_pixels
from scnet_edge.types import Frame, Mask, PixelCounts, Result

TOLERANCE_PX, CRACK_PX, FOUND_SHARE = 2, 50, 0.25
DISC = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * TOLERANCE_PX + 1,) * 2)


class Row:
    """The books of one option."""

    def __init__(self) -> None:
        self.counts = PixelCounts()
        self.cracks = self.found = self.gated = self.reused = 0
        self.times_ms: list[float] = []

    def add(self, result: Result, truth: Mask) -> None:
        """Count one frame."""
        self.counts += count_pixels(result.mask, truth, tolerance_px=TOLERANCE_PX)
        seen = cv2.dilate(result.mask.view(np.uint8), DISC).astype(bool)
        pieces, labels, stats, _ = cv2.connectedComponentsWithStats(truth.view(np.uint8))
        for piece in range(1, pieces):
            if stats[piece, cv2.CC_STAT_AREA] >= CRACK_PX:
                self.cracks += 1
                self.found += bool(seen[labels == piece].mean() >= FOUND_SHARE)
        self.gated += "gated" in result.flags
        self.reused += "prior_reused" in result.flags

    def summary(self, frames: int, full_ms: float) -> dict[str, float]:
        """Return the row of the table."""
        counts = self.counts
        return {
            "pixel_recall": round(counts.recall, 4),
            "pixel_precision": round(counts.precision, 4),
            "pixel_f1": round(counts.f1, 4),
            "crack_recall": round(self.found / max(1, self.cracks), 4),
            "time_of_full": round(float(np.mean(self.times_ms)) / full_ms, 3),
            "frames_gated": round(self.gated / frames, 3),
            "frames_with_an_older_prior": round(self.reused / frames, 3),
        }


def main() -> None:
    """Run every option that was asked for, and print the table as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", type=Path, required=True)
    parser.add_argument("--smaller", type=Path, help="a bundle to degrade to")
    parser.add_argument("--gate", type=Path, help="a cheap bundle")
    parser.add_argument("--split-graphs", action="store_true", help="HED every 2, 4 and 8 frames")
    parser.add_argument("--hed", type=Path, help="a smaller bundle with split_graphs, for its HED")
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--frames", type=int, default=48, help="of each clip")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with ExitStack() as stack, Pipeline.open(asked.full) as pipeline:
        manifest = pipeline.manifest
        options = dict(open_options(asked, stack))
        rows = measure(options, list(clips(asked, manifest.input.frame_hw)))
    result = {
        "what": "recall and time of each option against the full way of working",
        "data": f"rendered clips with exact truth: {asked.clips} of {asked.frames} frames at "
        f"{manifest.input.frame_hw[0]}x{manifest.input.frame_hw[1]}, seeds from 101",
        "machine": machine_name(),
        "date": time.strftime("%Y-%m-%d"),
        "version": __version__,
        "bundle": f"{manifest.model.name} {manifest.precision}",
        "engine": pipeline.engine,
        "cracks": rows["full"].cracks,
        "rows": {
            name: row.summary(asked.clips * asked.frames, float(np.mean(rows["full"].times_ms)))
            for name, row in rows.items()
        },
        "full_ms": round(median(rows["full"].times_ms), 1),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(text + "\n", encoding="utf-8")


def open_options(
    asked: argparse.Namespace, stack: ExitStack
) -> Iterator[tuple[str, Callable[[Frame], Result]]]:
    """Yield name and function of each option, opened the way a run opens it."""

    def option(bundle: Path, **keys: Any) -> Callable[[Frame], Result]:
        robot = Robot(**keys)
        return stack.enter_context(
            open_segmentation(bundle, robot, event_queue=SimpleQueue())
        ).segment

    yield "full", option(asked.full)
    if asked.smaller:
        yield "smaller bundle", option(asked.smaller)
    if asked.gate:
        for threshold in (0.05, 0.1, 0.3):
            keys = {"gate_bundle": str(asked.gate), "gate_threshold": threshold}
            yield f"gate at {threshold}", option(asked.full, **keys)
    if asked.split_graphs:
        for every in (2, 4, 8):
            yield f"HED every {every} frames", option(asked.full, hed_every=every)
    if asked.hed:
        yield "HED at half size", option(asked.full, hed_bundle=str(asked.hed))


def clips(
    asked: argparse.Namespace, size_hw: tuple[int, int]
) -> Iterator[list[tuple[Frame, Mask]]]:
    """Yield the clips."""
    for seed in range(101, 101 + asked.clips):
        yield list(render_clip(asked.frames, size_hw, seed=seed))


def measure(
    options: dict[str, Callable[[Frame], Result]], footage: list[list[tuple[Frame, Mask]]]
) -> dict[str, Row]:
    """Return the books of every option over all frames."""
    rows = {name: Row() for name in options}
    for segment in options.values():
        segment(footage[0][0][0])  # warm up
    for frame, truth in (pair for clip in footage for pair in clip):
        for name, segment in options.items():
            start_s = time.perf_counter()
            result = segment(frame)
            rows[name].times_ms.append(1e3 * (time.perf_counter() - start_s))
            rows[name].add(result, truth)
    return rows


if __name__ == "__main__":
    main()
