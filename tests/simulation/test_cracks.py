"""Drawn cracks against geometry and against a brute-force supersampling."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from scnet_edge.simulation.cracks import draw_crack, draw_strands, random_crack, truth_mask


def straight(angle_deg: float) -> np.ndarray:
    """Return the ends of a line of 220 px."""
    half = 110 * np.array([np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))])
    centre = np.array([128.3, 127.6])
    return np.stack([centre - half, centre + half])


@pytest.mark.parametrize("width_px", [1.5, 3.0, 8.0])
@pytest.mark.parametrize("angle_deg", [0, 17, 45, 62, 90, 133])
def test_a_straight_crack_covers_its_length_times_its_width(
    width_px: float, angle_deg: float
) -> None:
    area = 220 * width_px + np.pi * width_px**2 / 4  # with its round ends
    coverage = draw_crack(straight(angle_deg), width_px, (256, 256))
    assert coverage.sum() == pytest.approx(area, rel=0.02)


# Not 45 degrees: there whole diagonals of pixels, 0.7 px apart, pass the threshold together.
@pytest.mark.parametrize("width_px", [2.0, 3.0, 8.0])
@pytest.mark.parametrize("angle_deg", [0, 17, 38, 62, 90, 133])
def test_the_mask_has_the_area_of_the_crack(width_px: float, angle_deg: float) -> None:
    area = 220 * width_px + np.pi * width_px**2 / 4
    mask = truth_mask(draw_crack(straight(angle_deg), width_px, (256, 256)))
    assert mask.sum() == pytest.approx(area, rel=0.04)


def test_coverage_is_that_of_a_supersampled_disc_brush() -> None:
    points = np.array([[10.2, 12.7], [31.9, 20.1], [52.4, 47.3]])
    coverage = draw_crack(points, 5.0, (64, 64))
    sub = (np.arange(64 * 8) + 0.5) / 8 - 0.5
    at = np.stack(np.meshgrid(sub, sub), -1)  # (512, 512, 2)
    t = np.linspace(0, 1, 400)[:, None]
    path = np.concatenate([(1 - t) * a + t * b for a, b in pairwise(points)])
    near = np.min([np.hypot(*(at - p).transpose(2, 0, 1)) for p in path], axis=0) <= 2.5
    exact = near.reshape(64, 8, 64, 8).mean((1, 3))
    assert np.abs(coverage - exact).max() < 0.2
    assert np.abs(coverage - exact).mean() < 0.004


def test_width_follows_the_points() -> None:
    points = np.array([[20.0, 50.0], [180.0, 50.0]])
    profile = draw_crack(points, np.array([2.0, 8.0]), (100, 200)).sum(0)
    assert profile[[60, 100, 140]] == pytest.approx([3.5, 5.0, 6.5], abs=0.1)


def test_a_crack_outside_the_image_covers_nothing() -> None:
    assert not draw_crack(np.array([[-90.0, -90.0], [-30.0, -40.0]]), 6.0, (32, 48)).any()


def test_random_cracks_repeat_by_seed_and_stay_within_their_widths() -> None:
    def crack(seed: int):
        rng = np.random.default_rng(seed)
        return random_crack(rng, start_xy=(5, 90), end_xy=(290, 120), width_px=4, branches=2)

    first, again, other = crack(3), crack(3), crack(4)
    assert len(first) == 3
    widths = np.concatenate([strand.width_px for strand in first])
    assert 1.5 <= widths.min() < widths.max() <= 8
    coverage = draw_strands(first, (200, 300))
    assert coverage.dtype == np.float32
    assert coverage.shape == (200, 300)
    assert coverage.max() == 1
    np.testing.assert_array_equal(coverage, draw_strands(again, (200, 300)))
    assert not np.array_equal(coverage, draw_strands(other, (200, 300)))
    np.testing.assert_array_equal(truth_mask(coverage), coverage >= 0.5)


def test_a_random_crack_joins_its_ends() -> None:
    rng = np.random.default_rng(8)
    trunk = random_crack(rng, start_xy=(5, 9), end_xy=(190, 80), width_px=3, branches=0)[0]
    assert trunk.points_xy[0] == pytest.approx([5, 9], abs=3)
    assert trunk.points_xy[-1] == pytest.approx([190, 80], abs=3)
