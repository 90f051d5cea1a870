"""How far a score would move with other images of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from scnet_edge.errors import InputError
from scnet_edge.evaluation.metrics import Counts

RESAMPLES = 2000

Draws = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


def interval(
    counts: Sequence[Counts],
    statistic: Callable[[Counts], float],
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic of summed counts.

    Images are drawn with replacement; the pixels of one image stay together, for they depend on
    each other. The draws are the same every time.

    Args:
        counts: One per image.
        statistic: Of the counts of a whole data set, such as `lambda c: ods(c).f1`.

    Raises:
        InputError: there are no images.
    """
    values = _values(counts, statistic, _draws(len(counts)))
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def interval_of_mean(values: Values) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean of one value per image.

    Raises:
        InputError: there are no images.
    """
    means = _draws(len(values)) @ values / len(values)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def paired_interval(
    ours: Sequence[Sequence[Counts]],
    theirs: Sequence[Sequence[Counts]],
    statistic: Callable[[Counts], float],
) -> tuple[float, float]:
    """Return the 95 % interval of how far our mean over runs lies above theirs.

    Each draw of images is the same for every run of both, so what is hard for all cancels out.
    The runs themselves are not drawn: the interval speaks of other images, not of other seeds.

    Args:
        ours: Runs, each with one count per image, the images in the same order everywhere.
        theirs: Runs on the same images.
        statistic: Of the counts of a whole data set.

    Raises:
        InputError: a side has no run, or the runs are not of as many images.
    """
    images = {len(run) for run in [*ours, *theirs]}
    if not ours or not theirs or len(images) != 1:
        raise InputError(
            f"expected runs on both sides, each on the same images, found {len(ours)} against "
            f"{len(theirs)} on {', '.join(map(str, sorted(images)))} images; score them anew"
        )
    times = _draws(images.pop())
    above = _mean_over_runs(ours, statistic, times) - _mean_over_runs(theirs, statistic, times)
    low, high = np.percentile(above, (2.5, 97.5))
    return float(low), float(high)


def _mean_over_runs(
    runs: Sequence[Sequence[Counts]], statistic: Callable[[Counts], float], times: Draws
) -> Values:
    return np.asarray(np.mean([_values(run, statistic, times) for run in runs], axis=0))


def _draws(images: int) -> Draws:
    """Return how often each image is in each drawn data set, (RESAMPLES, images)."""
    if not images:
        raise InputError("expected at least one image to score, found none")
    share = np.full(images, 1 / images)
    return np.asarray(np.random.default_rng(0).multinomial(images, share, size=RESAMPLES))


def _values(counts: Sequence[Counts], statistic: Callable[[Counts], float], times: Draws) -> Values:
    """Return the statistic of each drawn data set, (RESAMPLES,)."""
    predicted = times @ np.stack([c.predicted for c in counts])  # (RESAMPLES, 101)
    right = times @ np.stack([c.right for c in counts])
    found = times @ np.stack([c.found for c in counts])
    truth = times @ np.array([c.truth for c in counts])  # (RESAMPLES,)
    return np.array(
        [
            statistic(Counts(predicted=p, right=r, found=f, truth=int(t)))
            for p, r, f, t in zip(predicted, right, found, truth, strict=True)
        ]
    )
