"""How many times as fast: ratios of rounds, with their 95 % intervals by resampling the rounds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ratio = tuple[float, float, float]  # the median, and its 95 % interval over rounds
PAIRED, MEDIANS, SEED = 1000, 2000, 0


def paired_ratio(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> Ratio:
    """Return the median of the ratio of paired rounds and its 95 % interval over rounds."""
    ratio = np.asarray(ours, float) / np.asarray(theirs, float)
    draws = np.random.default_rng(SEED).integers(0, len(ratio), (PAIRED, len(ratio)))
    low, high = _interval(np.median(ratio[draws], axis=1))
    return round(float(np.median(ratio)), 3), round(low, 3), round(high, 3)


def ratio_of_medians(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> Ratio:
    """Return median(ours) / median(theirs) and its 95 % interval; the rounds are not paired."""
    rng = np.random.default_rng(SEED)
    a, b = np.asarray(ours, float), np.asarray(theirs, float)
    draws_a = np.median(a[rng.integers(0, len(a), (MEDIANS, len(a)))], axis=1)
    draws_b = np.median(b[rng.integers(0, len(b), (MEDIANS, len(b)))], axis=1)
    low, high = _interval(draws_a / draws_b)
    return float(np.median(a) / np.median(b)), low, high


def _interval(draws: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(draws, (2.5, 97.5))
    return float(low), float(high)
