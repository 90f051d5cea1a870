"""Scores against scikit-learn, SciPy and cases counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import (
    average_precision_score,
    jaccard_score,
    precision_recall_fscore_support,
)

from scnet_edge.errors import ConfigError, InputError
from scnet_edge.evaluation.metrics import (
    THRESHOLDS,
    Counts,
    add_up,
    average_precision,
    count,
    iou,
    levels,
    mean_iou,
    ods,
    ois,
    score_at,
)


def noisy(seed: int, size_hw: tuple[int, int] = (40, 50)) -> tuple[np.ndarray, np.ndarray]:
    """Return a probability that knows something of a random mask, and the mask."""
    rng = np.random.default_rng(seed)
    truth = rng.random(size_hw) < 0.15
    probability = np.clip(rng.normal(0.3 + 0.3 * truth, 0.2), 0, 1).astype(np.float32)
    return probability, truth


@pytest.mark.parametrize("threshold", [0.0, 0.01, 0.3, 0.35, 0.5, 0.57, 0.99, 1.0])
def test_one_image_is_scikit_learn(threshold: float) -> None:
    probability, truth = noisy(0)
    predicted = probability >= np.float32(threshold)
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth.ravel(), predicted.ravel(), average="binary", zero_division=1
    )
    score = score_at(count(probability, truth), threshold)
    assert (score.precision, score.recall) == pytest.approx((precision, recall))
    assert score.f1 == pytest.approx(f1)
    assert iou(count(probability, truth), threshold) == pytest.approx(
        jaccard_score(truth.ravel(), predicted.ravel())
    )
    assert mean_iou(count(probability, truth), threshold) == pytest.approx(
        jaccard_score(truth.ravel(), predicted.ravel(), average="macro", zero_division=1)
    )


def test_levels_are_comparisons_with_every_threshold() -> None:
    near = [np.nextafter(THRESHOLDS, np.float32(side)) for side in (-1, 2)]
    values = np.concatenate([THRESHOLDS, *near, np.random.default_rng(0).random(500)])[None]
    values = values.astype(np.float32)
    expected = (values[..., None] >= THRESHOLDS).sum(-1)
    assert np.array_equal(levels(values), expected)


def test_images_are_added_before_dividing() -> None:
    pairs = [noisy(seed, (20, 10 + 10 * seed)) for seed in range(3)]
    total = add_up([count(*pair) for pair in pairs])
    truth = np.concatenate([t.ravel() for _, t in pairs])
    probability = np.concatenate([p.ravel() for p, _ in pairs])
    f1 = [
        precision_recall_fscore_support(truth, probability >= t, average="binary", zero_division=1)[
            2
        ]
        for t in THRESHOLDS
    ]
    assert ods(total).f1 == pytest.approx(max(f1))
    assert ods(total).threshold == pytest.approx(np.argmax(f1) / 100)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("crowded", [1, 60])
def test_area_is_that_of_scikit_learn(seed: int, crowded: int) -> None:
    """However close to 0 the probabilities lie, with and without ties, over several images."""
    pairs = [noisy(seed + 10 * i) for i in range(3)]
    maps = [(p**crowded).astype(np.float32) for p, _ in pairs]
    maps[1] = np.round(maps[1], 2)  # ties
    crack = [p[t] for p, (_, t) in zip(maps, pairs, strict=True)]
    beside = [p[~t] for p, (_, t) in zip(maps, pairs, strict=True)]
    truth = np.concatenate([t.ravel() for _, t in pairs])
    expected = average_precision_score(truth, np.concatenate([p.ravel() for p in maps]))
    assert average_precision(crack, beside) == pytest.approx(expected, abs=1e-12)


def test_area_needs_crack_pixels() -> None:
    with pytest.raises(InputError, match="expected crack pixels"):
        average_precision([], [np.ones(3, np.float32)])


def test_four_pixels_by_hand() -> None:
    probability = np.array([[0.9, 0.6], [0.4, 0.1]], np.float32)
    truth = np.array([[True, False], [True, False]])
    counts = count(probability, truth)
    # at 0.50: 0.9 is right, 0.6 wrong, 0.4 missed
    at_half = score_at(counts, 0.5)
    assert (at_half.precision, at_half.recall, at_half.f1) == (0.5, 0.5, 0.5)
    assert iou(counts, 0.5) == pytest.approx(1 / 3)
    # from above 0.10 to 0.40: 0.9 and 0.4 are right, 0.6 wrong
    best = ods(counts)
    assert (best.threshold, best.recall) == (0.11, 1.0)
    assert best.f1 == pytest.approx(0.8)
    # recall 1/2 at precision 1, then 1/2 more at precision 2/3
    area = average_precision([probability[truth]], [probability[~truth]])
    assert area == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_a_pixel_at_the_threshold_is_predicted() -> None:
    for index, threshold in enumerate(THRESHOLDS):
        counts = count(np.full((1, 1), threshold, np.float32), np.ones((1, 1), np.bool_))
        assert counts.predicted.tolist() == [1] * (index + 1) + [0] * (100 - index)


def test_ois_lets_each_image_choose() -> None:
    bright = count(np.array([[0.9, 0.7]], np.float32), np.array([[True, False]]))
    dim = count(np.array([[0.3, 0.1]], np.float32), np.array([[True, False]]))
    assert ois([bright, dim]) == 1.0
    assert ods(add_up([bright, dim])).f1 == pytest.approx(0.8)  # 2 right, 1 wrong
    nothing = count(np.array([[0.3, 0.1]], np.float32), np.zeros((1, 2), np.bool_))
    half = count(np.array([[0.3, 0.6]], np.float32), np.array([[True, False]]))
    assert ois([half, nothing]) == ois([half]) == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="at least one image with a crack"):
        ois([nothing])


def test_image_without_crack() -> None:
    counts = count(np.full((4, 4), 0.3, np.float32), np.zeros((4, 4), np.bool_))
    assert score_at(counts, 0.5).f1 == 1.0  # nothing there, nothing predicted
    alarm = score_at(counts, 0.2)
    assert (alarm.precision, alarm.recall, alarm.f1) == (0.0, 1.0, 0.0)


def test_image_with_nothing_predicted() -> None:
    counts = count(np.zeros((4, 4), np.float32), np.ones((4, 4), np.bool_))
    score = score_at(counts, 0.5)
    assert (score.precision, score.recall, score.f1) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("shift_px", "tolerance_px", "f1"), [(0, 0, 1), (1, 0, 0), (1, 1, 1), (2, 2, 1), (3, 2, 0)]
)
def test_tolerance_of_a_shifted_line(shift_px: int, tolerance_px: int, f1: float) -> None:
    truth, probability = np.zeros((20, 20), np.bool_), np.zeros((20, 20), np.float32)
    truth[:, 8] = True
    probability[:, 8 + shift_px] = 0.9
    assert score_at(count(probability, truth, tolerance_px=tolerance_px), 0.5).f1 == f1


@pytest.mark.parametrize("radius_px", [1, 2, 5])
def test_tolerance_is_euclidean_distance(radius_px: int) -> None:
    probability, truth = noisy(2)
    truth &= np.random.default_rng(0).random(truth.shape) < 0.2
    counts = count(probability, truth, tolerance_px=radius_px)
    for index in (30, 50, 70):
        predicted = probability >= THRESHOLDS[index]
        right = predicted & (distance_transform_edt(~truth) <= radius_px)
        found = truth & (distance_transform_edt(~predicted) <= radius_px)
        assert counts.right[index] == right.sum()
        assert counts.found[index] == found.sum()


@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_counts_fall_with_the_threshold_and_hold_together(seed: int, tolerance_px: int) -> None:
    probability, truth = noisy(seed, (9, 11))
    counts = count(probability, truth, tolerance_px=tolerance_px)
    for each in (counts.predicted, counts.right, counts.found):
        assert (np.diff(each) <= 0).all()
    assert (counts.right <= counts.predicted).all()
    assert counts.predicted[0] == truth.size
    assert counts.found[0] == counts.truth == truth.sum()


def test_sizes_that_differ() -> None:
    with pytest.raises(InputError, match=r"\(4, 5\).*\(5, 4\)"):
        count(np.zeros((4, 5), np.float32), np.zeros((5, 4), np.bool_))


@pytest.mark.parametrize("threshold", [0.505, -0.01, 1.01])
def test_thresholds_between_the_counted_ones(threshold: float) -> None:
    counts = count(*noisy(0))
    with pytest.raises(ConfigError, match="whole hundredths"):
        score_at(counts, threshold)


def test_no_images() -> None:
    with pytest.raises(InputError, match="at least one image"):
        add_up([])


def test_adding_is_per_threshold() -> None:
    a, b = count(*noisy(0)), count(*noisy(1))
    both = a + b
    assert isinstance(both, Counts)
    assert np.array_equal(both.right, a.right + b.right)
    assert both.truth == a.truth + b.truth
