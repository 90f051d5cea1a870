"""Fine-tune a shipped model under fake quantisation and measure what that recovers.

    SCNET_EDGE_DATA=... python -m benchmarks.finetune_int8 scnet-small --steps 300
    SCNET_EDGE_DATA=... python -m benchmarks.finetune_int8 scnet-small --clip 0.1   # tenths

The last resort, where no candidate with INT8 passes the gate. Trains on DeepCrack's training split
without what training holds out, with the model's calibrated ranges. Writes to runs/int8:

    NAME-qat/              a run with the weights, batch norms folded, for `build --model`
    NAME-qat.toml          their ranges, for `build --calibration`
    NAME-qat.json          F1 of FP32, of INT8 as calibrated and as fine-tuned, on the test split
"""

from __future__ import annotations

import argparse
import copy
import os
from pathlib import Path

import msgspec
import onnx
from rich.progress import Progress

from benchmarks.finetuned import refuse_repaired, write_run
from benchmarks.qat import finetune
from scnet_edge.bundle.recipe import Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.config import write_json
from scnet_edge.data.augment import Augmentation
from scnet_edge.data.datasets import open_dataset
from scnet_edge.models.cards import find_card, weights_of
from scnet_edge.models.scnet import SCNet
from scnet_edge.models.weights import open_prior
from scnet_edge.onnx_export.rewrite import fold_batch_norms
from scnet_edge.quantization.annotated_frames import gate_frames
from scnet_edge.quantization.graph_scores import score
from scnet_edge.quantization.lowering import fp32_graph
from scnet_edge.quantization.memory_engine import in_engine
from scnet_edge.quantization.qdq import quantise
from scnet_edge.quantization.ranges import find_ranges
from scnet_edge.training.edge_maps import KeptHED
from scnet_edge.training.images import load_images
from scnet_edge.training.material import split_held_out
from scnet_edge.training.schedule import Schedule

RUNS, HED_MAPS = Path("runs/int8"), Path("runs/hed-maps")


class Recovered(msgspec.Struct, kw_only=True):
    """F1 on the test images, at the threshold that ships."""

    model: str
    steps: int
    clip: float
    images: int
    f1_fp32: float
    f1_int8: float
    f1_finetuned: float


def main() -> None:
    """Fine-tune, score before and after, and write what `build` takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--clip", type=float, default=1.0, help="what the ranges are multiplied by")
    parser.add_argument("--images", type=int, default=237, help="test images to score")
    options = parser.parse_args()
    deepcrack = f"deepcrack:{Path(os.environ['SCNET_EDGE_DATA']) / 'deepcrack'}"
    card = find_card(options.name)
    chain = open_chain(card, Recipe(precision="int8", model=options.name))
    calibration = find_ranges(options.name, weights_of(card))
    refuse_repaired(calibration)
    ranges = {name: peak * options.clip for name, peak in calibration.ranges.items()}
    everything, _ = gate_frames([deepcrack], chain.frame_hw)
    frames = everything[:: max(1, len(everything) // options.images)][: options.images]

    def f1(graph: onnx.ModelProto) -> float:
        with in_engine(graph) as backend:
            return score(backend, frames, chain.frame_hw, card.threshold).f1

    exact = fp32_graph(chain)
    before = f1(exact), f1(quantise(exact, ranges))
    fit, _ = split_held_out(open_dataset(deepcrack, "train"))
    prior = open_prior(card)
    map_of = prior and KeptHED(prior, HED_MAPS).map_of
    images = load_images(fit, map_of)
    tuned = copy.deepcopy(chain)
    assert isinstance(tuned.scnet, SCNet)
    fold_batch_norms(tuned.scnet)
    schedule = Schedule(
        steps=options.steps, lr=options.lr, seed=2, augmentation=Augmentation(crop=192)
    )
    with Progress() as progress:
        task = progress.add_task("fine-tuning", total=options.steps)
        finetune(tuned.scnet, ranges, images, schedule, lambda *_: progress.update(task, advance=1))
    run = RUNS / f"{options.name}-qat"
    written, _ = write_run(run, tuned.scnet, card, calibration, ranges, options.steps)
    graph = quantise(
        fp32_graph(open_chain(written, Recipe(precision="int8", model=str(run)))), ranges
    )
    found = Recovered(
        model=options.name,
        steps=options.steps,
        clip=options.clip,
        images=len(frames),
        f1_fp32=before[0],
        f1_int8=before[1],
        f1_finetuned=f1(graph),
    )
    write_json(RUNS / f"{options.name}-qat.json", found)
    print(found)


if __name__ == "__main__":
    main()
