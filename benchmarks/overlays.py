"""Forty pictures with what a model calls a crack: of ten surfaces two worst, a middle, the best.

    python -m benchmarks.overlays scnet-small-open --drawn docs/overlays.jpg
    python -m benchmarks.overlays scnet-small-open --corpus corpora/field.toml out/overlays.jpg

`--drawn` shows ten drawn surfaces, which may be published. A corpus shows its test images, most
of which may not be copied. Green outlines are right, red is a false alarm, blue is missed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from scnet_edge.data.blend import MadeSample
from scnet_edge.data.corpus import read_corpus
from scnet_edge.data.filming import plain_frame
from scnet_edge.data.samples import Sample
from scnet_edge.evaluation.domains import hold_back
from scnet_edge.evaluation.metrics import disc
from scnet_edge.evaluation.predict import predictions, reference_run
from scnet_edge.models.cards import find_card
from scnet_edge.models.decision import Decision
from scnet_edge.models.weights import open_scnet
from scnet_edge.simulation.clip import render_clip
from scnet_edge.simulation.optics import MODES
from scnet_edge.simulation.pipe_views import draw_pipe_view
from scnet_edge.simulation.render import render_frames
from scnet_edge.simulation.scene import ScenePlan, make_scene
from scnet_edge.simulation.wall_views import draw_wall_view
from scnet_edge.simulation.walls import MATERIALS
from scnet_edge.types import Frame, Mask

SEED = 61_000  # of drawings that trained and scored nothing else
EACH = 16  # drawn pictures of a surface, of which four are shown
NEAR_PX = 2  # how far beside a crack a mask is still right
TILE_WH = (320, 226)
RIGHT, WRONG, MISSED = (60, 230, 60), (40, 40, 255), (255, 160, 40)  # BGR


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture as a model sees it.

    Attributes:
        name: Of the picture.
        frame: (H, W, 3) uint8, BGR.
        truth: (H, W) bool, True on cracks.
        mask: (H, W) bool, what the model calls crack.
        mistakes: Share of the pixels of both that are wrong or missed; and how many are.
    """

    name: str
    frame: Frame
    truth: Mask
    mask: Mask
    mistakes: tuple[float, int]


def main() -> None:
    """Write the sheet, and a line for each picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--drawn", action="store_true")
    parser.add_argument("out", type=Path)
    wanted = parser.parse_args()
    if wanted.drawn == bool(wanted.corpus):
        parser.error("expected either --drawn or --corpus FILE")
    domains = draw_surfaces() if wanted.drawn else hold_back(read_corpus(wanted.corpus))
    card = find_card(wanted.model)
    run = reference_run(open_scnet(card), None)
    rows = []
    for domain, samples in domains.items():
        if any(sample.role == "image-level" for sample in samples):
            continue  # nobody marked where the crack is
        seen = [look(s, card.decision, p) for s, p in predictions(run, samples)]
        chosen = choose(seen)
        rows.append(draw_row(domain, chosen))
        for each in chosen:
            share, bad = each.mistakes
            print(f"{domain}: {each.name}: {share:.0%} wrong or missed, {bad} px", flush=True)
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(wanted.out), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 80])


def draw_surfaces() -> dict[str, Sequence[Sample]]:
    """Return ten drawn surfaces; the views are made of the mortar wall."""
    rng = np.random.default_rng(SEED)
    mortar = [pair for wall in range(EACH) for pair in render_clip(1, (384, 544), seed=SEED + wall)]
    drawn: dict[str, Iterable[tuple[Frame, Mask]]] = {"mortar": mortar}
    for material in MATERIALS:
        for mode in MODES:
            plan = ScenePlan(
                seed=SEED,
                mode=mode,
                material=material,
                metres=4.0,
                cracks=8,
                speed_mps=0.25,
                fps=1.0,
            )
            frames = [(f, m) for _, f, m in render_frames(make_scene(plan))]
            drawn[f"{material}, {mode}"] = frames[:EACH]
    views = [draw_pipe_view(frame, mask, rng) for frame, mask in mortar]
    drawn["pipe with joints and laterals"] = [(v.frame, v.mask) for v in views]
    flat = [draw_wall_view(frame, mask, rng) for frame, mask in mortar]
    drawn["wall with joints"] = [(v.frame, v.mask) for v in flat]
    plain = [plain_frame((384, 544), rng) for _ in range(EACH)]
    drawn["plain frames"] = [(frame, np.zeros((384, 544), np.bool_)) for frame in plain]
    return {
        name: [
            MadeSample(Path(f"{i}"), Path(f"{i}"), "crack" if m.any() else "negative", f, m)
            for i, (f, m) in enumerate(pairs)
        ]
        for name, pairs in drawn.items()
    }


def look(sample: Sample, decision: Decision, probability: np.ndarray) -> Seen:
    """Return a picture with what a decision calls a crack in it."""
    truth, ignored = sample.read_truth()
    mask = decision.mask_of(probability)
    if ignored is not None:
        mask &= ~ignored
    wrong, missed = _beside(mask, truth), _beside(truth, mask)
    bad = int(wrong.sum() + missed.sum())
    share = bad / max(1, int(truth.sum() + mask.sum()))
    return Seen(sample.name, sample.read_frame(), truth, mask, (share, bad))


def choose(seen: Sequence[Seen]) -> list[Seen]:
    """Return the two worst, a middle one and the best."""
    by_mistakes = sorted(seen, key=lambda each: each.mistakes, reverse=True)
    return [*by_mistakes[:2], by_mistakes[len(by_mistakes) // 2], by_mistakes[-1]]


def draw_row(domain: str, chosen: Sequence[Seen]) -> Frame:
    """Return the pictures of a domain side by side, under its name."""
    tiles = [cv2.resize(draw(each), TILE_WH, interpolation=cv2.INTER_AREA) for each in chosen]
    row = np.hstack(tiles)
    bar = np.full((24, row.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, domain, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([bar, row])


def draw(seen: Seen) -> Frame:
    """Return a picture with outlines of what is right, and what is wrong and missed filled."""
    out = seen.frame.copy()
    wrong, missed = _beside(seen.mask, seen.truth), _beside(seen.truth, seen.mask)
    right = (seen.mask & ~wrong).astype(np.uint8)
    out[wrong], out[missed] = WRONG, MISSED
    lines, _ = cv2.findContours(right, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(out, lines, -1, RIGHT, 1)
    return out


def _beside(mask: Mask, of: Mask) -> Mask:
    """Return what of a mask is not within `NEAR_PX` of another."""
    return mask & ~(cv2.dilate(of.astype(np.uint8), disc(NEAR_PX)) > 0)


if __name__ == "__main__":
    main()
