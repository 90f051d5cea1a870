"""labelme's files, as it writes them on Linux and Windows."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scnet_edge.data.datasets import open_dataset
from scnet_edge.errors import InputError

SIZE = (20, 30)
CORNERS = [[5, 4], [21, 4], [21, 11], [5, 11]]


def crack() -> np.ndarray:
    mask = np.zeros(SIZE, np.bool_)
    mask[4:11, 5:21] = True
    return mask


def annotated(folder: Path, shapes: list[dict[str, Any]], *, called: str = "w0.png") -> str:
    (folder / "images").mkdir()
    cv2.imwrite(str(folder / "images" / "w0.png"), np.full((*SIZE, 3), 90, np.uint8))
    file = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": called,
        "imageData": None,
        "imageHeight": SIZE[0],
        "imageWidth": SIZE[1],
    }
    (folder / "w0.json").write_text(json.dumps(file))
    (folder / "._w0.json").write_bytes(b"left by another system")
    return f"labelme:{folder}"


def shape(label: str = "crack", **changes: Any) -> dict[str, Any]:
    known = {"label": label, "points": CORNERS, "group_id": None, "shape_type": "polygon"}
    return known | changes


@pytest.mark.parametrize("called", ["w0.png", "images\\w0.png", "..\\images\\w0.png"])
def test_polygons(tmp_path: Path, called: str) -> None:
    [sample] = open_dataset(annotated(tmp_path, [shape()], called=called), "all")
    assert np.array_equal(sample.read_mask(), crack())
    assert sample.name == "w0"


def test_a_painted_mask(tmp_path: Path) -> None:
    png = cv2.imencode(".png", np.full((7, 16), 255, np.uint8))[1].tobytes()
    text = base64.b64encode(png).decode()
    painted = shape(shape_type="mask", points=[[5, 4], [20, 10]], mask=text)
    [sample] = open_dataset(annotated(tmp_path, [painted]), "all")
    assert np.array_equal(sample.read_mask(), crack())


def test_labels_are_chosen(tmp_path: Path) -> None:
    spec = annotated(tmp_path, [shape(), shape("joint", points=[[0, 15], [9, 15], [9, 19]])])
    with pytest.raises(InputError, match=r"2 categories \(crack, joint\)"):
        open_dataset(spec, "all")
    [sample] = open_dataset(f"{spec}?categories=crack", "all")
    assert np.array_equal(sample.read_mask(), crack())


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        (shape(shape_type="rectangle", points=[[1, 1], [5, 5]]), "a rectangle 'crack' of w0.png"),
        (shape(shape_type="linestrip"), "a linestrip 'crack' of w0.png"),
        (shape(points=[[1, 1], [5, 5]]), "w0.png: a polygon has under 3 points"),
        (shape(shape_type="mask", mask="!!"), "w0.png: expected a PNG in base64"),
    ],
)
def test_what_has_no_area_is_one_line(tmp_path: Path, broken: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line) as caught:
        open_dataset(annotated(tmp_path, [broken]), "all")
    assert "\n" not in str(caught.value)


def test_another_json_file_is_named(tmp_path: Path) -> None:
    spec = annotated(tmp_path, [shape()])
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(InputError, match=r"notes\.json: expected a file of labelme"):
        open_dataset(spec, "all")
