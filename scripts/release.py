"""Ship a trained run: its weights under a name, with the card that says what they score.

    scnet-edge train small --data deepcrack:DIR --out runs/small
    python scripts/release.py runs/small scnet-small scnet_edge/weights --data deepcrack:DIR

The threshold is that of the run, the best of its held-out training images; the test split is looked
at once, for the card. Afterwards: `scnet-edge calibrate`, and the figures of README and benchmarks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
from rich.progress import track

from scnet_edge.data.datasets import open_dataset
from scnet_edge.evaluation import Evaluation, card_metrics, evaluate
from scnet_edge.evaluation.predict import predictions, reference_run
from scnet_edge.models.cards import Card, find_card, write_card
from scnet_edge.models.weights import measured, open_hed, open_scnet

DATA = "DeepCrack (Liu et al. 2019), training split, and pipe walls drawn by scnet_edge.simulation"
DATA_LICENCE = "DeepCrack is for non-commercial research and educational purposes"
LICENCE = "Apache-2.0; data: non-commercial research"


def scored(run: Card, data: str) -> Evaluation:
    """Return the scores of the PyTorch reference on the test split."""
    reference = reference_run(open_scnet(run), open_hed() if run.takes_prior else None)
    predicted = predictions(reference, track(open_dataset(data, "test"), "test"))
    return evaluate(
        predicted,
        threshold=run.threshold,
        subject=run.name,
        engine="PyTorch FP32",
        data=f"{data.partition(':')[0]} test",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--recipe", help="what the card says instead of the run's own recipe")
    options = parser.parse_args()
    run = find_card(options.run)
    weights = options.folder / f"{options.name}.safetensors"
    weights.write_bytes(run.path.read_bytes())
    evaluation = scored(run, options.data)
    card = msgspec.structs.replace(
        run,
        name=options.name,
        file=weights.name,
        data=DATA,
        data_licence=DATA_LICENCE,
        licence=LICENCE,
        recipe=options.recipe or run.recipe,
        metrics=card_metrics(evaluation),
    )
    write_card(weights.with_suffix(".json"), measured(card, weights))
    print(evaluation)


if __name__ == "__main__":
    main()
