import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from sink_frames import frame_result, recorder

from scnet_edge.errors import ConfigError
from scnet_edge.sinks.media import video_writer
from scnet_edge.sinks.run_folder import open_run_folder, output_folder

NAMES = {"masks", "overlay.mp4", "report.html", "results.jsonl"}


def write_run(out: Path, *, frames: int = 3, overwrite: bool = False) -> None:
    with (
        output_folder(out, overwrite=overwrite) as folder,
        open_run_folder(folder, recorder(), fps=10) as results,
    ):
        for i in range(frames):
            seen = frame_result(i)
            results.write(replace(seen, captured=replace(seen.captured, name=f"röhre-{i}")))
        results.write_page({"Source": "drawn"})


def test_a_run_leaves_masks_overlay_lines_and_page(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    write_run(out)
    assert {path.name for path in out.iterdir()} == NAMES
    png = np.frombuffer((out / "masks" / "röhre-2.png").read_bytes(), np.uint8)
    mask = frame_result(2).result.mask
    np.testing.assert_array_equal(cv2.imdecode(png, cv2.IMREAD_UNCHANGED), mask * np.uint8(255))
    run, *frames = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert (run["kind"], run["facts"]) == ("run", {"Bundle": "small"})
    assert [record["frame_id"] for record in frames] == [0, 1, 2]
    [crack] = frames[1]["cracks"]
    assert (crack["length_px"], crack["bbox_xyxy"]) == (40.0, [10, 20, 50, 24])
    assert frames[1]["timing_ms"] == {"engine": 5.0, "measure": 1.0}
    video = cv2.VideoCapture(str(out / "overlay.mp4"), cv2.CAP_FFMPEG)
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 3
    assert video.get(cv2.CAP_PROP_FPS) == 10


def fail_after(frames: int, out: Path, *, overwrite: bool = False) -> None:
    with (
        output_folder(out, overwrite=overwrite) as folder,
        open_run_folder(folder, recorder(), fps=10) as results,
    ):
        for i in range(frames):
            results.write(frame_result(i))
        raise ZeroDivisionError


def test_a_run_that_fails_before_its_first_frame_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fail_after(0, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_later_leaves_what_it_had(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fail_after(2, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == NAMES - {"report.html"}
    assert len(list((tmp_path / "masks").iterdir())) == 2
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 3
    assert cv2.VideoCapture(str(tmp_path / "overlay.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 2


def test_an_overwrite_that_fails_before_its_first_frame_keeps_the_earlier_run(
    tmp_path: Path,
) -> None:
    write_run(tmp_path)
    before = (tmp_path / "results.jsonl").read_text()
    with pytest.raises(ZeroDivisionError):
        fail_after(0, tmp_path, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == NAMES
    assert (tmp_path / "results.jsonl").read_text() == before


def test_overwriting_replaces_all_of_the_earlier_run(tmp_path: Path) -> None:
    write_run(tmp_path, frames=5)
    with pytest.raises(ConfigError, match="--overwrite"):
        write_run(tmp_path)
    write_run(tmp_path, frames=2, overwrite=True)
    assert len(list((tmp_path / "masks").iterdir())) == 2


def test_what_no_run_wrote_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"thesis\.tex"):
        write_run(tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    for out in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(ConfigError, match="out"):
            write_run(out)


@pytest.mark.parametrize(
    ("shape", "expected_wh"),
    [((49, 65), (64, 48)), ((2000, 4000), (1920, 960)), ((16, 16), (16, 16))],
)
def test_the_first_frame_sets_the_size_of_the_video(
    tmp_path: Path, shape: tuple[int, int], expected_wh: tuple[int, int]
) -> None:
    path = tmp_path / "overlay.mp4"
    with video_writer(path, fps=None) as write:
        for size_hw in (shape, (100, 30)):
            write(np.zeros((*size_hw, 3), np.uint8))
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 2
    found = (video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT))
    assert found == expected_wh
