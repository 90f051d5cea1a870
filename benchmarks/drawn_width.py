"""How much wider than it is a net draws a crack, why, and what a narrower mask costs.

SCNET_EDGE_DATA=DIR python -m benchmarks.drawn_width BUNDLE [--images 40] [--out FILE.json]

On a drawn wall with cracks 5 px wide and on test pictures of real sets, it gives precision, recall
and F1, pixel exact and without the seed of the decision, of

- the threshold that the bundle ships with, and higher ones;
- the shipped threshold where the probability is also at least a share of the highest within 2 px:
  faint cracks stay, and sure ones lose their rim.

Of every set it says how dark the pixels to both sides of the label's border are: 1 as the middle of
the crack, 0 as the wall. A border at the half-way grey has about 0.73 within and 0.27 outside.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.whole_pictures import CRACK_PX, pair, wall
from scnet_edge import Pipeline, __version__
from scnet_edge.data.corpus import read_corpus
from scnet_edge.machine.description import machine_name
from scnet_edge.types import Frame, Map, Mask

Seen: TypeAlias = tuple[Frame, Mask, Map]  # the picture, its cracks, what the net makes of it
FIELD = Path(__file__).parents[1] / "corpora/field.toml"
SETS = ("deepcrack", "masonry", "uav-wall", "concrete800")
THRESHOLDS = (0.5, 0.6, 0.7, 0.8)
SHARES = (0.6, 0.7, 0.8)
NEAR_PX = 2
WALL_HW = (1500, 2200)
LEAST_CONTRAST, LEAST_PX = 20, 50  # of a picture, to say how dark its borders are


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--images", type=int, default=40, help="of each set, at most")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    with Pipeline.open(chosen.bundle) as pipeline:
        manifest = pipeline.manifest
        frame, truth = wall(*WALL_HW)
        found: dict[str, Any] = {
            "what": "precision, recall and F1, pixel exact, without the seed of the decision",
            "machine": machine_name(),
            "date": datetime.date.today().isoformat(),
            "version": __version__,
            "model": manifest.model.name,
            "sha256": manifest.model.sha256,
            "precision": manifest.precision,
            "threshold": manifest.threshold,
            "wall": row_of([(frame, truth, map_of(pipeline, frame))], manifest.threshold),
            "sets": {
                name: row_of(seen, manifest.threshold)
                for name, seen in look_at_sets(pipeline, chosen.images).items()
            },
        }
    found["wall"]["width_px"] = round(CRACK_PX * found["wall"]["rules"][0]["over_truth"], 2)
    text = json.dumps(found, indent=1)
    print(text)
    if chosen.out:
        chosen.out.write_text(text + "\n", encoding="utf-8")


def look_at_sets(pipeline: Pipeline, most: int) -> dict[str, list[Seen]]:
    """Return the test pictures of each set, evenly chosen, with their maps."""
    sets = {each.name: each for each in read_corpus(FIELD).sets}
    seen: dict[str, list[Seen]] = {}
    for name in SETS:
        samples = sets[name].samples("test")
        places = np.linspace(0, len(samples) - 1, min(most, len(samples))).round().astype(int)
        pairs = [pair(samples[at]) for at in places.tolist()]
        seen[name] = [(frame, truth, map_of(pipeline, frame)) for frame, truth in pairs]
    return seen


def map_of(pipeline: Pipeline, frame: Frame) -> Map:
    """Return the probability of a picture at its own scale, (h, w) float32."""
    return pipeline(frame).probability


def row_of(seen: list[Seen], threshold: float) -> dict[str, Any]:
    """Return the scores of every rule, and how dark the labels' borders are."""
    rules = [("threshold", threshold, 0.0)]
    rules += [("threshold", level, 0.0) for level in THRESHOLDS if level > threshold]
    rules += [("share of the highest near", threshold, share) for share in SHARES]
    scored = []
    for kind, level, share in rules:
        masks = [sharpen(p, level, share) for _, _, p in seen]
        scored.append({"rule": kind, "threshold": level, "share": share} | scores(masks, seen))
    within, outside = border_of(seen)
    return {"pictures": len(seen), "rules": scored, "within": within, "outside": outside}


def sharpen(probability: Map, threshold: float, share: float) -> Mask:
    """Return where a map reaches the threshold and a share of the highest within `NEAR_PX`."""
    near = np.ones((2 * NEAR_PX + 1, 2 * NEAR_PX + 1), np.uint8)
    highest = cv2.dilate(probability, near)
    return np.asarray(probability >= np.maximum(np.float32(threshold), share * highest), np.bool_)


def scores(masks: list[Mask], seen: list[Seen]) -> dict[str, float]:
    """Return the pixel-exact scores over all pictures, and predicted over true pixels."""
    both = sum(int((mask & truth).sum()) for mask, (_, truth, _) in zip(masks, seen, strict=True))
    predicted = sum(int(mask.sum()) for mask in masks)
    true = sum(int(truth.sum()) for _, truth, _ in seen)
    return {
        "f1": round(2 * both / (predicted + true), 4),
        "precision": round(both / predicted, 4),
        "recall": round(both / true, 4),
        "over_truth": round(predicted / true, 4),
    }


def border_of(seen: list[Seen]) -> tuple[float, float]:
    """Return how dark the last pixels within the labels and the first outside are, on average."""
    dark: list[list[npt.NDArray[np.floating]]] = [[], []]
    for frame, truth, _ in seen:
        grey = frame.mean(axis=2)
        inward = cv2.distanceTransform(truth.astype(np.uint8), cv2.DIST_L2, 5)
        outward = cv2.distanceTransform((~truth).astype(np.uint8), cv2.DIST_L2, 5)
        middle, around = inward >= 1.9, (outward > 6) & (outward < 14)
        if min(middle.sum(), around.sum()) < LEAST_PX:
            continue
        crack, ground = float(np.median(grey[middle])), float(np.median(grey[around]))
        if ground - crack < LEAST_CONTRAST:
            continue
        for side, distance in zip(dark, (inward, outward), strict=True):
            side.append((ground - grey[(distance > 0) & (distance < 1.3)]) / (ground - crack))
    within, outside = (float(np.concatenate(side).mean()) for side in dark)
    return round(within, 3), round(outside, 3)


if __name__ == "__main__":
    main()
