"""Turn a finished training of scripts/train.py into shipped weights and their card.

    SCNET_EDGE_DATA=... python scripts/release.py scnet-small scnet_edge/weights

The norm statistics are estimated anew on whole training images, the threshold is the best of the
held-out slice of the training images, and the test split is looked at once, for the card.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import os
from pathlib import Path

import msgspec
import torch
from rich.progress import track
from train import HED_MAPS, RECIPES, Recipe, averaged, drawn_pipes, estimate_norms, held_out

from scnet_edge.data.datasets import Sample, open_dataset
from scnet_edge.evaluation import Evaluation, card_metrics, evaluate
from scnet_edge.evaluation.predict import predictions, reference_run
from scnet_edge.models.cards import Card, CardConfig, write_card
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet
from scnet_edge.models.weights import load_into, load_state, measured, open_hed, save_weights
from scnet_edge.training.loop import load_images

STAGE = (
    "{start}, AdamW, peak rate {lr}, cosine, {steps} steps of {batch} crops of {crop} pixels with "
    "rotation, flips, scale and photometric changes, loss soft-IoU + 10 x focal of all maps, "
    "weights averaged with decay {ema}"
)


def scored(
    scnet: SCNet, hed: HED | None, samples: list[Sample], threshold: float, data: str
) -> Evaluation:
    """Return the scores of the PyTorch reference."""
    predicted = predictions(reference_run(scnet, hed), track(samples, data))
    return evaluate(predicted, threshold=threshold, subject="", engine="torch CPU", data=data)


def stages(recipe: Recipe) -> str:
    """Return a recipe in words, the run before it first."""
    schedule = recipe.schedule
    start = (
        "the encoder from the HED convolutions, the rest Xavier" if recipe.from_hed else "Xavier"
    )
    if recipe.after:
        start = f"then with {len(drawn_pipes())} drawn pipe walls" if recipe.pipes else "then"
    if schedule.freeze_norm:
        start += " with the norm statistics fixed to those of whole images"
    words = STAGE.format(
        start=start,
        lr=schedule.lr,
        steps=schedule.steps,
        batch=schedule.batch,
        crop=schedule.augmentation.crop,
        ema=schedule.ema_decay,
    )
    return f"{stages(RECIPES[recipe.after])}; {words}" if recipe.after else words


def card_of(name: str, evaluation: Evaluation) -> Card:
    """Return the card; hash, parameters and GMAC are filled in from the weight file."""
    recipe = RECIPES[name]
    schedule = recipe.schedule
    return Card(
        name=name,
        kind="scnet",
        file=f"{name}.safetensors",
        sha256="0" * 64,
        parameters=0,
        gmac=0.0,
        size_hw=(384, 544),
        config=msgspec.convert(dataclasses.asdict(recipe.config), CardConfig),
        threshold=evaluation.shipped.threshold,
        data="DeepCrack (Liu et al. 2019), training split"
        + (", and pipe walls drawn by scnet_edge.simulation" if recipe.pipes else ""),
        data_licence="DeepCrack is for non-commercial research and educational purposes",
        licence="Apache-2.0; data: non-commercial research",
        recipe=(
            "scripts/train.py on 270 of the 300 training images (every tenth held out for the "
            f"threshold), on a CPU: {stages(recipe)}; norm statistics those of whole images"
        ),
        steps=schedule.steps + (RECIPES[recipe.after].schedule.steps if recipe.after else 0),
        metrics=card_metrics(evaluation),
        created=datetime.date.today().isoformat(),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    deepcrack = f"deepcrack:{Path(os.environ['SCNET_EDGE_DATA']) / 'deepcrack'}"
    fit, held = held_out(open_dataset(deepcrack, "train"))
    scnet = averaged(options.name)
    hed = open_hed() if scnet.config.edges else None
    if not RECIPES[options.name].schedule.freeze_norm:
        maps = HED_MAPS if hed else None
        estimate_norms(scnet, load_images(fit, maps))
    path = options.folder / f"{options.name}.safetensors"
    options.folder.mkdir(parents=True, exist_ok=True)
    save_weights(scnet, path)
    load_into(scnet.eval(), load_state(path), str(path))  # scored as it ships, in FP16
    threshold = scored(scnet, hed, held, 0.5, "held-out training images").ods.threshold
    test = open_dataset(deepcrack, "test")
    evaluation = scored(scnet, hed, test, threshold, "deepcrack test")
    write_card(path.with_suffix(".json"), measured(card_of(options.name, evaluation), path))
    print(evaluation)


if __name__ == "__main__":
    main()
