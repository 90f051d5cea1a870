"""Histograms and the ranges read from them, against NumPy, SciPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import entropy as scipy_entropy

from scnet_edge.quantization.histograms import (
    BINS,
    LEVELS,
    METHODS,
    Histogram,
    _divergence,
    entropy,
    least_squares,
    minmax,
    percentile,
    ranges_by,
)


def histogram_of(*parts: np.ndarray) -> Histogram:
    histogram = Histogram()
    for part in parts:
        histogram.add(part.astype(np.float32), float(part.max()))
    return histogram


@pytest.fixture
def heavy() -> np.ndarray:
    """Magnitudes as a ReLU leaves them: half zeros, a bell, one in ten thousand far out."""
    rng = np.random.default_rng(0)
    values = np.abs(rng.normal(size=100_000)) * (rng.random(100_000) < 0.5)
    values[:10] = 40.0
    return values


def test_it_grows_without_losing_a_count() -> None:
    rng = np.random.default_rng(1)
    parts = [rng.uniform(0, top, 5000) for top in (1.0, 0.5, 3.0, 20.0)]
    histogram = histogram_of(*parts)
    everything = np.concatenate(parts)
    assert histogram.peak == pytest.approx(everything.max())
    assert histogram.upper >= histogram.peak
    expected, _ = np.histogram(everything, BINS, (0, histogram.upper))
    assert np.abs(np.cumsum(histogram.counts) - np.cumsum(expected)).max() <= 2  # float32 borders


def test_minmax_is_the_peak(heavy: np.ndarray) -> None:
    assert minmax(histogram_of(heavy)) == 40.0


def test_percentile_is_numpys(heavy: np.ndarray) -> None:
    histogram = histogram_of(np.minimum(heavy, 4))
    expected = np.percentile(np.minimum(heavy, 4), 99.99)
    assert percentile(histogram) == pytest.approx(expected, abs=2 * histogram.upper / BINS)


def test_least_squares_is_the_best_of_a_sweep_in_torch(heavy: np.ndarray) -> None:
    x = torch.from_numpy(heavy).float()

    def error(peak: float) -> float:
        restored = torch.fake_quantize_per_tensor_affine(x, peak / 127, 0, -128, 127)
        return float(((x - restored) ** 2).mean())

    sweep = min(error(peak) for peak in np.linspace(0.5, 40, 40))
    assert error(least_squares(histogram_of(heavy))) < 1.05 * sweep
    assert sweep < 0.5 * error(40.0) or least_squares(histogram_of(heavy)) > 10


def test_divergence_is_scipys() -> None:
    counts = np.random.default_rng(2).integers(1, 1000, BINS)
    bins = 4 * LEVELS
    exact = counts[:bins].astype(float)
    exact[-1] += counts[bins:].sum()
    merged = counts[:bins].reshape(LEVELS, 4).sum(1)
    assert _divergence(counts, bins) == pytest.approx(scipy_entropy(exact, np.repeat(merged, 4)))


def test_entropy_clips_a_lonely_outlier_and_keeps_a_flat_distribution(heavy: np.ndarray) -> None:
    assert entropy(histogram_of(heavy)) < 10
    flat = np.random.default_rng(3).uniform(0, 1, 100_000)
    assert entropy(histogram_of(flat)) > 0.9


@pytest.mark.parametrize("method", METHODS)
def test_no_range_is_beyond_the_peak_or_zero(method: str, heavy: np.ndarray) -> None:
    seen = {"a": histogram_of(heavy), "zeros": histogram_of(np.zeros(100))}
    ranges = ranges_by(method, seen)
    assert 0 < ranges["a"] <= 40.0
    assert 0 < ranges["zeros"] < 1e-3
