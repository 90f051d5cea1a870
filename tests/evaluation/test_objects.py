"""Patches, boundaries and thin cracks, counted by hand and by SciPy and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from skimage.segmentation import find_boundaries

from scnet_edge.evaluation.metrics import THRESHOLDS, levels, score_at
from scnet_edge.evaluation.objects import count_boundaries, count_patches, count_thin, select_thin


def test_patches_by_hand() -> None:
    truth, probability = np.zeros((64, 96), np.bool_), np.zeros((64, 96), np.float32)
    truth[:32, :2] = True  # 64 of 1024 pixels: cracked, and three quarters of it is found
    probability[:24, :2] = 0.9
    truth[:32, 32:34] = True  # cracked, and a quarter is found: missed
    probability[:8, 32:34] = 0.9
    truth[0, 64:96] = True  # 32 of 1024 pixels are too few
    probability[32:, :2] = 0.6  # 64 pixels on a clean patch: a false alarm, up to 0.6
    probability[32, 32:64] = 0.9  # 32 pixels are too few for one
    counts = count_patches(levels(probability), truth)
    assert counts.truth == 2
    for threshold, alarms in ((0.5, 1), (0.6, 1), (0.61, 0)):
        score = score_at(counts, threshold)
        assert (score.precision, score.recall) == (1 / (1 + alarms), 1 / 2)


def test_patches_are_the_plain_loop() -> None:
    rng = np.random.default_rng(0)
    truth = np.kron(rng.random((5, 7)) < 0.4, np.ones((15, 16))) > 0  # (75, 112): cut patches
    probability = np.clip(rng.normal(0.3 + 0.3 * truth, 0.2), 0, 1).astype(np.float32)
    counts = count_patches(levels(probability), truth)
    for index in (20, 45, 60):
        hits = alarms = cracked = 0
        for y in range(0, 75, 32):
            for x in range(0, 112, 32):
                t = truth[y : y + 32, x : x + 32]
                p = probability[y : y + 32, x : x + 32] >= THRESHOLDS[index]
                if t.mean() >= 0.05:
                    cracked += 1
                    hits += (p & t).sum() >= 0.5 * t.sum()
                else:
                    alarms += p.mean() >= 0.05
        assert (counts.truth, counts.right[index]) == (cracked, hits)
        assert counts.predicted[index] == hits + alarms


@pytest.mark.parametrize(("width_px", "is_thin"), [(1, True), (3, True), (4, True), (7, False)])
def test_thin_is_at_most_four_pixels_wide(width_px: int, is_thin: bool) -> None:
    truth = np.zeros((60, 60), np.bool_)
    truth[20 : 20 + width_px] = True
    assert select_thin(truth)[:, 5:-5].any() == is_thin
    assert (select_thin(truth) <= truth).all()


def test_thin_recall_leaves_wide_cracks_out() -> None:
    truth, probability = np.zeros((60, 60), np.bool_), np.zeros((60, 60), np.float32)
    truth[5:7], truth[20:40] = True, True
    probability[5:7, :15] = 0.9  # a quarter of the thin one, nothing of the wide one
    assert score_at(count_thin(levels(probability), truth), 0.5).recall == pytest.approx(0.25)


def test_boundaries_are_scikit_image_within_a_distance() -> None:
    rng = np.random.default_rng(1)
    truth, mask = (np.kron(rng.random((6, 8)) < 0.4, np.ones((9, 9))) > 0 for _ in range(2))
    ours, theirs = (find_boundaries(m, connectivity=1, mode="inner") for m in (mask, truth))
    counts = count_boundaries(mask, truth, tolerance_px=3)
    assert (counts.predicted, counts.true) == (ours.sum(), theirs.sum())
    assert counts.right == (ours & (distance_transform_edt(~theirs) <= 3)).sum()
    assert counts.found == (theirs & (distance_transform_edt(~ours) <= 3)).sum()


def test_boundary_f1_by_hand() -> None:
    truth = np.zeros((40, 40), np.bool_)
    truth[10:20, 10:30] = True
    shifted = np.roll(truth, 2, 1)
    assert count_boundaries(shifted, truth, tolerance_px=2).f1 == 1
    assert count_boundaries(shifted, truth, tolerance_px=0).f1 < 1
    nothing = np.zeros_like(truth)
    assert count_boundaries(nothing, nothing).f1 == 1
    assert count_boundaries(nothing, truth).f1 == 0
    assert (count_boundaries(truth, truth) + count_boundaries(nothing, truth)).f1 == pytest.approx(
        2 / 3
    )
