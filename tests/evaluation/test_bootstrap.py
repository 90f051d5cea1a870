"""The interval against SciPy's bootstrap and against cases without any spread."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from scnet_edge.errors import InputError
from scnet_edge.evaluation.bootstrap import interval, paired_interval
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


def test_the_same_counts_have_the_same_interval() -> None:
    counts = counts_of(10)
    assert interval(counts, f1_at_half) == interval(counts, f1_at_half)


def test_equal_images_have_no_spread() -> None:
    (one,) = counts_of(1)
    low, high = interval([one] * 7, f1_at_half)
    assert low == high == pytest.approx(f1_at_half(one))


def test_no_images() -> None:
    with pytest.raises(InputError, match="at least one image"):
        interval([], f1_at_half)


def runs_of(n: int, seeds: int, skill: float) -> list[list[Counts]]:
    """Return runs on the same n images; how hard an image is is the same for all of them."""
    truths = np.random.default_rng(1).random((n, 30, 30)) < 0.2
    hard = np.random.default_rng(2).uniform(0.1, 0.5, n)

    def run(seed: int) -> list[Counts]:
        rng = np.random.default_rng(seed)
        maps = [rng.normal(0.3 + skill * t, spread) for t, spread in zip(truths, hard, strict=True)]
        pairs = zip(maps, truths, strict=True)
        return [count(np.clip(p, 0, 1).astype(np.float32), t) for p, t in pairs]

    return [run(100 + seed) for seed in range(seeds)]


def test_paired_interval_is_scipys() -> None:
    ours, theirs = runs_of(40, 2, 0.42), runs_of(40, 3, 0.4)
    table = np.array([[(c.right[50], c.predicted[50], c.truth) for c in r] for r in ours + theirs])

    def above(rows: np.ndarray) -> float:
        right, predicted, truth = np.moveaxis(table[:, rows.astype(int)].sum(1), 1, 0)  # (5,) each
        f1 = 2 * right / (predicted + truth)
        return float(f1[:2].mean() - f1[2:].mean())

    expected = bootstrap(
        (np.arange(40),), above, n_resamples=2000, method="percentile", vectorized=False, rng=1
    ).confidence_interval
    low, high = paired_interval(ours, theirs, f1_at_half)
    width = expected.high - expected.low
    assert low == pytest.approx(expected.low, abs=0.1 * width)
    assert high == pytest.approx(expected.high, abs=0.1 * width)


def test_what_is_hard_for_both_cancels_out() -> None:
    (ours,), (theirs,) = runs_of(40, 1, 0.42), runs_of(40, 1, 0.4)
    low, high = paired_interval([ours], [theirs], f1_at_half)
    alone = interval(ours, f1_at_half)
    assert 0 < low < high
    assert high - low < (alone[1] - alone[0]) / 2


def test_by_hand() -> None:
    """Two images: draws of either twice, or both; the better run finds 2, 1 of 2 against 1, 1."""

    def made(found: int) -> Counts:
        flat = np.full(101, found)
        return Counts(predicted=np.full(101, 2), right=flat, found=flat, truth=2)

    ours, theirs = [made(2), made(1)], [made(1), made(1)]
    # F1 is found / 2: 1, 1/2 or 3/4 for ours, 1/2 for theirs.
    low, high = paired_interval([ours], [theirs], f1_at_half)
    assert (low, high) == pytest.approx((0.0, 0.5))
    assert paired_interval([ours, theirs], [theirs], f1_at_half) == pytest.approx((0.0, 0.25))
    assert paired_interval([ours], [ours], f1_at_half) == (0.0, 0.0)


def test_pairs_need_the_same_images() -> None:
    a, b = counts_of(4), counts_of(3)
    with pytest.raises(InputError, match="1 against 1 on 3, 4 images"):
        paired_interval([a], [b], f1_at_half)
    with pytest.raises(InputError, match="found 0 against 1"):
        paired_interval([], [b], f1_at_half)
