"""Coloured masks as CVAT writes them in its export "Segmentation mask 1.1"."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from scnet_edge.data.datasets import open_dataset
from scnet_edge.errors import InputError

SIZE_HW = (20, 40)
CRACK, GAP, VOID = (250, 50, 83), (61, 61, 245), (224, 224, 192)
LABELS = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncrack:250,50,83::\n"


def colours(palette: bool = False) -> Image.Image:
    """Return a mask with a crack, and pixels of VOC's edge around it that nobody knows."""
    rgb = np.zeros((*SIZE_HW, 3), np.uint8)
    rgb[3:12, 4:22] = VOID
    rgb[4:11, 5:21] = CRACK
    return (
        Image.fromarray(rgb).convert("P", palette=Image.Palette.ADAPTIVE)
        if palette
        else Image.fromarray(rgb)
    )


def write(
    root: Path, names: list[str], mask: Image.Image | None = None, labels: str = LABELS
) -> None:
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        cv2.imwrite(str(root / "JPEGImages" / f"{name}.jpg"), np.full((*SIZE_HW, 3), 90, np.uint8))
        (mask or colours()).save(root / "SegmentationClass" / f"{name}.png")
    (root / "ImageSets/Segmentation/default.txt").write_text("\n".join(names) + "\n")
    (root / "labelmap.txt").write_text(labels)


@pytest.mark.parametrize("palette", [False, True])
def test_the_colour_of_the_label_is_crack_and_the_edge_is_ignored(
    tmp_path: Path, palette: bool
) -> None:
    write(tmp_path, ["a"], colours(palette))
    [sample] = open_dataset(f"voc:{tmp_path}", "all")
    truth = sample.read_truth()
    crack, void = np.zeros((2, *SIZE_HW), np.bool_)
    crack[4:11, 5:21] = void[3:12, 4:22] = True
    np.testing.assert_array_equal(truth.crack, crack)
    assert truth.ignored is not None
    np.testing.assert_array_equal(truth.ignored, void & ~crack)


def test_of_several_labels_a_user_chooses(tmp_path: Path) -> None:
    rgb = np.zeros((*SIZE_HW, 3), np.uint8)
    rgb[4:11, 5:21], rgb[15:17, 5:21] = CRACK, GAP
    write(tmp_path, ["a"], Image.fromarray(rgb), LABELS + "gap:61,61,245::\n")
    with pytest.raises(InputError, match=r"2 categories \(crack, gap\).*categories=crack"):
        open_dataset(f"voc:{tmp_path}", "all")
    for name, pixels in (("crack", 7 * 16), ("gap", 2 * 16), ("crack,gap", 9 * 16)):
        [sample] = open_dataset(f"voc:{tmp_path}?categories={name}", "all")
        assert sample.read_mask().sum() == pixels


def test_its_splits_are_kept(tmp_path: Path) -> None:
    write(tmp_path, ["a", "b", "c"])
    lists = tmp_path / "ImageSets/Segmentation"
    (lists / "Train.txt").write_text("a\nfolder/b\n")
    (lists / "Test.txt").write_text("c\n")
    assert [s.name for s in open_dataset(f"voc:{tmp_path}", "train")] == ["a", "b"]
    assert [s.name for s in open_dataset(f"voc:{tmp_path}", "test")] == ["c"]
    (lists / "Test.txt").write_text("")
    with pytest.raises(InputError, match="1 images are in no list"):
        open_dataset(f"voc:{tmp_path}", "train")


def test_a_label_without_a_colour_has_that_of_its_line(tmp_path: Path) -> None:
    """As datumaro 1.13 writes a set that has no colours; the values are those of its masks."""
    rgb = np.zeros((*SIZE_HW, 3), np.uint8)
    rgb[4:6], rgb[8:9], rgb[11:14] = (128, 0, 0), (0, 128, 0), (128, 128, 0)
    write(tmp_path, ["a"], Image.fromarray(rgb), "background:::\ncrack:::\ngap:::\njoint:::\n")
    for name, rows in (("crack", 2), ("gap", 1), ("joint", 3)):
        [sample] = open_dataset(f"voc:{tmp_path}?categories={name}", "all")
        assert sample.read_mask().sum() == rows * SIZE_HW[1]


def test_a_colour_without_a_label_is_named(tmp_path: Path) -> None:
    write(tmp_path, ["a"], labels="background:0,0,0::\ncrack:1,2,3::\n")
    [sample] = open_dataset(f"voc:{tmp_path}", "all")
    with pytest.raises(InputError, match=r"a\.png: the colour 250,50,83 is no label"):
        sample.read_mask()


@pytest.mark.parametrize("labels", ["crack:250,50::", "crack:250,50,300::"])
def test_a_damaged_list_of_labels_is_one_line(tmp_path: Path, labels: str) -> None:
    write(tmp_path, ["a"], labels=labels)
    with pytest.raises(InputError, match=r"labelmap\.txt, line 1: expected label:R,G,B"):
        open_dataset(f"voc:{tmp_path}", "all")
    (tmp_path / "labelmap.txt").unlink()
    with pytest.raises(InputError, match=r"labelmap\.txt: missing"):
        open_dataset(f"voc:{tmp_path}", "all")
