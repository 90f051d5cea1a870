"""What a light HED in front of a net is worth: with it, without it, and a wider net without it.

OUT/plan.json           what is compared; a resumed study must be the same
OUT/ARM-SEED/           checkpoint while it trains; scores.npz afterwards
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.config import read_json, write_json
from scnet_edge.data.corpus import Corpus
from scnet_edge.data.samples import Sample
from scnet_edge.errors import ConfigError
from scnet_edge.evaluation.alarms import count_areas
from scnet_edge.evaluation.metrics import count
from scnet_edge.evaluation.objects import Found, count_objects
from scnet_edge.evaluation.operating import choose_points
from scnet_edge.evaluation.predict import predictions, reference_run
from scnet_edge.models.decision import Decision
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.training.corpora import Held
from scnet_edge.training.images import TrainingImage
from scnet_edge.training.loop import Material, train
from scnet_edge.training.presets import PRESETS, Preset, edge_config, new_model
from scnet_edge.types import Map

Arm = Literal["light", "none", "small"]
# `none` takes as long a frame as `light`, HED included, in INT8; `small` is the net of `light`.
CONFIGS: Mapping[Arm, SCNetConfig] = {
    "light": edge_config(0.25, norm="instance", edges=True),
    "none": edge_config(0.34375, norm="instance"),
    "small": edge_config(0.25, norm="instance"),
}
ARMS: tuple[Arm, ...] = ("light", "none", "small")
Begin = Callable[[str], Callable[[int, float], None]]
Loaded = tuple[Sequence[TrainingImage], Held]
Ints = npt.NDArray[np.int64]


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is compared.

    Attributes:
        corpus: Name of the corpus that trains.
        steps: Of each run, from random weights.
        batch: Crops a step.
        crop: Their side in pixels, square.
        seeds: One run each of every arm.
        most: Images of a domain that score, evenly chosen, at most.
    """

    corpus: str
    steps: int = 400
    batch: int = 4
    crop: int = 192
    seeds: tuple[int, ...] = (0, 1, 2)
    most: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a run says of the images of one domain.

    Attributes:
        predicted, right: (n, 101) of each image with a mask, as `Counts`, of pixels alone.
        truth: (n,) its crack pixels.
        cracks, found: (n,) its cracks, and those found by the decision that held-out images chose.
        alarmed: (m,) 1 for each frame without a crack that is alarmed by it, or 0.
    """

    predicted: Ints
    right: Ints
    truth: Ints
    cracks: Ints
    found: Ints
    alarmed: Ints


FIELDS = ("predicted", "right", "truth", "cracks", "found", "alarmed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One trained run: the decision that held-out images chose, and the scores of each domain."""

    arm: Arm
    seed: int
    decision: Decision
    domains: Mapping[str, Scores]


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


def preset_of(plan: Plan, corpus: Corpus, arm: Arm, seed: int) -> Preset:
    """Return what a run trains: the preset of the shipped net, short, with the net of the arm."""
    base = PRESETS["small-hed"]
    how = replace(base.schedule.augmentation, crop=plan.crop)
    schedule = replace(
        base.schedule,
        steps=plan.steps,
        batch=plan.batch,
        validate_every=plan.steps,
        seed=seed,
        augmentation=replace(how, scale=corpus.scale) if corpus.scale else how,
    )
    return replace(base, config=CONFIGS[arm], schedule=schedule)


def spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Return at most so many samples, evenly chosen."""
    places = np.linspace(0, len(samples) - 1, min(most, len(samples)))
    return [samples[round(place)] for place in places]


def run_arm(
    plan: Plan,
    corpus: Corpus,
    arm: Arm,
    seed: int,
    out: Path,
    *,
    hed: HED,
    load: Callable[[], Loaded],
    tests: Mapping[str, Sequence[Sample]],
    begin: Begin = lambda name: lambda step, loss: None,
) -> Scored:
    """Return a run's scores, trained and scored unless that was done; resumed where it was cut.

    Args:
        plan: How long.
        corpus: What trains.
        arm: Which net.
        seed: Of weights and crops.
        out: The folder of the study.
        hed: The light HED, in eval mode.
        load: Gives the images that train, and those held out by domain.
        tests: The images that score, by domain.
        begin: Given the name of a run, returns what is told its steps.
    """
    name = f"{arm}-{seed}"
    done = out / name / "scores.npz"
    if not done.is_file():
        images, held = load()
        preset = preset_of(plan, corpus, arm, seed)
        prior = hed if preset.takes_prior else None
        material = Material(images=images, hed=prior)
        progress = begin(name)
        net = train(new_model(preset), material, preset.schedule, out / name, progress=progress)
        assert isinstance(net, SCNet)
        run = reference_run(net, prior)
        chosen = choose_points(
            {domain: list(predictions(run, samples)) for domain, samples in held.items()}
        )["balanced"]
        found = {
            domain: score(predictions(run, spread(samples, plan.most)), chosen)
            for domain, samples in tests.items()
        }
        write_scores(done, chosen, found)
    decision, domains = read_scores(done)
    return Scored(arm=arm, seed=seed, decision=decision, domains=domains)


def score(predicted: Iterable[tuple[Sample, Map]], decision: Decision) -> Scores:
    """Return what predictions on the images of one domain give.

    Of images known to show a crack somewhere nothing is counted: they have no mask.
    """
    counts, cracks, alarmed = [], [], []
    for sample, probability in predicted:
        if sample.role == "image-level":
            continue
        mask = decision.mask_of(probability)
        truth, ignored = sample.read_truth()
        if ignored is not None:
            mask, probability = mask & ~ignored, probability * ~ignored
        if not truth.any():
            alarmed.append(count_areas(mask) > 0)
        if sample.role != "negative":
            counts.append(count(probability, truth, ignored=ignored))
            cracks.append(count_objects(mask, truth) if truth.any() else Found())
    return Scores(
        predicted=np.array([c.predicted for c in counts], np.int64).reshape(-1, 101),
        right=np.array([c.right for c in counts], np.int64).reshape(-1, 101),
        truth=np.array([c.truth for c in counts], np.int64),
        cracks=np.array([c.cracks for c in cracks], np.int64),
        found=np.array([c.found for c in cracks], np.int64),
        alarmed=np.array(alarmed, np.int64),
    )


def write_scores(path: Path, decision: Decision, domains: Mapping[str, Scores]) -> None:
    """Write what `read_scores` reads."""
    part = path.with_suffix(".part.npz")
    arrays = {f"{domain}/{f}": getattr(of, f) for domain, of in domains.items() for f in FIELDS}
    np.savez_compressed(part, **arrays, decision=[decision.threshold, decision.seed])
    part.replace(path)


def read_scores(path: Path) -> tuple[Decision, dict[str, Scores]]:
    """Return the decision of a run and its scores by domain."""
    with np.load(path) as file:
        threshold, seed = map(float, file["decision"])
        domains = dict.fromkeys(key.partition("/")[0] for key in file.files if "/" in key)
        found = {d: Scores(**{f: file[f"{d}/{f}"] for f in FIELDS}) for d in domains}
    return Decision(threshold=threshold, seed=seed), found
