"""Magnitudes of a tensor over many frames, and the range that each method reads from them.

minmax      the largest magnitude seen: nothing saturates, rare peaks cost resolution
percentile  99.99 % of the values lie within
mse         the least mean squared error of rounding and saturation together
entropy     the least Kullback-Leibler divergence of the quantised from the exact distribution
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Method = Literal["minmax", "percentile", "mse", "entropy"]
METHODS: tuple[Method, ...] = get_args(Method)

BINS = 2048
LEVELS = 128  # of an INT8 magnitude, zero among them
PERCENTILE = 99.99
CANDIDATES = np.arange(LEVELS, BINS + 1, 16)  # how many of the bins a range may cover
SMALLEST_PEAK = 1e-6  # a tensor of zeros has a range all the same

Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class Histogram:
    """Magnitudes in `BINS` equal bins of [0, upper], which doubles when a larger one comes.

    Attributes:
        peak: The largest magnitude seen; counts may be of a sample of the values.
    """

    peak: float = 0.0
    upper: float = 0.0
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, magnitudes: npt.NDArray[np.float32], peak: float) -> None:
        """Count some magnitudes, none above `peak`, the largest of the frame they are from."""
        self.peak = max(self.peak, peak)
        self.upper = self.upper or max(peak, SMALLEST_PEAK)
        while self.peak > self.upper:
            halved = self.counts.reshape(-1, 2).sum(1)  # (BINS / 2,)
            self.counts = np.concatenate([halved, np.zeros(BINS // 2, np.int64)])
            self.upper *= 2
        bins = np.minimum(magnitudes.ravel() * (BINS / self.upper), BINS - 1).astype(np.int64)
        self.counts += np.bincount(bins, minlength=BINS)


def ranges_by(method: Method, histograms: Mapping[str, Histogram]) -> dict[str, float]:
    """Return the range of every tensor by one method, never above the largest magnitude seen."""
    read = {"minmax": minmax, "percentile": percentile, "mse": least_squares, "entropy": entropy}
    return {name: read[method](histogram) for name, histogram in histograms.items()}


def minmax(histogram: Histogram) -> float:
    """Return the largest magnitude."""
    return max(histogram.peak, SMALLEST_PEAK)


def percentile(histogram: Histogram) -> float:
    """Return the upper edge of the bin in which the percentile lies."""
    within = histogram.counts.cumsum() >= histogram.counts.sum() * PERCENTILE / 100
    return _capped(histogram, int(np.argmax(within)) + 1)


def least_squares(histogram: Histogram) -> float:
    """Return the range whose rounding and saturation have the least mean squared error."""
    centres = np.arange(BINS, dtype=np.float64) + 0.5  # in bins
    errors = [_squared_error(histogram.counts, centres, int(bins)) for bins in CANDIDATES]
    return _capped(histogram, int(CANDIDATES[np.argmin(errors)]))


def _squared_error(counts: npt.NDArray[np.int64], centres: Floats, bins: int) -> float:
    step = bins / (LEVELS - 1)
    restored = np.minimum(np.rint(centres / step), LEVELS - 1) * step
    return float(counts @ (centres - restored) ** 2)


def entropy(histogram: Histogram) -> float:
    """Return the range that loses the least information, as TensorRT's entropy calibrator does.

    The values beyond a candidate range count in its last bin; the exact distribution is compared
    with the one whose bins are merged to `LEVELS` and spread again over those that held anything.
    The zeros that a ReLU leaves would outweigh all else, so the first bin counts as the second.
    """
    counts = histogram.counts.copy()
    counts[0] = counts[1]
    losses = [_divergence(counts, int(bins)) for bins in CANDIDATES]
    return _capped(histogram, int(CANDIDATES[np.argmin(losses)]))


def _divergence(counts: npt.NDArray[np.int64], bins: int) -> float:
    inside = counts[:bins].astype(np.float64)
    exact = inside.copy()
    exact[-1] += counts[bins:].sum()
    level = np.arange(bins) * LEVELS // bins  # the level of each bin
    held = np.bincount(level, inside > 0, minlength=LEVELS)
    merged = np.bincount(level, inside, minlength=LEVELS)
    spread = np.where(inside > 0, (merged / np.maximum(held, 1))[level], 0)
    if not spread.sum():
        return float("inf")
    # A last bin that only holds what saturates has no counterpart; it must not be free of charge.
    floor = 1e-12
    p, q = exact / exact.sum(), np.maximum(spread / spread.sum(), floor)
    seen = p > 0
    return float(np.sum(p[seen] * np.log(p[seen] / q[seen])))


def _capped(histogram: Histogram, bins: int) -> float:
    return max(min(histogram.upper * bins / BINS, histogram.peak), SMALLEST_PEAK)
