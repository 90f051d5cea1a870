"""How far a score would move with other images of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from scnet_edge.errors import InputError
from scnet_edge.evaluation.metrics import Counts

RESAMPLES = 2000


def interval(
    counts: Sequence[Counts],
    statistic: Callable[[Counts], float],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic of summed counts.

    Images are drawn with replacement; the pixels of one image stay together, for they depend on
    each other. The same seed gives the same interval.

    Args:
        counts: One per image.
        statistic: Of the counts of a whole data set, such as `lambda c: ods(c).f1`.
        seed: Of the draws.
        resamples: How many data sets are drawn.

    Raises:
        InputError: there are no images.
    """
    if not counts:
        raise InputError("expected at least one image to score, found none")
    n = len(counts)
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)  # (r, n)
    predicted = times @ np.stack([c.predicted for c in counts])  # (r, 101)
    right = times @ np.stack([c.right for c in counts])
    found = times @ np.stack([c.found for c in counts])
    truth = times @ np.array([c.truth for c in counts])  # (r,)
    values = [
        statistic(Counts(predicted=p, right=r, found=f, truth=int(t)))
        for p, r, f, t in zip(predicted, right, found, truth, strict=True)
    ]
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)
