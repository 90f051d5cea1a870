"""COCO files against masks drawn by hand and by pycocotools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scnet_edge.data.datasets import open_dataset
from scnet_edge.errors import InputError

SIZE = (20, 30)


def rectangle() -> np.ndarray:
    mask = np.zeros(SIZE, np.bool_)
    mask[4:11, 5:21] = True
    return mask


def lengths(mask: np.ndarray) -> dict[str, Any]:
    """Return uncompressed run lengths, column by column, beginning with 0."""
    flat = mask.ravel(order="F").astype(int)
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *ends, flat.size]).tolist()
    return {"size": list(SIZE), "counts": [0, *runs] if flat[0] else runs}


def survey(folder: Path, segmentations: list[Any], **changes: Any) -> Path:
    (folder / "images").mkdir()
    for i in range(6):
        cv2.imwrite(str(folder / "images" / f"{i}.png"), np.full((*SIZE, 3), 90, np.uint8))
    coco = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "height": SIZE[0], "width": SIZE[1], "licence": 1}
            for i in range(6)
        ],
        "annotations": [
            {"id": i, "image_id": i % 6, "category_id": 1, "segmentation": s}
            for i, s in enumerate(segmentations)
        ],
    } | changes
    path = folder / "annotations.json"
    path.write_text(json.dumps(coco))
    return path


def test_polygons_and_run_lengths_are_drawn(tmp_path: Path) -> None:
    polygon = [[5, 4, 20, 4, 20, 10, 5, 10]]
    path = survey(tmp_path, [polygon, lengths(rectangle())])
    first, second, *others = open_dataset(f"coco:{path}", "all")
    assert np.array_equal(first.read_mask(), rectangle())
    assert np.array_equal(second.read_mask(), rectangle())
    assert not any(sample.read_mask().any() for sample in others)
    assert first.read_frame().shape == (*SIZE, 3)
    assert [len(open_dataset(f"coco:{path}", s)) for s in ("train", "test")] == [5, 1]


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # inside pycocotools
def test_compressed_run_lengths_are_those_of_pycocotools(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    rng = np.random.default_rng(0)
    masks = [rectangle(), *(rng.random(SIZE) < share for share in (0.01, 0.3, 0.9))]
    packed = [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
    texts = [{"size": p["size"], "counts": p["counts"].decode()} for p in packed]
    samples = open_dataset(f"coco:{survey(tmp_path, texts)}", "all")
    for sample, mask in zip(samples, masks, strict=False):
        assert np.array_equal(sample.read_mask(), mask)


def test_several_annotations_are_one_mask(tmp_path: Path) -> None:
    a, b = [[0, 0, 9, 0, 9, 5]], [[20, 10, 29, 10, 29, 19]]
    path = survey(tmp_path, [a] + [[[0, 0, 1, 0, 1, 1]]] * 5 + [b])
    mask = open_dataset(f"coco:{path}", "all")[0].read_mask()
    assert mask[1, 8]
    assert mask[12, 28]


@pytest.mark.parametrize(
    ("segmentations", "changes", "line"),
    [
        ([[[1, 2, 3]]], {}, "under 3 points"),
        ([], {"annotations": [{"image_id": 77, "segmentation": []}]}, "image 77, not listed"),
        ([], {"images": [{"id": 1}]}, "expected a COCO file"),
        (
            [],
            {"images": [{"id": 1, "file_name": "x.png", "height": 2, "width": 2}]},
            "image x.png is neither",
        ),
    ],
)
def test_broken_files_are_one_line(
    tmp_path: Path, segmentations: list[Any], changes: dict[str, Any], line: str
) -> None:
    path = survey(tmp_path, segmentations, **changes)
    with pytest.raises(InputError, match=line) as caught:
        open_dataset(f"coco:{path}", "all")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "line"),
    [
        ({"counts": [5, 6]}, "do not fill its image: expected 600 pixels, found 11"),
        ({"counts": [-5, 605]}, r"Expected `int` >= 0 - at `\$\.counts\[0\]`"),
        ({"counts": [595, "5"]}, r"Expected `int`, got `str`"),
        ({"counts": [0.5, 599.5]}, r"Expected `int`, got `float`"),
        ({"counts": 600}, r"Expected `str \| array`, got `int`"),
        ({}, "missing required field `counts`"),
        ({"counts": [600], "size": [30, 20]}, r"size \(20, 30\), found \(30, 20\)"),
        ({"counts": [600], "size": "20x30"}, r"Expected `array \| null`, got `str`"),
        ({"counts": "!!"}, "found text that is none"),
        ({"counts": "röhre"}, "found text that is none"),
        ({"counts": "____"}, "found text that is none"),
        ({"counts": "O"}, "found text that is none"),
        ({"counts": "0"}, "do not fill its image: expected 600 pixels, found 0"),
        ({"counts": ""}, "do not fill its image"),
    ],
)
def test_bad_run_lengths_are_one_line_that_names_the_annotation(
    tmp_path: Path, shape: dict[str, Any], line: str
) -> None:
    path = survey(tmp_path, [lengths(rectangle()), {"size": list(SIZE)} | shape])
    with pytest.raises(InputError, match=line) as caught:
        open_dataset(f"coco:{path}", "all")
    assert str(caught.value).startswith(f"{path}: annotation 1: ")
    assert "\n" not in str(caught.value)


def test_an_image_without_a_size_is_one_line(tmp_path: Path) -> None:
    flat = {"id": 1, "file_name": "1.png", "height": -20, "width": 30}
    path = survey(tmp_path, [], images=[flat])
    with pytest.raises(InputError, match=r"expected a COCO file .*>= 1"):
        open_dataset(f"coco:{path}", "all")
