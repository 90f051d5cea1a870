"""Small annotation files that ask for gigabytes or minutes are refused at once, in one line."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from scnet_edge.data.coco import read_coco
from scnet_edge.errors import InputError

FAR = 2.0**31
ZIGZAG = [float(v) for i in range(120_000) for v in (i % 2 * 90, i % 90)]


def coco(tmp_path: Path, segmentation: Any, *, size_hw: tuple[int, int] = (90, 90)) -> Path:
    (tmp_path / "a.png").touch()
    image = {"id": 1, "file_name": "a.png", "height": size_hw[0], "width": size_hw[1]}
    annotation = {"image_id": 1, "id": 1, "category_id": 1, "segmentation": segmentation}
    path = tmp_path / "coco.json"
    content = {"images": [image], "annotations": [annotation], "categories": []}
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("segmentation", "size_hw"),
    [
        ([[0, 0, FAR, 0, FAR, FAR]], (90, 90)),
        ([[0, 0, -FAR, 0, 5, 5]], (90, 90)),
        ([ZIGZAG], (90, 90)),
        ({"counts": [900_000_000], "size": [30_000, 30_000]}, (30_000, 30_000)),
        ([[0, 0, 5, 0, 5, 5]], (2**30, 2**30)),
        ({"counts": "o" * 500_000, "size": [90, 90]}, (90, 90)),
        ({"counts": [2**40], "size": [90, 90]}, (90, 90)),
    ],
    ids=["far", "far left", "many points", "900 MP", "size", "endless number", "long run"],
)
def test_it_is_refused_at_once(tmp_path: Path, segmentation: Any, size_hw: tuple[int, int]) -> None:
    path = coco(tmp_path, segmentation, size_hw=size_hw)
    start_s = time.process_time()
    with pytest.raises(InputError) as caught:
        list(read_coco(path))
    assert "\n" not in str(caught.value)
    assert time.process_time() - start_s < 20  # of this process, however busy the machine is


@pytest.mark.parametrize("content", [b"\xff\xfe", b'{"images":' + b"[" * 100_000, b"{}", b""])
def test_what_is_no_coco_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "coco.json").write_bytes(content)
    with pytest.raises(InputError, match="expected a COCO file"):
        list(read_coco(tmp_path / "coco.json"))
