"""Masks as tools write them: each gives the drawn crack, or one line that names it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from scnet_edge.data.masks import check_classes, read_mask
from scnet_edge.data.pictures import turn
from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError

SIZE = (24, 40)
CRACK = np.zeros(SIZE, np.bool_)
CRACK[10:13, 4:30] = True
RING = (cv2.dilate(CRACK.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & ~CRACK


def stacked(grey: int, alpha: np.ndarray) -> np.ndarray:
    return np.dstack([np.full((*SIZE, 3), grey, np.uint8), alpha.astype(np.uint8)])


def in_colour(bgr: tuple[int, int, int]) -> np.ndarray:
    return np.where(CRACK[..., None], np.uint8(bgr), np.uint8(0))


@pytest.mark.parametrize(
    "pixels",
    [
        CRACK * np.uint8(255),
        CRACK * np.uint8(1),
        CRACK * np.uint16(65535),
        CRACK * np.uint16(255),
        CRACK * np.uint16(1),
        CRACK * np.uint16(4095),
        in_colour((255, 255, 255)),
        in_colour((0, 0, 255)),
        stacked(255, np.full(SIZE, 255)) * CRACK[..., None] + stacked(0, 255 * ~CRACK),
        stacked(0, 255 * CRACK),
        stacked(255, 255 * CRACK),
        stacked(90, 128 * CRACK),
    ],
    ids=[
        "255",
        "1",
        "65535",
        "16-bits-255",
        "16-bits-1",
        "12-bits",
        "RGB",
        "red",
        "opaque",
        "black",
        "white",
        "translucent",
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_what_means_crack_is_crack(tmp_path: Path, pixels: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"mask{suffix}"
    assert cv2.imwrite(str(path), pixels)
    for exact in (False, True):
        truth = read_mask(path, exact=exact)
        assert np.array_equal(truth.crack, CRACK)
        assert truth.ignored is None


@pytest.mark.parametrize("full", [np.uint8(255), np.uint16(65535)])
def test_a_label_map_ignores_its_largest_number(tmp_path: Path, full: np.generic) -> None:
    labels = CRACK.astype(full.dtype)
    labels[RING] = full
    cv2.imwrite(str(tmp_path / "mask.png"), labels)
    truth = read_mask(tmp_path / "mask.png")
    assert np.array_equal(truth.crack, CRACK)
    assert truth.ignored is not None
    assert np.array_equal(truth.ignored, RING)


def test_one_label_map_says_what_the_others_beside_it_mean(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = CRACK.astype(np.uint8)
    labels[RING] = 255
    for name, pixels in (("a", RING * np.uint8(255)), ("b", labels), ("c", CRACK * np.uint8(1))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
    bare = read_mask(tmp_path / "a.png")
    assert not bare.crack.any()
    assert bare.ignored is not None
    assert np.array_equal(bare.ignored, RING)
    assert np.array_equal(read_mask(tmp_path / "c.png").crack, CRACK)
    read_mask(tmp_path / "b.png")
    assert len(caplog.messages) == 1
    assert "1 is crack, the largest is ignored" in caplog.text


def test_masks_that_disagree_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), CRACK * np.uint8(255))
    cv2.imwrite(str(tmp_path / "b.png"), CRACK * np.uint8(1))
    assert np.array_equal(read_mask(tmp_path / "a.png", exact=True).crack, CRACK)
    with pytest.raises(InputError, match=r"a\.png: 0 and 255, but others beside it are 0 and 1"):
        read_mask(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("palette", "numbers"),
    [
        ([0, 0, 0, 255, 255, 255], (0, 1)),
        ([255, 255, 255, 0, 0, 0], (1, 0)),
        ([0, 0, 0, 128, 0, 0], (0, 1)),
    ],
    ids=["black and white", "white and black", "VOC"],
)
def test_palettes(tmp_path: Path, palette: list[int], numbers: tuple[int, int]) -> None:
    image = Image.fromarray(np.where(CRACK, *numbers[::-1]).astype(np.uint8), "L")
    image.putpalette(palette)
    image.save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png").crack, CRACK)


def test_a_palette_of_labels_with_a_void(tmp_path: Path) -> None:
    labels = CRACK.astype(np.uint8)
    labels[RING] = 255
    image = Image.fromarray(labels, "L")
    image.putpalette([0, 0, 0, 128, 0, 0, *[9] * (253 * 3), 224, 224, 192])
    image.save(tmp_path / "mask.png")
    truth = read_mask(tmp_path / "mask.png")
    assert truth.ignored is not None
    assert np.array_equal(truth.crack, CRACK)
    assert np.array_equal(truth.ignored, RING)


def test_one_bit(tmp_path: Path) -> None:
    Image.fromarray(CRACK).save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png").crack, CRACK)


def test_the_noise_of_a_jpeg_is_no_label(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 3, SIZE).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "black.jpg"), noise, [cv2.IMWRITE_JPEG_QUALITY, 100])
    assert not read_mask(tmp_path / "black.jpg").crack.any()
    big = np.kron(CRACK * np.uint8(255), np.ones((8, 8), np.uint8))
    cv2.imwrite(str(tmp_path / "crack.jpg"), big)
    assert np.array_equal(read_mask(tmp_path / "crack.jpg").crack[4::8, 4::8], CRACK)
    with pytest.raises(InputError, match="threshold it"):
        read_mask(tmp_path / "crack.jpg", exact=True)


@pytest.mark.parametrize(
    ("pixels", "line"),
    [
        (CRACK * np.uint8(2), "nothing above 2"),
        (CRACK * np.uint8(1) + RING * np.uint8(2), "nothing above 2"),
        (CRACK * np.uint8(2) + RING * np.uint8(255), "label numbers 0, 2, 255"),
        (np.select([CRACK, RING], [1, 2], 255), "label numbers 0, 1, 2, 255"),
        (in_colour((0, 0, 255)) + RING[..., None] * np.uint8([0, 255, 0]), "a colour image"),
        (np.dstack([in_colour((9, 90, 250)) + np.uint8(3), 255 * CRACK + 9]), "alpha both vary"),
        (np.random.default_rng(0).integers(0, 256, SIZE, np.uint8), "mostly grey"),
    ],
    ids=["label 2", "labels", "2 and ignored", "labels and ignored", "colours", "alpha", "photo"],
)
def test_what_cannot_be_told_is_one_line_that_names_the_mask(
    tmp_path: Path, pixels: np.ndarray, line: str
) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), pixels.astype(np.uint8))
    with pytest.raises(InputError, match=rf"mask\.png: .*{line}") as caught:
        read_mask(tmp_path / "mask.png")
    assert "\n" not in str(caught.value)


def turned_sample(folder: Path, orientation: int, mask: np.ndarray, *, mask_turned: bool) -> Sample:
    """Write a wall whose crack is dark where `mask` is, stored so that EXIF turns it upright."""
    frame = np.where(mask, 60, 170).astype(np.uint8)
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    stored = Image.fromarray(np.ascontiguousarray(turn(frame, inverse)))
    exif = stored.getexif()
    exif[0x0112] = orientation
    stored.save(folder / "w.jpg", exif=exif, quality=95)
    drawn = mask if mask_turned else turn(mask, inverse)
    cv2.imwrite(str(folder / "m.png"), np.ascontiguousarray(drawn) * np.uint8(255))
    return Sample(folder / "w.jpg", folder / "m.png")


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_mask_is_turned_as_its_image_is_or_refused(tmp_path: Path, orientation: int) -> None:
    mask = np.zeros((64, 64), np.bool_)
    mask[10:13, 5:50], mask[10:30, 47:50] = True, True
    frame, truth = turned_sample(tmp_path, orientation, mask, mask_turned=True).read_pair()
    assert np.array_equal(truth.crack, mask)
    assert frame[mask].mean() + 60 < frame[~mask].mean()
    sample = turned_sample(tmp_path, orientation, mask, mask_turned=False)
    with pytest.raises(InputError, match=rf"w\.jpg: turned by its EXIF orientation {orientation}"):
        sample.read_truth()


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_the_stored_size_is_told_of_the_orientation(
    tmp_path: Path, orientation: int
) -> None:
    mask = np.zeros((64, 40), np.bool_)
    mask[10:13, 5:30] = True
    sample = turned_sample(tmp_path, orientation, mask, mask_turned=False)
    with pytest.raises(InputError, match=rf"EXIF orientation {orientation}, the mask is not"):
        sample.read_truth()
    assert turned_sample(tmp_path, orientation, mask, mask_turned=True).read_mask().any()


@pytest.mark.parametrize(
    ("crack", "line"),
    [(0, "expected cracks in the masks of 3 images, found none"), (100, "invert them")],
)
def test_one_class_alone_is_refused(crack: int, line: str) -> None:
    with pytest.raises(InputError, match=line):
        check_classes(crack, 100, 3)


def test_mostly_crack_is_refused() -> None:
    check_classes(1, 100, 3)
    check_classes(50, 100, 3)
    with pytest.raises(InputError, match=r"51 % of the pixels of 3 images are crack, .*inverted"):
        check_classes(51, 100, 3)
