"""What each scale costs and finds on whole pictures: mosaics, a 24-megapixel wall, 1080p and 4K.

SCNET_EDGE_DATA=DIR python benchmarks/whole_pictures.py BUNDLE... [--out FILE.json]

DIR has `deepcrack`, and `field` with real close-ups of concrete. Of every bundle it measures

- the F1 of DeepCrack's test pictures one by one, and as mosaics of 2x2, 3x3 and 4x4 of them;
- recall and precision on a drawn wall of 24 megapixels with eight cracks 5 px wide;
- tiles a second of a 4K frame, against frames a second that the engine computes one by one and in
  a row, in turns;
- 1080p and 4K frames of real concrete, a twentieth of each with real cracks put in: the share of
  what `native` finds that `auto` finds, on all crack lines and on thin ones, and how many times
  fewer tiles it looks at and how many times quicker it is;
- the peak memory of a process that looks at the wall.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import cv2
import numpy as np

from scnet_edge import Pipeline, __version__
from scnet_edge.data.datasets import open_dataset
from scnet_edge.data.pictures import read_image
from scnet_edge.data.samples import Sample
from scnet_edge.engines.base import run_all
from scnet_edge.inspection.measure import measure_cracks
from scnet_edge.inspection.skeleton import thin
from scnet_edge.machine.description import machine_name
from scnet_edge.runtime.scale import SCALES, ModelScale
from scnet_edge.simulation.cracks import Points, draw_crack, truth_mask
from scnet_edge.types import Frame, Map, Mask

Pair: TypeAlias = tuple[Frame, Mask]
SIZES_HW = {"1080p": (1080, 1920), "4K": (2160, 3840)}
CRACK_PX = 5.0
CRACKED_SHARE = 0.05
SCENES = 4  # of cracks of each set
THIN_PX = 2.0  # half the width of a thin crack, at most
FEATHER_PX = 24  # over which a picture that is put in fades into its surroundings


def main() -> None:
    """Measure the bundles and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--mosaics", type=int, help="of each size, at most")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.memory_of:
        print(peak_mib(chosen.bundles[0], chosen.memory_of))
        return
    data = Path(os.environ["SCNET_EDGE_DATA"])
    found = {
        "what": "F1, recall and precision pixel exact unless it says otherwise",
        "machine": machine_name(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "date": datetime.date.today().isoformat(),
        "version": __version__,
        "rows": [row_of(bundle, data, chosen.mosaics) for bundle in chosen.bundles],
    }
    text = json.dumps(found, indent=1)
    print(text)
    if chosen.out:
        chosen.out.write_text(text + "\n", encoding="utf-8")


def row_of(bundle: Path, data: Path, mosaics: int | None) -> dict[str, Any]:
    """Return all figures of a bundle."""
    with Pipeline.open(bundle) as pipeline:
        manifest = pipeline.manifest
        row = {
            "model": manifest.model.name,
            "precision": manifest.precision,
            "size_hw": manifest.input.size_hw,
            "engine": pipeline.engine,
            "mosaics": f1_of_mosaics(pipeline, data, mosaics),
            "wall": wall_figures(pipeline),
            "tiles_a_second": speeds(pipeline),
            "auto": {size: auto_figures(pipeline, data, hw) for size, hw in SIZES_HW.items()},
        }
    command = [sys.executable, __file__, str(bundle), "--memory-of"]
    row["peak_mib"] = {
        size: float(subprocess.check_output([*command, size], text=True))
        for size in ("none", "wall")
    }
    return row


def f1_of_mosaics(pipeline: Pipeline, data: Path, most: int | None) -> dict[str, Any]:
    """Return the F1 of single pictures and of mosaics of n x n, by scale, on the same pictures."""
    samples = open_dataset(f"deepcrack:{data / 'deepcrack'}", "test")
    shuffled = [samples[i] for i in np.random.default_rng(1).permutation(len(samples))]
    figures: dict[str, Any] = {}
    for side in (2, 3, 4):
        count = side**2
        groups = [
            tuple(shuffled[i : i + count]) for i in range(0, len(shuffled) - count + 1, count)
        ][:most]
        ones = (pair(sample) for group in groups for sample in group)
        figures[f"{side}x{side}"] = {
            "pictures": len(groups) * count,
            "single": f1(pipeline, "fit", ones),
            **{s: f1(pipeline, s, (mosaic(group, side) for group in groups)) for s in SCALES},
        }
    return figures


def pair(sample: Sample) -> Pair:
    """Return a picture and its cracks."""
    frame, truth = sample.read_pair()
    return frame, truth.crack


def mosaic(samples: tuple[Sample, ...], side: int) -> Pair:
    """Return side x side pictures as one, with its mask."""
    pairs = [pair(sample) for sample in samples]
    rows = [pairs[i : i + side] for i in range(0, side**2, side)]
    frame = np.vstack([np.hstack([frame for frame, _ in row]) for row in rows])
    return frame, np.vstack([np.hstack([mask for _, mask in row]) for row in rows])


def f1(pipeline: Pipeline, scale: ModelScale, pairs: Iterator[Pair]) -> float:
    """Return the pixel-exact F1 at a scale over all pixels."""
    pipeline.scale, both, either = scale, 0, 0
    for frame, truth in pairs:
        mask = pipeline(frame).mask
        both += 2 * int((mask & truth).sum())
        either += int(mask.sum()) + int(truth.sum())
    return round(both / either, 4)


def wall(height: int = 4000, width: int = 6000) -> Pair:
    """Return a drawn wall with eight cracks 5 px wide, as a camera sees it, and their mask."""
    random = np.random.default_rng(7)
    clouds = random.normal(0, 7, (height // 16, width // 16)).astype(np.float32)
    smooth = cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC)
    grey = np.asarray(smooth, np.float32) + 150
    grey += random.normal(0, 3, (height, width)).astype(np.float32)
    truth = np.zeros((height, width), np.bool_)
    for crack in range(8):
        x = np.arange(100, width - 100, 20)
        y = height * (crack + 0.5) / 8 + np.cumsum(random.normal(0, 6, len(x)))
        open_crack(grey, truth, np.stack([x, y], 1).astype(np.float64))
    seen = np.clip(cv2.GaussianBlur(grey, (0, 0), 0.8), 0, 255).astype(np.uint8)
    return cv2.merge([seen, seen, seen]).astype(np.uint8), truth


def open_crack(grey: Map, truth: Mask, points_xy: Points) -> None:
    """Draw a crack `CRACK_PX` wide into a wall and its mask, in place.

    Not by OpenCV: version 5 draws a line of thickness 5 with 7 px.
    """
    top = max(0, int(points_xy[:, 1].min() - CRACK_PX))
    rows = slice(top, max(top, int(points_xy[:, 1].max() + CRACK_PX)))
    covered = draw_crack(points_xy - (0, top), CRACK_PX, grey[rows].shape)
    grey[rows] += covered * (45 - grey[rows])
    truth[rows] |= truth_mask(covered)


def wall_figures(pipeline: Pipeline) -> dict[str, Any]:
    """Return what is found on the wall by each scale, and how long it takes to measure it."""
    frame, truth = wall()
    near = cv2.dilate(truth.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    figures: dict[str, Any] = {}
    for scale in SCALES:
        pipeline.scale = scale
        result = pipeline(frame)
        predicted = max(1, int(result.mask.sum()))
        figures[scale] = {
            "tiles": result.tiles,
            "recall": round(float((result.mask & truth).sum() / truth.sum()), 4),
            "precision": round(float((result.mask & truth).sum() / predicted), 4),
            "precision_within_1px": round(float((result.mask & near).sum() / predicted), 4),
            "width_px": round(CRACK_PX * float((result.mask & near).sum() / truth.sum()), 2),
        }
        begun_s = time.process_time()
        cracks = measure_cracks(result.mask, frame=frame)
        figures[scale] |= {
            "cracks": len(cracks),
            "measure_cpu_s": round(time.process_time() - begun_s, 2),
        }
    return figures


def speeds(pipeline: Pipeline, rounds: int = 5) -> dict[str, float]:
    """Return tiles a second of a 4K frame over frames a second of the engine, in turns."""
    pipeline.scale = "native"
    frame = wall(*SIZES_HW["4K"])[0]
    height, width = pipeline.manifest.input.frame_hw
    feed = {"frame": np.ascontiguousarray(frame[None, :height, :width])}
    tiles = pipeline(frame).tiles
    one_by_one, in_a_row, per_second = [], [], []
    for _ in range(rounds):
        begun_s = time.perf_counter()
        for _ in range(tiles):
            pipeline.backend.run(feed)
        one_s = time.perf_counter() - begun_s
        begun_s = time.perf_counter()
        for _ in run_all(pipeline.backend, itertools.repeat(feed, tiles)):
            pass
        row_s = time.perf_counter() - begun_s
        begun_s = time.perf_counter()
        pipeline(frame)
        frame_s = time.perf_counter() - begun_s
        one_by_one.append(one_s / frame_s)
        in_a_row.append(row_s / frame_s)
        per_second.append(tiles / frame_s)
    return {
        "tiles": tiles,
        "tiles_a_second": round(median(per_second), 1),
        "over_one_by_one": round(median(one_by_one), 3),
        "over_in_a_row": round(median(in_a_row), 3),
    }


def auto_figures(pipeline: Pipeline, data: Path, frame_hw: tuple[int, int]) -> dict[str, Any]:
    """Return what `auto` finds and saves beside `native`, over twelve scenes."""
    kept, found, ratios, tiles = np.zeros(2), np.zeros(2), [], []
    truth_px = np.zeros(2)
    for seed, cracks in itertools.product(
        range(SCENES), ("uav_wall_cc0", "concrete800_mit", "deepcrack")
    ):
        frame, truth = scene(data, cracks, frame_hw, seed)
        lines = thin(truth)
        narrow = cv2.distanceTransform(truth.astype(np.uint8), cv2.DIST_L2, 5) <= THIN_PX
        seconds, masks, looked = {}, {}, {}
        for scale in ("native", "auto"):
            pipeline.scale = "native" if scale == "native" else "auto"
            begun_s = time.perf_counter()
            result = pipeline(frame)
            seconds[scale] = time.perf_counter() - begun_s
            masks[scale], looked[scale] = result.mask, result.tiles
        for i, which in enumerate((lines, lines & narrow)):
            truth_px[i] += which.sum()
            found[i] += (masks["native"] & which).sum()
            kept[i] += (masks["auto"] & which).sum()
        ratios.append(seconds["native"] / seconds["auto"])
        tiles.append(looked["native"] / looked["auto"])
    return {
        "recall_native": [round(float(v), 3) for v in found / truth_px],
        "recall_auto": [round(float(v), 3) for v in kept / truth_px],
        "of": ["crack lines", "crack lines of at most 4 px"],
        "times_quicker": round(median(ratios), 2),
        "times_fewer_tiles": round(median(tiles), 2),
    }


def scene(data: Path, cracks: str, frame_hw: tuple[int, int], seed: int) -> Pair:
    """Return real concrete, mirrored over the whole frame, with real cracks put in."""
    random = np.random.default_rng(seed)
    walls = sorted((data / "field" / "neg_concrete_metu").rglob("*.jpg"))
    one = read_image(walls[int(random.integers(len(walls)))])
    unit = np.vstack([np.hstack([one, one[:, ::-1]]), np.hstack([one[::-1], one[::-1, ::-1]])])
    repeats = [-(-f // u) for f, u in zip(frame_hw, unit.shape[:2], strict=True)]
    frame = np.tile(unit, (*repeats, 1))[: frame_hw[0], : frame_hw[1]].astype(np.float32)
    truth, taken = np.zeros(frame_hw, bool), np.zeros(frame_hw, bool)
    known = f"deepcrack:{data / 'deepcrack'}" if cracks == "deepcrack" else None
    samples = open_dataset(known or f"folder:{data / 'field' / cracks}", "all")
    for at in random.permutation(len(samples)):
        picture, mask = pair(samples[int(at)])
        height, width = mask.shape
        top, left = (int(random.integers(f - p)) for f, p in zip(frame_hw, mask.shape, strict=True))
        here = slice(top, top + height), slice(left, left + width)
        if taken.mean() >= CRACKED_SHARE or mask.sum() < 200 or taken[here].any():
            continue
        inner = np.zeros(mask.shape, np.float32)
        inner[FEATHER_PX:-FEATHER_PX, FEATHER_PX:-FEATHER_PX] = 1
        share = np.asarray(cv2.blur(inner, (2 * FEATHER_PX - 1, 2 * FEATHER_PX - 1)))
        shift = frame[here].mean((0, 1)) - picture.mean((0, 1))  # no edge where it is put in
        frame[here] += share[..., None] * (picture + shift - frame[here])
        truth[here] |= mask & (share > 0.9)
        taken[here] = True
    return np.clip(frame, 0, 255).astype(np.uint8), truth


def peak_mib(bundle: Path, what: Path) -> float:
    """Return this process' peak memory, having looked at the wall or at one small frame."""
    frame = wall()[0] if str(what) == "wall" else wall(400, 600)[0]
    with Pipeline.open(bundle) as pipeline:
        pipeline(frame)
    # not getrusage: what the parent held when it started us counts there
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024, 1)


if __name__ == "__main__":
    main()
