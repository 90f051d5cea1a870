"""Shares of pixels, counted by hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.data.augment import Augmentation
from scnet_edge.data.samples import Sample
from scnet_edge.data.statistics import count_samples
from scnet_edge.errors import InputError

PLAIN = Augmentation(crop=32, rotation_deg=0, scale=(1, 1), photometric="none", crack_bias=0)


def sample(folder: Path, name: str, mask: np.ndarray) -> Sample:
    image, drawn = folder / f"{name}.png", folder / f"{name}_mask.png"
    cv2.imwrite(str(image), np.full((*mask.shape, 3), 90, np.uint8))
    cv2.imwrite(str(drawn), mask.astype(np.uint8) * 255)
    return Sample(image, drawn)


def test_shares_are_those_of_all_pixels(tmp_path: Path) -> None:
    cracked, clean = np.zeros((40, 50), np.bool_), np.zeros((40, 100), np.bool_)
    cracked[:, 10:14] = True
    samples = [sample(tmp_path, "a", cracked), sample(tmp_path, "b", clean)]
    counted = count_samples(samples, how=PLAIN)
    assert (counted.images, counted.cracked) == (2, 1)
    assert counted.sizes == {"40x50": 1, "40x100": 1}
    assert counted.crack_percent == pytest.approx(100 * 160 / 6000)
    assert counted.crack_percent + counted.background_percent == pytest.approx(100)
    assert counted.crop_crack_percent > counted.crack_percent  # of crops with a crack alone


def test_classes_that_are_empty(tmp_path: Path) -> None:
    nothing, all_of_it = np.zeros((40, 50), np.bool_), np.ones((40, 50), np.bool_)
    with pytest.raises(InputError, match="expected cracks in the masks of 1 images"):
        count_samples([sample(tmp_path, "a", nothing)], how=PLAIN)
    with pytest.raises(InputError, match=r"b_mask\.png: 100 % of it is crack, .*invert"):
        count_samples([sample(tmp_path, "b", all_of_it)], how=PLAIN)


def test_images_without_masks_are_counted_as_what_they_are(tmp_path: Path) -> None:
    path = sample(tmp_path, "a", np.zeros((40, 50), np.bool_)).image
    sound = count_samples([Sample(path, path, "negative")], how=PLAIN)
    assert (sound.images, sound.cracked, sound.background_percent) == (1, 0, 100)
    somewhere = count_samples([Sample(path, path, "image-level")], how=PLAIN)
    assert (somewhere.images, somewhere.cracked, somewhere.sizes) == (1, 1, {"40x50": 1})


def test_inverted_masks_are_refused(tmp_path: Path) -> None:
    mask = np.ones((40, 50), np.bool_)
    mask[:, 10:14] = False
    with pytest.raises(InputError, match=r"a_mask\.png: 92 % of it is crack, .*invert"):
        count_samples([sample(tmp_path, "a", mask)], how=PLAIN)
    mask[:, 10:28] = False
    with pytest.raises(InputError, match=r"64 % of the pixels of 1 images are crack, .*invert"):
        count_samples([sample(tmp_path, "b", mask)], how=PLAIN)


def test_what_is_ignored_is_no_pixel_of_either_kind(tmp_path: Path) -> None:
    one = sample(tmp_path, "a", np.zeros((40, 50), np.bool_))
    labels = np.zeros((40, 50), np.uint8)
    labels[:, 10:20], labels[:, 20:25] = 255, 1
    cv2.imwrite(str(one.mask), labels)
    counted = count_samples([one], how=PLAIN)
    assert counted.crack_percent == pytest.approx(100 * 5 / 40)
    assert counted.background_percent == pytest.approx(100 * 35 / 40)
    assert counted.ignored_percent == pytest.approx(20)


def test_size_that_differs(tmp_path: Path) -> None:
    small = sample(tmp_path, "a", np.zeros((40, 50), np.bool_))
    other = sample(tmp_path, "b", np.zeros((40, 51), np.bool_))
    with pytest.raises(InputError, match=r"a\.png: expected .* 51x40 px, found 50x40 px"):
        count_samples([Sample(small.image, other.mask)], how=PLAIN)
