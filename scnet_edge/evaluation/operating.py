"""Which threshold to run at, when pictures of several domains have a say, some without a crack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError
from scnet_edge.evaluation.alarms import alarm_levels
from scnet_edge.evaluation.metrics import Counts, add_up, count
from scnet_edge.models.cards import OperatingPoint, PointFigure, PointName
from scnet_edge.types import Map

GRID = tuple(step / 50 for step in range(1, 50))  # 0.02 to 0.98
HUNDREDTHS = tuple(step / 100 for step in range(1, 100))
AT_GRID = np.arange(2, 100, 2)  # their places among `THRESHOLDS`
STRICT_ALARMED = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainCounts:
    """What one domain says of each threshold.

    Attributes:
        counts: Of its images with masks together; None where it has no crack at all.
        alarmed: (49,) share of its frames without a crack that are alarmed at each of `GRID`;
            None where all have one.
    """

    counts: Counts | None
    alarmed: npt.NDArray[np.float64] | None


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
    """Return what the predictions of one domain say; those known without masks say nothing."""
    counts, quiet = [], []
    for sample, probability in predicted:
        if sample.role == "negative":
            quiet.append(alarm_levels(probability, GRID))
        elif sample.role != "image-level":
            truth = sample.read_truth()
            counts.append(count(probability, truth.crack, ignored=truth.ignored))
    total = add_up(counts) if counts else None
    return DomainCounts(
        counts=total if total is not None and total.truth else None,
        alarmed=np.mean(quiet, 0) if quiet else None,
    )


def choose_points(domains: Sequence[DomainCounts]) -> dict[PointName, float]:
    """Return thresholds to choose from, by what held-out images of all domains say.

    `balanced` is the best for all. `strict` is the lowest from there on at which at most
    `STRICT_ALARMED` of the frames without a crack are alarmed, as a mean over domains, or the last
    where there is none. `sensitive` is the best up to there by F2, in which recall weighs twice as
    much as precision, as a mean over the domains with cracks.

    Raises:
        InputError: there are no cracks, or no frames without any.
    """
    counts = [d.counts for d in domains if d.counts is not None]
    alarms = [d.alarmed for d in domains if d.alarmed is not None]
    if not counts or not alarms:
        raise InputError("expected domains with cracks and some without, found only one of the two")
    balanced = best_threshold(domains).threshold
    thresholds = np.array(GRID)
    quiet = thresholds[(np.mean(alarms, 0) <= STRICT_ALARMED) & (thresholds >= balanced)]
    f2 = np.where(thresholds <= balanced, np.mean([f2_of(c)[AT_GRID] for c in counts], 0), -1)
    return {
        "sensitive": GRID[int(np.argmax(f2))],
        "balanced": balanced,
        "strict": float(quiet.min(initial=GRID[-1])),
    }


def f2_of(counts: Counts) -> npt.NDArray[np.float64]:
    """Return F2 at each of `THRESHOLDS`: recall weighs twice as much as precision; 0 for none."""
    below = 4 * counts.precision + counts.recall
    product = 5 * counts.precision * counts.recall
    return np.divide(product, below, out=np.zeros_like(below), where=below > 0)


def quiet_point(probabilities: Iterable[Map], *, alarmed: float) -> OperatingPoint:
    """Return the operating point `own`: the lowest hundredth that keeps frames quiet.

    Args:
        probabilities: Of frames without a crack, each (h, w).
        alarmed: The largest share of them that may be alarmed.

    Raises:
        InputError: there are no frames, or more of them alarm at every threshold.
    """
    levels = [alarm_levels(probability, HUNDREDTHS) for probability in probabilities]
    if not levels:
        raise InputError("expected at least one frame without a crack, found none")
    shares = np.mean(levels, 0)
    fit = np.flatnonzero(shares <= alarmed)
    if not len(fit):
        raise InputError(
            f"expected a threshold at which {alarmed:.1%} of {len(levels)} frames alarm at most, "
            f"found {shares[-1]:.1%} at {HUNDREDTHS[-1]:.2f}; take out frames with cracks, or "
            "allow more"
        )
    figure = PointFigure(alarmed=round(float(shares[fit[0]]), 4))
    return OperatingPoint(
        name="own", threshold=HUNDREDTHS[fit[0]], domains={f"{len(levels)} own frames": figure}
    )


def best_threshold(domains: Sequence[DomainCounts]) -> BestThreshold:
    """Return the threshold that serves all domains best.

    With one domain of cracks that is the best F1. With several, each counts once, by its F1, or by
    the share of its frames without a crack that stay without an alarm, and the mean is taken.
    """
    if len(domains) == 1 and domains[0].counts is not None and domains[0].alarmed is None:
        f1 = domains[0].counts.f1
        best = int(np.argmax(f1))
        return BestThreshold(threshold=best / 100, score=float(f1[best]), named="F1")
    scores = [d.counts.f1[AT_GRID] for d in domains if d.counts is not None]
    scores += [1 - d.alarmed for d in domains if d.alarmed is not None]
    mean = np.mean(scores, 0)
    best = int(np.argmax(mean))
    named = "mean of F1 and quiet frames"
    return BestThreshold(threshold=GRID[best], score=float(mean[best]), named=named)
