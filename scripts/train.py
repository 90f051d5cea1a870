"""Train a shipped SCNet on DeepCrack, resumable at any step; the recipe of its card.

    SCNET_EDGE_DATA=... python scripts/train.py scnet-small --threads 2

Checkpoints go to runs/NAME/checkpoint.pt. Every tenth training image is held out for the threshold,
so that the test split never chooses anything.
"""

from __future__ import annotations

import argparse
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from scnet_edge.data.augment import Augmentation
from scnet_edge.data.datasets import Sample, open_dataset
from scnet_edge.data.preprocess import EDGE_THRESHOLD, scnet_input
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.simulation.clip import render_clip
from scnet_edge.training.loop import Schedule, TrainingImage, load_images, start_heads, train

HED_WEIGHTS = Path("weights/hed.safetensors")
HED_MAPS = Path("runs/hed-maps")
PIPE_SEED = 10_000


@dataclass(frozen=True)
class Recipe:
    """One shipped model."""

    config: SCNetConfig
    schedule: Schedule
    from_hed: bool = False  # start the encoder from the HED convolutions
    after: str = ""  # start from the averaged weights of this run
    pipes: bool = False  # a quarter of the images are drawn pipe walls


SMALL = SCNetConfig(norm="batch", width=0.25, edges=False)
RECIPES = {
    "scnet-start": Recipe(
        SCNetConfig(norm="batch"),
        Schedule(steps=1100, warmup=50, ema_decay=0.99, augmentation=Augmentation(crop=192)),
        from_hed=True,
    ),
    # Batch statistics of four crops are not those of a whole image: end on the ones that ship.
    "scnet": Recipe(
        SCNetConfig(norm="batch"),
        Schedule(
            steps=200,
            lr=3e-4,
            warmup=10,
            ema_decay=0.98,
            seed=1,
            freeze_norm=True,
            augmentation=Augmentation(crop=192, crack_bias=0.5),
        ),
        after="scnet-start",
    ),
    "scnet-small-deepcrack": Recipe(SMALL, Schedule(steps=4000, lr=2e-3)),
    # The first stage takes pipe joints, which DeepCrack does not show, for cracks.
    "scnet-small": Recipe(
        SMALL,
        Schedule(steps=700, lr=5e-4, warmup=50, ema_decay=0.99, seed=1),
        after="scnet-small-deepcrack",
        pipes=True,
    ),
    "scnet-small-4level": Recipe(
        SCNetConfig(norm="batch", width=0.25, edges=False, levels=4),
        Schedule(steps=600, lr=1e-3, warmup=50, ema_decay=0.99, seed=1),
        after="scnet-small-deepcrack",
        pipes=True,
    ),
}


def held_out(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Split training samples into those that train and every tenth, which chooses the threshold."""
    return [s for i, s in enumerate(samples) if i % 10], samples[::10]


def write_hed_maps(samples: list[Sample]) -> None:
    """Write the HED probability of every sample as an 8-bit PNG, once."""
    HED_MAPS.mkdir(parents=True, exist_ok=True)
    hed = HED().eval()
    hed.load_state_dict({k: v.float() for k, v in load_file(HED_WEIGHTS).items()})
    hed.to(memory_format=torch.channels_last)
    for sample in samples:
        path = HED_MAPS / f"{sample.name}.png"
        if not path.exists():
            frame = torch.from_numpy(
                sample.read_frame().transpose(2, 0, 1)[None].astype(np.float32)
            )
            with torch.inference_mode():
                edges = torch.sigmoid(hed(frame.contiguous(memory_format=torch.channels_last))[0])
            cv2.imwrite(str(path), (edges[0, 0].numpy() * 255).round().astype(np.uint8))


def initialise(model: SCNet, recipe: Recipe) -> None:
    """Draw Xavier weights, or take the HED convolutions for the encoder; start the heads low."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_normal_(module.weight)
    if recipe.from_hed:
        _encoder_from_hed(model)
    start_heads(model, recipe.schedule.head_bias)
    if recipe.after:
        model.load_state_dict(fitted(averaged(recipe.after).state_dict(), model.state_dict()))


def fitted(state: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights for a net of as many levels or fewer: the deepest are left out."""
    return {key: state[key][tuple(map(slice, value.shape))] for key, value in own.items()}


def averaged(name: str) -> SCNet:
    """Return the averaged model of a run that has ended."""
    model, steps = SCNet(RECIPES[name].config), RECIPES[name].schedule.steps
    state = torch.load(f"runs/{name}/checkpoint.pt", weights_only=True)
    if state["step"] != steps:
        raise SystemExit(f"runs/{name}: at step {state['step']} of {steps}; train it to its end")
    prefix = "module."
    model.load_state_dict(
        {k.removeprefix(prefix): v for k, v in state["average"].items() if k.startswith(prefix)}
    )
    return model


def estimate_norms(model: SCNet, images: list[TrainingImage]) -> None:
    """Set the norm statistics to those of every fifth training image, whole."""
    priors = [None if i.edges is None else i.edges > EDGE_THRESHOLD * 255 for i in images[::5]]
    whole = (
        torch.from_numpy(scnet_input(image.frame, prior))[None]
        for image, prior in zip(images[::5], priors, strict=True)
    )
    torch.optim.swa_utils.update_bn(whole, model)


def drawn_pipes(walls: int = 15, frames: int = 24) -> list[TrainingImage]:
    """Return every fourth frame of drawn clips; none is of the wall of the sample clip."""
    clips = (render_clip(frames, (384, 544), seed=PIPE_SEED + wall) for wall in range(walls))
    return [
        TrainingImage(frame, mask, None)
        for clip in clips
        for i, (frame, mask) in enumerate(clip)
        if i % 4 == 0
    ]


def _encoder_from_hed(model: SCNet) -> None:
    state = load_file(HED_WEIGHTS)
    for i, block in enumerate(model.encoder):
        for j, conv in enumerate(m for m in block.modules() if isinstance(m, nn.Conv2d)):
            weight = state[f"blocks.{i}.{2 * j}.weight"].float()
            if i == j == 0:  # BGR in [0, 255] there, RGB in [-1, 1] and the edge map here
                edges = torch.randn(weight.shape[0], 1, 3, 3) * 0.01
                weight = torch.cat([weight.flip(1) * 60, edges], 1)
            conv.weight.data.copy_(weight)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    recipe = RECIPES[options.name]
    samples, _ = held_out(
        open_dataset(f"deepcrack:{Path(os.environ['SCNET_EDGE_DATA']) / 'deepcrack'}", "train")
    )
    if recipe.config.edges:
        write_hed_maps(samples)
    torch.manual_seed(recipe.schedule.seed)
    model = SCNet(recipe.config)
    initialise(model, recipe)
    images = load_images(samples, HED_MAPS if recipe.config.edges else None)
    if recipe.pipes:
        images += drawn_pipes()
    if recipe.schedule.freeze_norm:
        estimate_norms(model, images)
    train(model, images, recipe.schedule, Path("runs") / options.name)


if __name__ == "__main__":
    main()
