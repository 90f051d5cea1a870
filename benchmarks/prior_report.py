"""The figures of a study of the prior, with their uncertainty and what each prior costs."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import msgspec
import numpy as np

from benchmarks.paper_ablation import name_of
from benchmarks.prior_study import PRIORS, Maps, Plan, Prior, Scored, Splits, first_net
from scnet_edge import __version__
from scnet_edge.data.samples import Sample
from scnet_edge.evaluation.bootstrap import interval, paired_interval
from scnet_edge.evaluation.metrics import Counts, add_up, ods, score_at
from scnet_edge.machine.description import machine_name
from scnet_edge.models.hed import HED
from scnet_edge.models.weights import count_macs, count_parameters
from scnet_edge.training.edge_maps import MapOf
from scnet_edge.training.images import binary, load_images

SIZE_HW = (384, 544)
COMPARED: tuple[tuple[Prior, Prior], ...] = (("full", "none"), ("light", "none"), ("full", "light"))


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run on the test images, zero tolerance.

    Attributes:
        ods: Best F1 of one threshold for all images.
        ci95: Its interval over images.
        ods_threshold: Where it is.
        threshold: The one that held-out training images chose.
        f1: At that one.
    """

    prior: Prior
    seed: int
    ods: float
    ci95: tuple[float, float]
    ods_threshold: float
    threshold: float
    f1: float


class Difference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far the ODS F1 with one prior lies above that with another, mean over the seeds.

    Attributes:
        ci95: Interval over images, the same draws for all runs; it does not speak of other seeds.
        by_seed: Of each pair of runs from the same first weights on the same crops.
    """

    prior: Prior
    against: Prior
    ods: float
    ci95: tuple[float, float]
    by_seed: list[float]


class Cost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a network costs for one frame of 384x544: trained numbers and billions of products."""

    name: str
    parameters: int
    gmac: float


class Agreement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the binary edges of the light HED agree with the full one's, on images it never saw.

    Attributes:
        same: Share of all pixels that both call the same.
        f1: Of the light one's edge pixels against the full one's.
        full_share: Edge pixels of the full one among all.
        light_share: Those of the light one.
    """

    images: int
    same: float
    f1: float
    full_share: float
    light_share: float


class PriorStudy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole study; `plan` says how long each run trained."""

    command: str
    machine: str
    version: str
    date: str
    plan: Plan
    trained_images: int
    test_images: int
    light: Agreement
    costs: list[Cost]
    runs: list[Run]
    differences: list[Difference]


def report(plan: Plan, splits: Splits, maps: Maps, runs: Sequence[Scored]) -> PriorStudy:
    """Return the figures of runs that are all there; folders of this machine are left out."""
    public = msgspec.structs.replace(plan, data=name_of(plan.data))
    return PriorStudy(
        command=command_of(public),
        machine=machine_name(),
        version=__version__,
        date=datetime.date.today().isoformat(),
        plan=public,
        trained_images=len(splits["fit"]),
        test_images=len(splits["test"]),
        light=agreement(splits["held"], maps["full"], maps["light"]),
        costs=costs(plan),
        runs=[_run(scored) for scored in runs],
        differences=[difference(runs, ours, theirs) for ours, theirs in COMPARED],
    )


def command_of(plan: Plan) -> str:
    """Return what makes this study again."""
    return (
        f"python benchmarks/prior.py --data {plan.data}:DIR --out RUNS --json FILE "
        f"--steps {plan.steps} --batch {plan.batch} --crop {plan.crop} "
        f"--seeds {' '.join(map(str, plan.seeds))} "
        f"--light-width {plan.light_width} --distil-steps {plan.distil_steps}"
    )


def best_f1(counts: Counts) -> float:
    """Return the ODS F1."""
    return float(counts.f1.max())


def difference(runs: Sequence[Scored], prior: Prior, against: Prior) -> Difference:
    """Return how far the runs of one prior lie above those of another, seed by seed."""
    ours, theirs = ([r for r in runs if r.prior == which] for which in (prior, against))
    assert [r.seed for r in ours] == [r.seed for r in theirs]
    by_seed = [
        best_f1(add_up(a.counts)) - best_f1(add_up(b.counts))
        for a, b in zip(ours, theirs, strict=True)
    ]
    return Difference(
        prior=prior,
        against=against,
        ods=round(float(np.mean(by_seed)), 4),
        ci95=_round(paired_interval([r.counts for r in ours], [r.counts for r in theirs], best_f1)),
        by_seed=[round(value, 4) for value in by_seed],
    )


def agreement(samples: Sequence[Sample], full: MapOf | None, light: MapOf | None) -> Agreement:
    """Return how the binary edges of two priors agree."""
    theirs, ours = (
        np.stack([binary(image.edges) for image in load_images(samples, map_of)])  # type: ignore[misc]
        for map_of in (full, light)
    )  # (N, H, W) bool
    return Agreement(
        images=len(samples),
        same=round(float((ours == theirs).mean()), 4),
        f1=round(float(2 * (ours & theirs).sum() / max(1, ours.sum() + theirs.sum())), 4),
        full_share=round(float(theirs.mean()), 4),
        light_share=round(float(ours.mean()), 4),
    )


def costs(plan: Plan) -> list[Cost]:
    """Return the cost of each prior and of the net with and without a fourth channel."""
    nets = {
        "full HED": HED(),
        "light HED": HED(width=plan.light_width),
        **{f"net, {prior}": first_net(plan, prior, 0) for prior in PRIORS if prior != "light"},
    }
    return [
        Cost(
            name=name,
            parameters=count_parameters(net),
            gmac=round(count_macs(net, SIZE_HW) / 1e9, 3),
        )
        for name, net in nets.items()
    ]


def _run(scored: Scored) -> Run:
    total = add_up(scored.counts)
    best = ods(total)
    return Run(
        prior=scored.prior,
        seed=scored.seed,
        ods=round(best.f1, 4),
        ci95=_round(interval(scored.counts, best_f1)),
        ods_threshold=best.threshold,
        threshold=scored.threshold,
        f1=round(score_at(total, scored.threshold).f1, 4),
    )


def _round(pair: tuple[float, float]) -> tuple[float, float]:
    return round(pair[0], 4), round(pair[1], 4)
