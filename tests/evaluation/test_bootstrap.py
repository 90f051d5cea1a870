"""The interval against SciPy's bootstrap and against cases without any spread."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from scnet_edge.errors import InputError
from scnet_edge.evaluation.bootstrap import interval
from scnet_edge.evaluation.metrics import Counts, count, score_at


def counts_of(n: int) -> list[Counts]:
    """Return the counts of n images whose quality differs widely."""
    rng = np.random.default_rng(0)
    counts = []
    for _ in range(n):
        truth = rng.random((30, 30)) < 0.2
        spread = rng.uniform(0.1, 0.5)
        probability = np.clip(rng.normal(0.3 + 0.4 * truth, spread), 0, 1).astype(np.float32)
        counts.append(count(probability, truth))
    return counts


def f1_at_half(counts: Counts) -> float:
    return score_at(counts, 0.5).f1


def test_is_scipy_percentile_bootstrap() -> None:
    counts = counts_of(40)
    table = np.array([(c.right[50], c.predicted[50], c.truth) for c in counts])

    def f1(rows: np.ndarray) -> float:
        right, predicted, truth = table[rows.astype(int)].sum(0)
        return float(2 * right / (predicted + truth))

    expected = bootstrap(
        (np.arange(40),), f1, n_resamples=2000, method="percentile", vectorized=False, rng=1
    ).confidence_interval
    low, high = interval(counts, f1_at_half)
    width = expected.high - expected.low
    assert low == pytest.approx(expected.low, abs=0.1 * width)
    assert high == pytest.approx(expected.high, abs=0.1 * width)


def test_same_seed_same_interval() -> None:
    counts = counts_of(10)
    assert interval(counts, f1_at_half) == interval(counts, f1_at_half)
    assert interval(counts, f1_at_half) != interval(counts, f1_at_half, seed=1)


def test_equal_images_have_no_spread() -> None:
    (one,) = counts_of(1)
    low, high = interval([one] * 7, f1_at_half)
    assert low == high == pytest.approx(f1_at_half(one))


def test_no_images() -> None:
    with pytest.raises(InputError, match="at least one image"):
        interval([], f1_at_half)
