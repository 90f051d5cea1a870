"""Crops stay aligned: what is dark in the frame is crack in the mask and edge in the map."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from scnet_edge.data.augment import Augmentation, training_crop

GEOMETRY = Augmentation(crop=96, photometric="none")


def drawn_square(side_px: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Return a bright frame with a dark square, and its mask; the square is off the centre."""
    mask = np.zeros((160, 200), np.bool_)
    mask[50 : 50 + side_px, 90 : 90 + side_px] = True
    return np.where(mask[..., None], 20, 220).astype(np.uint8).repeat(3, 2), mask


@pytest.mark.parametrize("seed", range(20))
def test_frame_mask_and_edges_agree_after_the_warp(seed: int) -> None:
    frame, mask = drawn_square()
    edges = mask.astype(np.uint8) * 255
    crop, crop_mask, crop_edges, _ = training_crop(
        frame, mask, edges, GEOMETRY, np.random.default_rng(seed)
    )
    assert crop.shape == (96, 96, 3)
    assert crop_mask.shape == (96, 96)
    assert crop_edges is not None
    assert np.array_equal(crop_edges > 127, crop_mask)
    darkness = 120 - crop[..., 0].astype(int)  # half-way between wall and square is a tie
    assert np.array_equal((darkness > 0)[darkness != 0], crop_mask[darkness != 0])
    assert (darkness == 0).mean() < 0.01


@pytest.mark.parametrize("seed", range(10))
def test_scale_is_within_its_range(seed: int) -> None:
    frame, mask = drawn_square(side_px=12)
    how = Augmentation(crop=128, photometric="none", crack_bias=1.0, scale=(0.75, 1.4))
    crop_mask = training_crop(frame, mask, None, how, np.random.default_rng(seed)).mask
    if crop_mask[0].any() or crop_mask[-1].any() or crop_mask[:, [0, -1]].any():
        pytest.skip("the square is cut, so its area says nothing")
    count, _, stats, _ = cv2.connectedComponentsWithStats(crop_mask.astype(np.uint8))
    assert count >= 2
    assert 144 * 0.75**2 * 0.85 < stats[1, cv2.CC_STAT_AREA] < 144 * 1.4**2 * 1.15


@pytest.mark.parametrize("seed", range(6))
def test_without_rotation_and_scale_slopes_stay(seed: int) -> None:
    columns, rows = np.meshgrid(np.arange(90) * 2, np.arange(80) * 3)
    frame = np.stack([columns, rows, rows], 2).astype(np.uint8)  # 2 a column, 3 a row
    mask = np.zeros((80, 90), np.bool_)
    how = Augmentation(crop=80, rotation_deg=0, scale=(1, 1), photometric="none", crack_bias=0)
    crop = training_crop(frame, mask, None, how, np.random.default_rng(seed)).frame
    across, down = crop[..., 0].astype(int), crop[..., 1].astype(int)
    assert abs(across[0, -1] - across[0, 0]) == pytest.approx(2 * 79, abs=1)  # either flip
    assert abs(down[-1, 0] - down[0, 0]) == pytest.approx(3 * 79, abs=1)
    assert np.ptp(across, axis=0).max() <= 1
    assert np.ptp(down, axis=1).max() <= 1


def test_crops_near_cracks_when_biased() -> None:
    mask = np.zeros((400, 600), np.bool_)
    mask[200:204, 300:304] = True
    frame = np.zeros((400, 600, 3), np.uint8)
    share = {}
    for bias in (0.0, 1.0):
        how = Augmentation(crop=96, photometric="none", crack_bias=bias)
        rng = np.random.default_rng(0)
        share[bias] = np.mean(
            [training_crop(frame, mask, None, how, rng)[1].any() for _ in range(60)]
        )
    assert share[1.0] > 0.7
    assert share[0.0] < 0.3


def test_frame_smaller_than_the_crop() -> None:
    frame, mask = drawn_square()
    crop, crop_mask, *_ = training_crop(
        frame[40:60, 80:120], mask[40:60, 80:120], None, GEOMETRY, np.random.default_rng(0)
    )
    assert crop.shape == (96, 96, 3)
    assert np.array_equal(crop[..., 0] < 120, crop_mask)


def test_photometric_changes_colours_but_not_the_mask() -> None:
    frame, mask = drawn_square()
    plain = training_crop(frame, mask, None, GEOMETRY, np.random.default_rng(4))
    how = Augmentation(crop=96)
    changed = training_crop(frame, mask, None, how, np.random.default_rng(4))
    assert np.array_equal(plain[1], changed[1])
    assert not np.array_equal(plain[0], changed[0])
    assert changed[0][changed[1]].mean() + 40 < changed[0][~changed[1]].mean()


def test_same_seed_same_crop() -> None:
    frame, mask = drawn_square()
    first, second = (
        training_crop(frame, mask, None, Augmentation(crop=64), np.random.default_rng(9))
        for _ in range(2)
    )
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
