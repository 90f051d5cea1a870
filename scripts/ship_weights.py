"""Ship a trained run: its weights under a name, its scores, and the card that says them.

    scnet-edge train small --data deepcrack:DIR --out runs/small
    export SCNET_EDGE_DATA=...
    python scripts/ship_weights.py runs/small scnet-small scnet_edge/weights --walls

Writes FOLDER/NAME.safetensors and .json, and benchmarks/results/accuracy/NAME-on-SET.json for the
test splits of DeepCrack, CrackForest and the masonry set, which are looked at once. The threshold
is that of the run, the best of its held-out training images. --bits rounds the weights before they
are scored, so that the repository, which keeps every version, compresses them. Afterwards:
scripts/recalibrate.py, and the figures of README and docs.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import msgspec
import torch
from rich.progress import track
from torch import nn

from scnet_edge.config import write_json
from scnet_edge.data.datasets import open_dataset
from scnet_edge.evaluation import Evaluation, card_metrics, evaluate
from scnet_edge.evaluation.predict import predictions, reference_run
from scnet_edge.models.cards import Card, find_card, read_card, write_card
from scnet_edge.models.weights import measured, open_hed, open_scnet, save_weights

SETS = ("deepcrack", "crackforest", "masonry")
SCORES = Path("benchmarks/results/accuracy")
DATA = "DeepCrack (Liu et al. 2019), training split"
WALLS = ", and pipe walls drawn by scnet_edge.simulation"
DATA_LICENCE = "DeepCrack is for non-commercial research and educational purposes"
LICENCE = "Apache-2.0; data: non-commercial research"


def round_weights(model: nn.Module, bits: int) -> None:
    """Keep the leading `bits` significant bits of every weight, in place; FP16 has 11."""
    with torch.no_grad():
        for weight in model.parameters():
            mantissa, exponent = torch.frexp(weight)
            weight.copy_(torch.ldexp(torch.round(mantissa * 2**bits) / 2**bits, exponent))


def scored(card: Card, name: str, data: str) -> Evaluation:
    """Return the scores of the PyTorch reference on the test split."""
    reference = reference_run(open_scnet(card), open_hed() if card.takes_prior else None)
    predicted = predictions(reference, track(open_dataset(data, "test"), data))
    return evaluate(
        predicted,
        threshold=card.threshold,
        subject=name,
        engine="PyTorch FP32",
        data=f"{data.partition(':')[0]} test",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--walls", action="store_true", help="the run saw drawn pipe walls, too")
    parser.add_argument("--recipe", help="what the card says instead of the run's own recipe")
    parser.add_argument("--bits", type=int, default=11, choices=range(6, 12))
    options = parser.parse_args()
    root, run = Path(os.environ["SCNET_EDGE_DATA"]), find_card(options.run)
    model, weights = open_scnet(run), options.folder / f"{options.name}.safetensors"
    round_weights(model, options.bits)
    save_weights(model, weights)
    rounded = f"; weights rounded to {options.bits} significant bits" * (options.bits < 11)
    card = msgspec.structs.replace(
        run,
        name=options.name,
        file=weights.name,
        data=DATA + WALLS * options.walls,
        data_licence=DATA_LICENCE,
        licence=LICENCE,
        recipe=(options.recipe or run.recipe) + rounded,
        metrics=None,
    )
    path = weights.with_suffix(".json")
    write_card(path, measured(card, weights))
    card = read_card(path)
    scores = {kind: scored(card, options.name, f"{kind}:{root / kind}") for kind in SETS}
    for kind, evaluation in scores.items():
        write_json(SCORES / f"{options.name}-on-{kind}.json", evaluation)
    write_card(path, msgspec.structs.replace(card, metrics=card_metrics(scores["deepcrack"])))


if __name__ == "__main__":
    main()
