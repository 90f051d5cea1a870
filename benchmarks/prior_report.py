"""The figures of a study of the prior, with their uncertainty and what each net costs."""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
import numpy.typing as npt
import onnx
import torch

from benchmarks.prior_study import CONFIGS, Arm, Plan, Scored, Scores
from scnet_edge import __version__
from scnet_edge.engines.base import Backend
from scnet_edge.engines.openvino.cpu import load
from scnet_edge.machine.description import machine_name
from scnet_edge.models.chain import Chain
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet
from scnet_edge.models.weights import count_macs, count_parameters
from scnet_edge.quantization.lowering import fp32_graph
from scnet_edge.quantization.qdq import quantisable, quantise

SIZE_HW = (384, 544)
COMPARED: tuple[tuple[Arm, Arm], ...] = (("light", "none"), ("light", "small"), ("none", "small"))
RESAMPLES = 1000
ROUNDS = 14
RANGE = 4.0  # of every tensor: the values of a graph that is timed mean nothing
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Statistic = Callable[[Scores, Ints, Ints], Floats]


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run: means over domains, each of which counts once.

    Attributes:
        best_f1: At the threshold that is best for each domain.
        found: Share of the cracks found by the decision that held-out images chose.
        alarmed: Share of the frames without a crack that are alarmed by it.
        by_domain: Best F1 of each domain with cracks.
    """

    arm: Arm
    seed: int
    threshold: float
    seed_of_decision: float
    best_f1: float
    found: float
    alarmed: float
    by_domain: dict[str, float]
    alarmed_by_domain: dict[str, float]


class Figure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far one arm lies above another, mean over the seeds.

    Attributes:
        ci95: Interval over images, drawn in every domain, the same draws for all runs; it does not
            speak of other seeds.
        by_seed: Of each pair of runs on the same crops.
    """

    above: float
    ci95: tuple[float, float]
    by_seed: list[float]


class Difference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far one arm lies above another, as means over domains and in each."""

    arm: Arm
    against: Arm
    best_f1: Figure
    found: Figure
    alarmed: Figure
    by_domain: dict[str, Figure]


class Cost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an arm costs for one frame of 384x544, the HED of `light` included.

    Attributes:
        parameters: Trained numbers.
        gmac: Billions of products.
        fp32_ms, int8_ms: CPU time of OpenVINO on one thread, the median of rounds in which all
            take turns.
    """

    arm: Arm
    parameters: int
    gmac: float
    fp32_ms: float
    int8_ms: float


class PriorStudy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole study; `plan` says how long each run trained."""

    command: str
    machine: str
    version: str
    date: str
    plan: Plan
    costs: list[Cost]
    runs: list[Run]
    differences: list[Difference]


def report(plan: Plan, hed: HED, runs: Sequence[Scored]) -> PriorStudy:
    """Return the figures of runs that are all there."""
    arms = list(dict.fromkeys(run.arm for run in runs))
    return PriorStudy(
        command=command_of(plan),
        machine=machine_name(),
        version=__version__,
        date=datetime.date.today().isoformat(),
        plan=plan,
        costs=costs(arms, hed),
        runs=[run_of(scored) for scored in runs],
        differences=[
            difference(runs, arm, against)
            for arm, against in COMPARED
            if arm in arms and against in arms
        ],
    )


def command_of(plan: Plan) -> str:
    """Return what makes this study again."""
    return (
        f"python -m benchmarks.prior --corpus corpora/{plan.corpus}.toml "
        f"--field corpora/field.toml --out RUNS --json FILE --steps {plan.steps} "
        f"--batch {plan.batch} --crop {plan.crop} --most {plan.most} "
        f"--seeds {' '.join(map(str, plan.seeds))}"
    )


def best_f1(of: Scores, masked: Ints, sound: Ints) -> Floats:
    """Return the best F1 of each drawn set of images, (resamples,).

    Args:
        of: Of one domain.
        masked: (resamples, n) how often each image with a mask is drawn.
        sound: (resamples, m) how often each frame without a crack is; unused.
    """
    right, called = masked @ of.right, masked @ of.predicted  # (resamples, 101)
    both = called + (masked @ of.truth)[:, None]
    return np.asarray((2 * right / np.maximum(both, 1)).max(1))


def found_share(of: Scores, masked: Ints, sound: Ints) -> Floats:
    """Return the share of the cracks that is found, of each drawn set of images."""
    return np.asarray((masked @ of.found) / np.maximum(masked @ of.cracks, 1))


def alarmed_share(of: Scores, masked: Ints, sound: Ints) -> Floats:
    """Return the share of the frames without a crack that are alarmed, of each drawn set."""
    return np.asarray((sound @ of.alarmed) / np.maximum(sound.sum(1), 1))


def has_cracks(of: Scores) -> bool:
    """Return whether a domain has cracks with masks."""
    return bool(of.cracks.sum())


def has_sound(of: Scores) -> bool:
    """Return whether a domain has no crack, but frames without one."""
    return not has_cracks(of) and len(of.alarmed) > 0


STATISTICS: dict[str, tuple[Statistic, Callable[[Scores], bool]]] = {
    "best_f1": (best_f1, has_cracks),
    "found": (found_share, has_cracks),
    "alarmed": (alarmed_share, has_sound),
}


def exact(of: Scores, statistic: Statistic) -> float:
    """Return a statistic of the images of a domain as they are."""
    ones = np.ones((1, len(of.truth)), np.int64), np.ones((1, len(of.alarmed)), np.int64)
    return float(statistic(of, *ones)[0])


def run_of(scored: Scored) -> Run:
    """Return the figures of one run."""
    figures = {
        name: {d: exact(of, statistic) for d, of in scored.domains.items() if fits(of)}
        for name, (statistic, fits) in STATISTICS.items()
    }
    means = {name: round(float(np.mean([*by.values()])), 4) for name, by in figures.items()}
    return Run(
        arm=scored.arm,
        seed=scored.seed,
        threshold=scored.decision.threshold,
        seed_of_decision=scored.decision.seed,
        **means,
        by_domain={d: round(f1, 4) for d, f1 in figures["best_f1"].items()},
        alarmed_by_domain={d: round(share, 4) for d, share in figures["alarmed"].items()},
    )


def difference(runs: Sequence[Scored], arm: Arm, against: Arm) -> Difference:
    """Return how far the runs of one arm lie above those of another, seed by seed."""
    ours, theirs = ([r for r in runs if r.arm == which] for which in (arm, against))
    assert [r.seed for r in ours] == [r.seed for r in theirs]
    names = list(ours[0].domains)
    draws = {name: _draw(ours[0].domains[name], place) for place, name in enumerate(names)}
    drawn, as_is = {}, {}
    for key, (statistic, fits) in STATISTICS.items():
        fit = [name for name in names if fits(ours[0].domains[name])]
        pairs = [(a.domains, b.domains) for a, b in zip(ours, theirs, strict=True)]
        drawn[key] = {
            n: np.mean(
                [statistic(a[n], *draws[n]) - statistic(b[n], *draws[n]) for a, b in pairs], 0
            )
            for n in fit
        }  # of each domain (resamples,)
        as_is[key] = {
            n: [exact(a[n], statistic) - exact(b[n], statistic) for a, b in pairs] for n in fit
        }
    means = {
        key: _figure(np.mean([*drawn[key].values()], 0), list(np.mean([*as_is[key].values()], 0)))
        for key in STATISTICS
    }
    by_domain = {n: _figure(drawn["best_f1"][n], as_is["best_f1"][n]) for n in drawn["best_f1"]}
    return Difference(arm=arm, against=against, **means, by_domain=by_domain)


def _draw(of: Scores, seed: int) -> tuple[Ints, Ints]:
    """Return how often each image is in each drawn set, those with masks and those without."""
    rng = np.random.default_rng(seed)
    found = []
    for images in (len(of.truth), len(of.alarmed)):
        share = np.full(images, 1 / images) if images else np.empty(0)
        times = (
            rng.multinomial(images, share, size=RESAMPLES) if images else np.empty((RESAMPLES, 0))
        )
        found.append(np.asarray(times, np.int64))
    return found[0], found[1]


def _figure(drawn: Floats, by_seed: Sequence[float]) -> Figure:
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Figure(
        above=round(float(np.mean(by_seed)), 4),
        ci95=(round(float(low), 4), round(float(high), 4)),
        by_seed=[round(float(value), 4) for value in by_seed],
    )


def costs(arms: Sequence[Arm], hed: HED) -> list[Cost]:
    """Return what each arm costs a frame; all are timed in turns."""
    nets = {arm: SCNet(CONFIGS[arm]).eval() for arm in arms}
    priors = {arm: hed if CONFIGS[arm].edges else None for arm in arms}
    with ExitStack() as stack:
        engines = {
            (arm, kind): engine
            for arm, net in nets.items()
            for kind, engine in stack.enter_context(engines_of(net, priors[arm])).items()
        }
        spent = {key: median(times) for key, times in time_in_turns(engines).items()}
    return [
        Cost(
            arm=arm,
            parameters=sum(count_parameters(m) for m in (net, priors[arm]) if m),
            gmac=round(sum(count_macs(m, SIZE_HW) for m in (net, priors[arm]) if m) / 1e9, 3),
            fp32_ms=round(spent[arm, "fp32"], 1),
            int8_ms=round(spent[arm, "int8"], 1),
        )
        for arm, net in nets.items()
    ]


@contextmanager
def engines_of(net: SCNet, hed: HED | None) -> Iterator[dict[str, Backend]]:
    """Yield a chain in FP32 and INT8, each with OpenVINO on one thread."""
    chain = Chain(net, hed, frame_hw=SIZE_HW, size_hw=SIZE_HW).eval()
    with torch.inference_mode():
        graph = fp32_graph(chain)
    graphs = {"fp32": graph, "int8": quantise(graph, dict.fromkeys(quantisable(graph), RANGE))}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        found: dict[str, Backend] = {}
        for kind, of in graphs.items():
            path = Path(folder) / f"{kind}.onnx"
            onnx.save(of, path)
            found[kind] = stack.enter_context(closing(load(path, threads=1, cache=None)))
        yield found


def time_in_turns(
    engines: dict[tuple[Arm, str], Backend], rounds: int = ROUNDS
) -> dict[tuple[Arm, str], list[float]]:
    """Return the milliseconds of CPU time of a frame, of each engine one for each round."""
    frame = np.random.default_rng(0).integers(0, 256, (1, *SIZE_HW, 3), np.uint8)
    spent: dict[tuple[Arm, str], list[float]] = {key: [] for key in engines}
    for _ in range(rounds):
        for key, engine in engines.items():
            engine.run({"frame": frame})
            begun = time.process_time()
            engine.run({"frame": frame})
            engine.run({"frame": frame})
            spent[key].append(1e3 * (time.process_time() - begun) / 2)
    return spent
