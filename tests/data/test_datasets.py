"""Each layout as a tiny drawn folder, and the folders that must be refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from scnet_edge.data.datasets import open_dataset
from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError

SIZE = (20, 30)


def frame() -> np.ndarray:
    drawn = np.full((*SIZE, 3), (10, 120, 230), np.uint8)  # BGR: orange
    drawn[8:12] = 40
    return drawn


def truth() -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[8:12] = 255
    return mask


def thin(value: int) -> np.ndarray:
    """Return a mask whose crack is under a hundredth of it."""
    mask = np.zeros(SIZE, np.uint8)
    mask[10, 3:8] = value
    return mask


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def write_mat(path: Path) -> None:
    """Write a CrackForest annotation: 1 is background, 2 crack, 3 and 4 enclosed background."""
    labels = np.ones(SIZE, np.uint8)
    labels[truth() > 0] = 2
    labels[:4], labels[-4:] = 3, 4
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"groundTruth": {"Segmentation": labels, "Boundaries": labels == 2}})


def deepcrack(root: Path) -> None:
    for part, n in (("train", 3), ("test", 2)):
        for i in range(n):
            write(root / f"{part}_img" / f"{part}{i}.jpg", frame())
            write(root / f"{part}_lab" / f"{part}{i}.png", truth())


def crackforest(root: Path) -> None:
    for i in range(10):
        write(root / "image" / f"{i:03}.jpg", frame())
        write_mat(root / "groundTruth" / f"{i:03}.mat")


def masonry(root: Path) -> None:
    for i in range(10):
        write(root / "images" / f"{i}.png", frame())
        write(root / "masks" / f"{i}.png", truth())


def folder(root: Path) -> None:
    for i in range(10):
        write(root / "images" / f"{i}.jpg", frame())
        write(root / "masks" / f"{i}.bmp", truth())
    (root / "images" / "notes.txt").write_text("not an image")


def metu(root: Path) -> None:
    for i in range(10):
        write(root / "rgb" / f"{i:03}.jpg", frame())
        write(root / "BW" / f"{i:03}.jpg", truth())


def kolektorsdd2(root: Path) -> None:
    for part, n in (("train", 3), ("test", 2)):
        for i in range(n):
            write(root / part / f"{part}{i}.png", frame())
            write(root / part / f"{part}{i}_GT.png", truth())


def codebrim(root: Path) -> None:
    masonry(root)


LAYOUTS = {
    f.__name__: f for f in (deepcrack, crackforest, masonry, folder, metu, kolektorsdd2, codebrim)
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_give_frames_and_masks(tmp_path: Path, name: str) -> None:
    LAYOUTS[name](tmp_path)
    for sample in open_dataset(f"{name}:{tmp_path}", "all"):
        mask = sample.read_mask()
        assert mask.dtype == np.bool_
        assert np.array_equal(mask, truth() > 0)
        read = sample.read_frame()
        assert read.dtype == np.uint8
        assert np.abs(read[0, 0].astype(int) - (10, 120, 230)).max() < 12  # JPEG


@pytest.mark.parametrize(
    ("layout", "train", "test"),
    [
        (deepcrack, 3, 2),
        (crackforest, 8, 2),
        (masonry, 8, 2),
        (folder, 8, 2),
        (metu, 8, 2),
        (kolektorsdd2, 3, 2),
        (codebrim, 8, 2),
    ],
)
def test_splits(tmp_path: Path, layout: Callable[[Path], None], train: int, test: int) -> None:
    layout(tmp_path)
    spec = f"{layout.__name__}:{tmp_path}"
    names = {s: [x.name for x in open_dataset(spec, s)] for s in ("train", "test", "all")}
    assert (len(names["train"]), len(names["test"])) == (train, test)
    assert names["test"] == [x.name for x in open_dataset(spec, "test")]
    assert set(names["train"]) | set(names["test"]) == set(names["all"])
    assert not set(names["train"]) & set(names["test"])


@pytest.mark.parametrize(
    "spec",
    ["", "deepcrack", "deepcrack:", "cityscapes:{0}", "coco:{0}", "{0}", "deepcrack:{0}/none"],
)
def test_specs_that_name_nothing(tmp_path: Path, spec: str) -> None:
    with pytest.raises(InputError, match="data set"):
        open_dataset(spec.format(tmp_path))


def test_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images"):
        open_dataset(f"deepcrack:{tmp_path}")


def test_masks_with_the_name_that_mvtec_gives_them(tmp_path: Path) -> None:
    for name in ("000", "001", "wall_mask"):  # the last is an image of that name
        write(tmp_path / "images" / f"{name}.png", frame())
        write(tmp_path / "masks" / f"{name.removesuffix('_mask')}_mask.png", truth())
    samples = open_dataset(f"folder:{tmp_path}", "all")
    assert {(s.image.stem, s.mask.stem) for s in samples} == {
        ("000", "000_mask"),
        ("001", "001_mask"),
        ("wall_mask", "wall_mask"),
    }


def test_a_folder_of_another_layout_says_what_is_expected(tmp_path: Path) -> None:
    write(tmp_path / "ds0" / "img" / "a.png", frame())  # as Supervisely exports
    with pytest.raises(InputError, match=r"no images for split .* expected images/ and masks/"):
        open_dataset(f"folder:{tmp_path}", "all")


def test_too_few_images_for_a_test_split(tmp_path: Path) -> None:
    for i in range(4):
        write(tmp_path / "images" / f"{i}.png", frame())
        write(tmp_path / "masks" / f"{i}.png", truth())
    assert [len(open_dataset(f"folder:{tmp_path}", s)) for s in ("train", "all")] == [4, 4]
    with pytest.raises(InputError, match=r"images: expected at least 5 images, .* found 4"):
        open_dataset(f"folder:{tmp_path}", "test")


def test_image_without_mask(tmp_path: Path) -> None:
    deepcrack(tmp_path)
    (tmp_path / "test_lab" / "test1.png").unlink()
    with pytest.raises(InputError, match=r"test1\.jpg: no mask, expected .*test1\.png"):
        open_dataset(f"deepcrack:{tmp_path}")
    assert open_dataset(f"deepcrack:{tmp_path}", "train")


def test_unreadable_image_and_mask(tmp_path: Path) -> None:
    for name in ("image.jpg", "mask.png"):
        (tmp_path / name).write_bytes(b"no image at all")
    sample = Sample(tmp_path / "image.jpg", tmp_path / "mask.png")
    with pytest.raises(InputError, match=r"image\.jpg: not an image"):
        sample.read_frame()
    with pytest.raises(InputError, match=r"mask\.png: not an image"):
        sample.read_mask()


@pytest.mark.parametrize(
    ("mask", "line"),
    [
        (truth() // 85, "nothing above 3"),
        (truth() // 12, "nothing above 21"),
        (thin(20), "nothing above 20"),
        (thin(127), "nothing above 127"),
        (np.full(SIZE, 128, np.uint8), "mostly grey"),
        (np.random.default_rng(0).integers(0, 256, SIZE, np.uint8), "mostly grey"),
    ],
    ids=["labels", "more labels", "dark thin crack", "grey thin crack", "grey", "photo"],
)
def test_masks_that_are_not_binary(tmp_path: Path, mask: np.ndarray, line: str) -> None:
    write(tmp_path / "mask.png", mask)
    with pytest.raises(InputError, match=line):
        Sample(tmp_path / "mask.png", tmp_path / "mask.png").read_mask()


def test_soft_edges_of_a_mask_are_no_mistake(tmp_path: Path) -> None:
    soft = cv2.GaussianBlur(np.kron(truth(), np.ones((8, 8), np.uint8)), (0, 0), 2)
    write(tmp_path / "mask.jpg", soft)
    mask = Sample(tmp_path / "mask.jpg", tmp_path / "mask.jpg").read_mask()
    assert np.array_equal(mask[::8, ::8][9:11], truth()[9:11] > 0)


def test_a_mask_that_is_all_black_is_no_mistake(tmp_path: Path) -> None:
    write(tmp_path / "mask.jpg", np.zeros(SIZE, np.uint8))
    assert not Sample(tmp_path / "mask.jpg", tmp_path / "mask.jpg").read_mask().any()


def test_folder_of_two_splits(tmp_path: Path) -> None:
    for part, n in (("train", 3), ("test", 2)):
        for i in range(n):
            write(tmp_path / part / "images" / f"{part}{i}.png", frame())
            write(tmp_path / part / "masks" / f"{part}{i}.png", truth())
    spec = f"folder:{tmp_path}"
    assert [len(open_dataset(spec, s)) for s in ("train", "test", "all")] == [3, 2, 5]


def test_folder_that_is_all_test(tmp_path: Path) -> None:
    write(tmp_path / "test" / "images" / "a.png", frame())
    write(tmp_path / "test" / "masks" / "a.png", truth())
    assert [s.name for s in open_dataset(f"folder:{tmp_path}")] == ["a"]
    with pytest.raises(InputError, match="no images for split 'train'"):
        open_dataset(f"folder:{tmp_path}", "train")


def _text(path: Path) -> None:
    path.write_text("MATLAB, honestly")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path) -> None:
    savemat(path, {"labels": np.ones(SIZE)})


def _fieldless(path: Path) -> None:
    savemat(path, {"groundTruth": {"Boundaries": np.ones(SIZE)}})


def _truncated(path: Path) -> None:
    write_mat(path)
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize("spoil", [_text, _empty, _foreign, _fieldless, _truncated])
def test_bad_matlab_files_are_one_line(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(tmp_path / "001.mat")
    sample = Sample(tmp_path / "001.jpg", tmp_path / "001.mat")
    with pytest.raises(InputError, match=r"groundTruth\.Segmentation") as caught:
        sample.read_mask()
    assert "\n" not in str(caught.value)


@pytest.mark.data
@pytest.mark.skipif("SCNET_EDGE_DATA" not in os.environ, reason="SCNET_EDGE_DATA is not set")
def test_published_sizes_and_crack_shares() -> None:
    root = Path(os.environ["SCNET_EDGE_DATA"])
    train, test = (open_dataset(f"deepcrack:{root / 'deepcrack'}", s) for s in ("train", "test"))
    assert (len(train), len(test)) == (300, 237)
    assert {s.read_mask().shape for s in test[:20]} <= {(384, 544), (544, 384)}
    forest = open_dataset(f"crackforest:{root / 'crackforest'}", "all")
    assert len(forest) == 118
    share = np.mean([s.read_mask().mean() for s in forest])
    assert share == pytest.approx(0.01616, abs=1e-4)  # label 2 alone; above 1 it would be 0.02286
