"""Which decision to run by, when pictures of several domains have a say, some without a crack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scnet_edge.config import PointName
from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError
from scnet_edge.evaluation.alarms import alarm_levels
from scnet_edge.evaluation.metrics import Counts, add_up, count
from scnet_edge.models.cards import OperatingPoint, PointFigure
from scnet_edge.models.decision import Decision
from scnet_edge.types import Map

GRID = tuple(step / 50 for step in range(1, 50))  # 0.02 to 0.98
HUNDREDTHS = tuple(step / 100 for step in range(1, 100))
AT_GRID = np.arange(2, 100, 2)  # their places among `THRESHOLDS`
ALARMED: Mapping[PointName, float] = {"balanced": 0.12, "strict": 0.05}
CLOSE = 0.003  # mean F1 of pixels that a lower threshold may cost: it finds more cracks
Predicted = Sequence[tuple[Sample, Map]]
Shares = npt.NDArray[np.float64]  # one for each decision


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainCounts:
    """What one domain says of each threshold.

    Attributes:
        counts: Of its images with masks together; None where it has no crack at all.
        alarmed: (49,) share of its frames without a crack that are alarmed at each of `GRID`;
            None where all have one.
    """

    counts: Counts | None
    alarmed: Shares | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BestThreshold:
    """The threshold with the best score.

    Attributes:
        named: What the score is, in words.
    """

    threshold: float
    score: float
    named: str


def domain_counts(predicted: Iterable[tuple[Sample, Map]]) -> DomainCounts:
    """Return what the predictions of one domain say; those known without masks say nothing.

    Where no mask of a domain has a crack, its images are frames without any.
    """
    everywhere = [Decision(threshold=threshold) for threshold in GRID]
    counts, quiet, empty = [], [], []
    for sample, probability in predicted:
        if sample.role == "negative":
            quiet.append(alarm_levels(probability, everywhere))
        elif sample.role != "image-level":
            truth = sample.read_truth()
            counts.append(count(probability, truth.crack, ignored=truth.ignored))
            known = probability if truth.ignored is None else probability * ~truth.ignored
            empty += [] if truth.crack.any() else [alarm_levels(known, everywhere)]
    total = add_up(counts) if counts else None
    cracks = total if total is not None and total.truth else None
    quiet += empty if cracks is None else []
    return DomainCounts(counts=cracks, alarmed=np.mean(quiet, 0) if quiet else None)


def choose_points(domains: Mapping[str, Predicted]) -> dict[PointName, Decision]:
    """Return decisions to choose from, by what held-out images of all domains say.

    Pixels choose the threshold: the lowest within `CLOSE` of the best mean F1 of the domains with
    cracks, or for `sensitive` the best F2 up to there, in which recall weighs twice as much. Sound
    frames choose the seed: the lowest with which at most `ALARMED` of them are alarmed, as a mean
    over domains, or the highest where there is none. `sensitive` has none.

    Raises:
        InputError: there are no cracks, or no frames without any.
    """
    told = [domain_counts(of) for of in domains.values()]
    counts = [each.counts for each in told if each.counts is not None]
    sound = [
        [probability for sample, probability in of if sample.role == "negative"]
        for of in domains.values()
    ]
    if not counts or not any(sound):
        raise InputError("expected domains with cracks and some without, found only one of the two")
    f1 = np.mean([c.f1[AT_GRID] for c in counts], 0)
    threshold = GRID[int(np.flatnonzero(f1 >= f1.max() - CLOSE)[0])]
    f2 = np.mean([f2_of(c)[AT_GRID] for c in counts], 0)
    sensitive = GRID[int(np.argmax(np.where(np.array(GRID) <= threshold, f2, -1)))]
    decisions = list_seeds(threshold)
    alarmed = np.mean(
        [np.mean([alarm_levels(p, decisions) for p in maps], 0) for maps in sound if maps], 0
    )
    points: dict[PointName, Decision] = {"sensitive": Decision(threshold=sensitive)}
    for name, share in ALARMED.items():
        quiet = np.flatnonzero(alarmed <= share)
        points[name] = decisions[int(quiet[0])] if len(quiet) else decisions[-1]
    return points


def list_seeds(threshold: float) -> list[Decision]:
    """Return decisions of one threshold: without a seed, and with each hundredth from there on."""
    seeds = [seed for seed in HUNDREDTHS if seed >= threshold]
    return [Decision(threshold=threshold, seed=seed) for seed in (0.0, *seeds)]


def f2_of(counts: Counts) -> npt.NDArray[np.float64]:
    """Return F2 at each of `THRESHOLDS`: recall weighs twice as much as precision; 0 for none."""
    below = 4 * counts.precision + counts.recall
    product = 5 * counts.precision * counts.recall
    return np.divide(product, below, out=np.zeros_like(below), where=below > 0)


def quiet_point(
    probabilities: Iterable[Map], *, threshold: float, alarmed: float
) -> OperatingPoint:
    """Return the operating point `own`: the lowest seed that keeps frames quiet.

    Args:
        probabilities: Of frames without a crack, each (h, w).
        threshold: Of pixels; it stays.
        alarmed: The largest share of the frames that may be alarmed.

    Raises:
        InputError: there are no frames, or more of them alarm with every seed.
    """
    decisions = list_seeds(threshold)
    levels = [alarm_levels(probability, decisions) for probability in probabilities]
    if not levels:
        raise InputError("expected at least one frame without a crack, found none")
    shares = np.mean(levels, 0)
    fit = np.flatnonzero(shares <= alarmed)
    if not len(fit):
        raise InputError(
            f"expected a seed with which {alarmed:.1%} of {len(levels)} frames alarm at most, "
            f"found {shares[-1]:.1%} with {decisions[-1].seed:.2f}; take out frames with cracks, "
            "or allow more"
        )
    best = decisions[fit[0]]
    figure = PointFigure(alarmed=round(float(shares[fit[0]]), 4))
    return OperatingPoint(
        name="own",
        threshold=best.threshold,
        seed=best.seed,
        domains={f"{len(levels)} own frames": figure},
    )


def best_threshold(domains: Sequence[DomainCounts], *, kept: float | None = None) -> BestThreshold:
    """Return the threshold that serves all domains best, or with `kept` that one with its score.

    With one domain of cracks that is the best F1. With several, each counts once, by its F1, or by
    the share of its frames without a crack that stay without an alarm, and the mean is taken.
    """
    if len(domains) == 1 and domains[0].counts is not None and domains[0].alarmed is None:
        f1 = domains[0].counts.f1
        best = int(np.argmax(f1)) if kept is None else round(100 * kept)
        return BestThreshold(threshold=best / 100, score=float(f1[best]), named="F1")
    scores = [d.counts.f1[AT_GRID] for d in domains if d.counts is not None]
    scores += [1 - d.alarmed for d in domains if d.alarmed is not None]
    mean = np.mean(scores, 0)
    best = int(np.argmax(mean)) if kept is None else int(np.argmin(np.abs(np.array(GRID) - kept)))
    named = "mean of F1 and quiet frames"
    return BestThreshold(threshold=GRID[best], score=float(mean[best]), named=named)
