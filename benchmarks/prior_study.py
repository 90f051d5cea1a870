"""What the HED prior is worth: a small net trained with the full one, a light one, and none.

OUT/plan.json             what is compared; a resumed study must be the same
OUT/light-hed.safetensors the light HED
OUT/edges/WHICH/          edge maps of the training and the test images
OUT/runs/WHICH-SEED/      checkpoint while it trains; counts.npz and held-out threshold afterwards
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import torch

from benchmarks.light_hed import Distillation, distil_hed, new_light_hed
from scnet_edge.config import read_json, write_json
from scnet_edge.data.datasets import open_dataset
from scnet_edge.data.samples import Sample
from scnet_edge.errors import ConfigError
from scnet_edge.evaluation.metrics import Counts, add_up, count, ods
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet
from scnet_edge.models.sizes import check_size
from scnet_edge.models.weights import load_into, load_state, open_hed, save_weights
from scnet_edge.training.edge_maps import KeptHED, MapOf
from scnet_edge.training.hardware import CPU, Hardware
from scnet_edge.training.images import TrainingImage, load_images
from scnet_edge.training.loop import Material, train
from scnet_edge.training.material import split_held_out
from scnet_edge.training.presets import PRESETS, Preset, new_model

Prior = Literal["full", "light", "none"]
PRIORS: tuple[Prior, ...] = ("full", "light", "none")
Begin = Callable[[str, int], Callable[[int, float], None]]
Splits = dict[str, list[Sample]]  # fit, held and test
Maps = dict[Prior, MapOf | None]


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is compared.

    Attributes:
        data: NAME:DIR.
        preset: Of the edge family; its net gets a fourth input channel where there is a prior.
        steps: Of each run.
        batch: Crops a step.
        crop: Their side in pixels, square.
        seeds: One run each of every prior.
        light_width: Of the light HED.
        distil_steps: Of the light HED.
    """

    data: str
    preset: str = "tiny"
    steps: int = 400
    batch: int = 4
    crop: int = 192
    seeds: tuple[int, ...] = (0, 1, 2)
    light_width: float = 0.25
    distil_steps: int = 2000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One trained run: counts of each test image and the threshold that held-out images chose."""

    prior: Prior
    seed: int
    threshold: float
    counts: list[Counts]


def claim(out: Path, plan: Plan) -> None:
    """Begin a study in a folder, or go on with the one that is there.

    Raises:
        ConfigError: the folder holds another study.
    """
    known = out / "plan.json"
    if known.is_file() and (before := read_json(known, Plan)) != plan:
        raise ConfigError(f"{out}: holds the study of {before}; give the same, or another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_json(known, plan)


def splits_of(data: str) -> Splits:
    """Return the images that train, those held out for the threshold, and the test images."""
    fit, held = split_held_out(open_dataset(data, "train"))
    return {"fit": fit, "held": held, "test": open_dataset(data, "test")}


def priors_of(plan: Plan, out: Path, splits: Splits, begin: Begin, on: Hardware = CPU) -> Maps:
    """Return the full HED and, taught by it, the light one, as what gives a frame its edge map."""
    full = KeptHED(open_hed().to(on.device), out / "edges/full").map_of
    light = light_hed(plan, out, splits["fit"], full, begin, on)
    return {"full": full, "light": KeptHED(light, out / "edges/light").map_of, "none": None}


def light_hed(
    plan: Plan, out: Path, fit: Sequence[Sample], full: MapOf, begin: Begin, on: Hardware = CPU
) -> HED:
    """Return the light HED of a study, taught on the training images unless it is there."""
    path, hed = out / "light-hed.safetensors", new_light_hed(plan.light_width, seed=0).to(on.device)
    if not path.is_file():
        images = load_images(fit, full)
        how = Distillation(steps=plan.distil_steps)
        distil_hed(hed, images, how, begin("light HED", how.steps))
        save_weights(hed.cpu(), path)
    load_into(hed, load_state(path), str(path))
    return hed.to(on.device).eval()


def preset_of(plan: Plan, prior: Prior, seed: int) -> Preset:
    """Return what a run trains: the preset with or without a prior, and no drawn walls.

    Warm-up and the averaging of weights are as short as a run of some hundred steps asks for.
    """
    base = PRESETS[plan.preset]
    assert base.config is not None
    schedule = dataclasses.replace(
        base.schedule,
        steps=plan.steps,
        batch=plan.batch,
        warmup=plan.steps // 8,
        ema_decay=0.98,
        validate_every=plan.steps,
        pipe_share=0.0,
        seed=seed,
        augmentation=dataclasses.replace(base.schedule.augmentation, crop=plan.crop),
    )
    config = dataclasses.replace(base.config, edges=prior != "none")
    return dataclasses.replace(base, config=config, schedule=schedule)


def first_net(plan: Plan, prior: Prior, seed: int) -> SCNet:
    """Return the untrained net; one without prior has the same weights but for the missing ones."""
    drawn = new_model(preset_of(plan, "full", seed))
    if prior == "none":
        state = drawn.state_dict()
        state["encoder.0.0.weight"] = state["encoder.0.0.weight"][:, :3]
        drawn = new_model(preset_of(plan, prior, seed))
        drawn.load_state_dict(state)
    assert isinstance(drawn, SCNet)
    return drawn


def score_run(
    plan: Plan,
    prior: Prior,
    seed: int,
    out: Path,
    splits: Splits,
    maps: Maps,
    begin: Begin,
    on: Hardware = CPU,
) -> Scored:
    """Return a run's counts, trained and scored unless that was done; resumed where it was cut."""
    name = f"{prior}-{seed}"
    run, done = out / "runs" / name, out / "runs" / name / "counts.npz"
    if not done.is_file():
        images = {split: load_images(samples, maps[prior]) for split, samples in splits.items()}
        schedule, material = preset_of(plan, prior, seed).schedule, Material(images=images["fit"])
        net = train(first_net(plan, prior, seed), material, schedule, run,
                    on=on, progress=begin(name, plan.steps))  # fmt: skip
        assert isinstance(net, SCNet)
        held = ods(add_up(counts_of(net, images["held"])))
        _write_counts(done, held.threshold, counts_of(net, images["test"]))
    threshold, counts = _read_counts(done)
    return Scored(prior=prior, seed=seed, threshold=threshold, counts=counts)


def counts_of(net: SCNet, images: Sequence[TrainingImage]) -> list[Counts]:
    """Return the counts of whole images at zero tolerance.

    Raises:
        ModelError: the sides of an image are no multiples of the net's stride.
    """
    device, counts = next(net.parameters()).device, []
    for image in images:
        check_size((image.mask.shape[0], image.mask.shape[1]), net.config.stride)
        with torch.inference_mode():
            probability = torch.sigmoid(net(image.input().to(device))[0])[0, 0].cpu().numpy()
        counts.append(count(probability, image.mask))
    return counts


def _write_counts(path: Path, threshold: float, counts: Sequence[Counts]) -> None:
    """Write what `_read_counts` reads; at zero tolerance `found` is `right`."""
    part = path.with_suffix(".part.npz")
    np.savez_compressed(
        part,
        threshold=threshold,
        predicted=[c.predicted for c in counts],
        right=[c.right for c in counts],
        truth=[c.truth for c in counts],
    )
    part.replace(path)


def _read_counts(path: Path) -> tuple[float, list[Counts]]:
    with np.load(path) as file:
        rows = zip(file["predicted"], file["right"], file["truth"], strict=True)
        counts = [Counts(predicted=p, right=r, found=r, truth=int(t)) for p, r, t in rows]
        return float(file["threshold"]), counts
