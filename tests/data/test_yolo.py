"""Outlines as Ultralytics YOLO and Roboflow write them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.data.datasets import open_dataset
from scnet_edge.errors import InputError

SIZE = (20, 40)
CRACK = "0 0.125 0.2 0.525 0.2 0.525 0.55 0.125 0.55"
CROSS = "1 0.7 0.1 0.9 0.1 0.9 0.4"


def crack() -> np.ndarray:
    mask = np.zeros(SIZE, np.bool_)
    mask[4:11, 5:21] = True
    return mask


def write(images: Path, labels: Path, name: str, text: str | None) -> None:
    for folder in (images, labels):
        folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(images / f"{name}.jpg"), np.full((*SIZE, 3), 90, np.uint8))
    if text is not None:
        (labels / f"{name}.txt").write_text(text)


@pytest.mark.parametrize("folders", ["images/{0} labels/{0}", "{0}/images {0}/labels"])
def test_its_splits_are_kept(tmp_path: Path, folders: str) -> None:
    for part, count in (("train", 3), ("val", 2), ("test", 1)):
        images, labels = (tmp_path / name for name in folders.format(part).split())
        for i in range(count):
            write(images, labels, f"{part}{i}", CRACK + "\n")
    assert [s.image.stem for s in open_dataset(f"yolo:{tmp_path}", "test")] == ["test0"]
    assert len(open_dataset(f"yolo:{tmp_path}", "train")) == 5
    [sample] = open_dataset(f"yolo:{tmp_path}", "test")
    np.testing.assert_array_equal(sample.read_mask(), crack())


def test_without_a_test_split_the_validation_is_it(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        write(tmp_path / part / "images", tmp_path / part / "labels", part, CRACK)
    for split, name in (("train", "train"), ("test", "valid")):
        assert [s.image.stem for s in open_dataset(f"yolo:{tmp_path}", split)] == [name]


def test_classes_are_chosen_and_an_empty_file_is_no_crack(tmp_path: Path) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    write(images, labels, "a", f"{CRACK}\n{CROSS}\n")
    write(images, labels, "b", "")
    with pytest.raises(InputError, match=r"2 categories \(0, 1\).*categories=0"):
        open_dataset(f"yolo:{tmp_path}", "all")
    one, two = open_dataset(f"yolo:{tmp_path}?categories=0", "all")
    np.testing.assert_array_equal(one.read_mask(), crack())
    assert not two.read_mask().any()


def test_a_photograph_that_is_turned_has_its_outlines_upright(tmp_path: Path) -> None:
    from PIL import Image

    write(tmp_path / "images", tmp_path / "labels", "a", CRACK)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", SIZE).save(tmp_path / "images" / "a.jpg", exif=exif)  # upright 40 x 20
    [sample] = open_dataset(f"yolo:{tmp_path}", "all")
    np.testing.assert_array_equal(sample.read_mask(), crack())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("0 0.5 0.5 0.2 0.2", "line 1: expected a class and a polygon, found a box"),
        (f"{CRACK}\ncrack 0.1 0.1 0.2 0.2 0.3 0.1", "line 2: .* found class 'crack'"),
        ("0 0.1 0.1 0.2", "line 1: a polygon has under 3 points"),
        ("0 0.1 0.1 0.2 x 0.3 0.1", "line 1: expected a class and numbers"),
        ("0 0.1 0.1 900 0.2 0.3 0.1", "line 1: a polygon has corners far outside"),
        ("0 0.1 0.1 nan 0.2 0.3 0.1", "line 1: a polygon has corners far outside"),
        (None, "a.txt: missing; an image without a crack has an empty file"),
    ],
)
def test_what_is_no_outline_is_one_line(tmp_path: Path, text: str | None, line: str) -> None:
    write(tmp_path / "images", tmp_path / "labels", "a", text)
    with pytest.raises(InputError, match=line):
        open_dataset(f"yolo:{tmp_path}", "all")


def test_masks_beside_the_images_as_roboflow_exports_them(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        folder = tmp_path / part
        folder.mkdir()
        (folder / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, crack\n")
        cv2.imwrite(str(folder / "w_jpg.rf.1a.jpg"), np.full((*SIZE, 3), 90, np.uint8))
        cv2.imwrite(str(folder / "w_jpg.rf.1a_mask.png"), crack().astype(np.uint8))
    assert len(open_dataset(f"folder:{tmp_path}", "train")) == 2
    [sample] = open_dataset(f"folder:{tmp_path}", "test")
    np.testing.assert_array_equal(sample.read_mask(), crack())
