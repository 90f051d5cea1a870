"""The drawn wall has cracks of the width it states; borders and narrower masks are as stated."""

import cv2
import numpy as np

from benchmarks.drawn_width import border_of, sharpen
from benchmarks.whole_pictures import wall


def test_the_cracks_of_the_wall_are_5_px_wide() -> None:
    """By the area over the length of the middle lines, which the same seed gives once more."""
    frame, truth = wall(800, 600)
    random = np.random.default_rng(7)
    random.normal(0, 7, (50, 37))
    random.normal(0, 3, (800, 600))
    length_px = 0.0
    for _ in range(8):
        down = np.diff(np.cumsum(random.normal(0, 6, 20)))
        length_px += float(np.hypot(20, down).sum())
    assert abs(truth.sum() / length_px - 5) < 0.3  # round ends add 8 * 20 px, 0.05 px
    assert frame[truth].mean() < 80 < 140 < frame[~truth].mean()


def test_a_label_that_is_too_wide_has_bright_pixels_at_its_border() -> None:
    grey = np.full((80, 80), 160, np.float32)
    grey[30:50] = 40
    soft = cv2.GaussianBlur(grey, (0, 0), 0.8).round().astype(np.uint8)
    true, wide = np.zeros((80, 80), np.bool_), np.zeros((80, 80), np.bool_)
    true[30:50], wide[29:51] = True, True
    frame, nothing = np.dstack([soft] * 3), np.zeros((80, 80), np.float32)
    half_px = 0.734  # the normal distribution up to 0.5 px / 0.8 px
    np.testing.assert_allclose(
        border_of([(frame, true, nothing)]), (half_px, 1 - half_px), atol=0.02
    )
    assert border_of([(frame, wide, nothing)])[0] < 0.3


def test_a_rim_goes_and_a_faint_crack_stays() -> None:
    probability = np.zeros((12, 40), np.float32)
    probability[4], probability[3], probability[5] = 0.95, 0.5, 0.8  # a sure crack with a rim
    probability[10] = 0.45  # a faint one, further away than 2 px
    found = sharpen(probability, 0.4, 0.6)
    assert np.flatnonzero(found.any(1)).tolist() == [4, 5, 10]
    assert np.flatnonzero(sharpen(probability, 0.4, 0.0).any(1)).tolist() == [3, 4, 5, 10]
