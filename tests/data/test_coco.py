"""COCO files against masks drawn by hand and by pycocotools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scnet_edge.data.datasets import open_dataset
from scnet_edge.data.outlines import polygon_mask
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
    polygon = [[5, 4, 21, 4, 21, 11, 5, 11]]  # from corner to corner
    path = survey(tmp_path, [polygon, lengths(rectangle())])
    first, second, *others = open_dataset(f"coco:{path}", "all")
    assert np.array_equal(first.read_mask(), rectangle())
    assert np.array_equal(second.read_mask(), rectangle())
    assert not any(sample.read_mask().any() for sample in others)
    assert first.read_frame().shape == (*SIZE, 3)
    assert [len(open_dataset(f"coco:{path}", s)) for s in ("train", "test")] == [5, 1]


def test_compressed_run_lengths_are_those_of_pycocotools(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    rng = np.random.default_rng(0)
    masks = [rectangle(), *(rng.random(SIZE) < share for share in (0.01, 0.3, 0.7))]
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
    assert str(caught.value).startswith(f"{path}: annotation 1 of 1.png: ")
    assert "\n" not in str(caught.value)


def test_an_image_without_a_size_is_one_line(tmp_path: Path) -> None:
    flat = {"id": 1, "file_name": "1.png", "height": -20, "width": 30}
    path = survey(tmp_path, [], images=[flat])
    with pytest.raises(InputError, match=r"expected a COCO file .*>= 1"):
        open_dataset(f"coco:{path}", "all")


@pytest.mark.parametrize("width_px", [1.5, 2.0, 3.0, 6.0])
def test_an_outlined_crack_is_as_wide_as_it_was_drawn(width_px: float) -> None:
    rng, length_px, widths_px = np.random.default_rng(0), 100.0, []
    for angle in np.radians(np.arange(0, 95, 5)):
        along = np.array([np.cos(angle), np.sin(angle)]) * length_px
        across = np.array([-np.sin(angle), np.cos(angle)]) * width_px / 2
        start = rng.uniform(10, 12, 2)
        corners = [start - across, start + along - across, start + along + across, start + across]
        mask = polygon_mask([[float(v) for corner in corners for v in corner]], (130, 130))
        widths_px.append(mask.sum() / length_px)
    assert np.mean(widths_px) == pytest.approx(width_px, abs=0.15)


def of_one_image(folder: Path, name: str, image: str, **changes: Any) -> str:
    """Write an image and a COCO file that names it; return the data set."""
    (folder / image).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / image), np.full((*SIZE, 3), 90, np.uint8))
    coco = {
        "images": [{"id": 7, "file_name": "w 0.png", "height": SIZE[0], "width": SIZE[1]}],
        "annotations": [{"id": 3, "image_id": 7, "segmentation": [[5, 4, 21, 4, 21, 11, 5, 11]]}],
    } | changes
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(coco))
    return f"coco:{folder / name}"


@pytest.mark.parametrize(
    ("name", "image", "called"),
    [
        ("instances.json", "w 0.png", "w 0.png"),
        ("instances.json", "images/w 0.png", "w 0.png"),
        ("annotations/instances_default.json", "images/w 0.png", "w 0.png"),  # CVAT
        ("annotations/instances_train.json", "images/train/w 0.png", "w 0.png"),  # CVAT
        ("annotations/instances_train2017.json", "train2017/w 0.png", "w 0.png"),  # COCO itself
        ("train/_annotations.coco.json", "train/w 0.png", "w 0.png"),  # Roboflow
        ("result.json", "images/w 0.png", "images\\w 0.png"),  # Label Studio on Windows
        ("result.json", "images/w 0.png", "../../media/upload/1/w%200.png"),  # and elsewhere
        ("export/coco.json", "snapshots/w 0.png", "snapshots/w 0.png"),
        ("a.json", "images/w 0.png", "C:\\pictures\\w 0.png"),
    ],
)
def test_images_are_found_where_tools_put_them(
    tmp_path: Path, name: str, image: str, called: str
) -> None:
    images = [{"id": 7, "file_name": called, "height": SIZE[0], "width": SIZE[1]}]
    [sample] = open_dataset(of_one_image(tmp_path, name, image, images=images), "all")
    assert sample.image == tmp_path / image
    assert np.array_equal(sample.read_mask(), rectangle())


def test_what_a_brush_painted_is_crack_though_cvat_calls_it_a_crowd(tmp_path: Path) -> None:
    painted = {"id": 1, "image_id": 7, "iscrowd": 1, "segmentation": lengths(rectangle())}
    [sample] = open_dataset(
        of_one_image(tmp_path, "a.json", "w 0.png", annotations=[painted]), "all"
    )
    assert np.array_equal(sample.read_mask(), rectangle())


@pytest.mark.parametrize("outline", [[], None])
def test_a_box_without_an_outline_is_refused_by_name(tmp_path: Path, outline: Any) -> None:
    box = {"id": 3, "image_id": 7, "bbox": [1, 1, 9, 9], "segmentation": outline}
    spec = of_one_image(tmp_path, "a.json", "w 0.png", annotations=[box])
    with pytest.raises(InputError, match=r"annotation 3 of w 0\.png: no outline"):
        open_dataset(spec, "all")


def test_the_user_says_which_of_several_categories_are_crack(tmp_path: Path) -> None:
    crack, spall = [5, 4, 21, 4, 21, 11, 5, 11], [22, 12, 28, 12, 28, 18, 22, 18]
    annotations = [
        {"id": i, "image_id": 7, "category_id": i, "segmentation": [shape]}
        for i, shape in ((1, crack), (2, spall))
    ]
    categories = [{"id": 1, "name": "crack"}, {"id": 2, "name": "spalling"}, {"id": 0, "name": "x"}]
    changes = {"annotations": annotations, "categories": categories}
    spec = of_one_image(tmp_path, "a.json", "w 0.png", **changes)
    with pytest.raises(InputError, match=r"2 categories \(crack, spalling\).*\?categories=crack"):
        open_dataset(spec, "all")
    [sample] = open_dataset(f"{spec}?categories=crack", "all")
    assert np.array_equal(sample.read_mask(), rectangle())
    [both] = open_dataset(f"{spec}?categories=crack,spalling", "all")
    assert both.read_mask().sum() == rectangle().sum() + 36
    with pytest.raises(InputError, match="no 'joint', expected crack, spalling"):
        open_dataset(f"{spec}?categories=joint", "all")
    with pytest.raises(InputError, match=r"expected \?categories="):
        open_dataset(f"{spec}?category=crack", "all")


def test_a_wrong_size_names_the_image(tmp_path: Path) -> None:
    images = [{"id": 7, "file_name": "w 0.png", "height": SIZE[1], "width": SIZE[0]}]
    annotations = [{"id": 3, "image_id": 7, "segmentation": [[1, 1, 9, 1, 9, 9]]}]
    spec = of_one_image(tmp_path, "a.json", "w 0.png", images=images, annotations=annotations)
    with pytest.raises(InputError, match=r"w 0\.png: expected .*a\.json, 20x30 px, found 30x20 px"):
        open_dataset(spec, "all")[0].read_mask()


def test_two_images_of_one_file_are_refused(tmp_path: Path) -> None:
    images = [
        {"id": i, "file_name": f"{i}/w 0.png", "height": SIZE[0], "width": SIZE[1]} for i in (7, 8)
    ]
    with pytest.raises(InputError, match=r"two of its images are .*w 0\.png"):
        open_dataset(of_one_image(tmp_path, "a.json", "w 0.png", images=images), "all")


def test_corners_far_outside_take_no_memory(tmp_path: Path) -> None:
    far = [{"id": 3, "image_id": 7, "segmentation": [[0, 0, 1e9, 0, 1e9, 1e9]]}]
    with pytest.raises(InputError, match=r"w 0\.png: a polygon has corners far outside"):
        open_dataset(of_one_image(tmp_path, "a.json", "w 0.png", annotations=far), "all")
