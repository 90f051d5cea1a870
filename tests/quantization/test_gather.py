"""From what a user names to frames: every one that was read is accounted for."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.errors import InputError
from scnet_edge.quantization.gather_frames import gather
from scnet_edge.simulation.clip import render_stills

SIZE = (96, 128)


def frames(count: int, seed: int = 21) -> list[np.ndarray]:
    return [frame for frame, _ in render_stills(count, SIZE, seed=seed)]


def written(folder: Path, images: list[np.ndarray]) -> str:
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        cv2.imwrite(str(folder / f"{i:02}.png"), image)
    return str(folder)


def data_set(folder: Path, images: list[np.ndarray], split: str) -> str:
    written(folder / split / "images", images)
    written(folder / split / "masks", [np.zeros(SIZE, np.uint8)] * len(images))
    return f"folder:{folder}"


def test_all_that_were_read_are_counted(tmp_path: Path) -> None:
    whole = frames(20)
    found = gather([written(tmp_path / "f", [*whole, whole[3]])], 8, SIZE)
    assert (found.read, found.validating, found.repeats, found.twins) == (21, 0, 1, 0)
    assert len(found.chosen) == 8
    assert found.judged_name == "the masks of FP32 on 12 frames that were not chosen"
    kept = data_set(tmp_path / "v", whole[:1], "train")
    found = gather([str(tmp_path / "f")], 8, SIZE, validation=kept)
    # the repeat is a repeat of another, which is not among those that validate
    assert (found.read, found.validating, found.repeats, found.twins) == (21, 1, 1, 0)
    assert [a.name for a in found.judged] == ["00"]
    assert found.source.startswith("8 of 21 frames of")


@pytest.mark.parametrize(("option", "split"), [("validation", "train"), ("evaluation", "test")])
def test_swapped_frames_are_refused_beside_others(option: str, split: str, tmp_path: Path) -> None:
    source = written(tmp_path / "f", [f[..., ::-1] for f in frames(10)])
    spec = data_set(tmp_path / "d", frames(10, seed=5), split)
    given = {option: spec if option == "validation" else [spec]}
    with pytest.raises(InputError, match=r"same order throughout, found .* bluer than red where"):
        gather([source], 8, SIZE, **given)
    assert gather([source], 8, SIZE, colours_checked=True, **given).chosen
    assert gather([source], 8, SIZE).chosen  # nothing to compare with
