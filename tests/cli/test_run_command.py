"""`scnet-edge run` in a fresh interpreter, over a hand-made bundle on a real engine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from films import write_film

Run = Callable[..., subprocess.CompletedProcess[str]]
SIZE_HW = (64, 96)
OUTPUTS = {"masks", "overlay.mp4", "report.html", "results.jsonl"}


def crack(offset_px: int) -> np.ndarray:
    """Return the mask of a straight crack, 4 px wide and 60 px long."""
    mask = np.zeros(SIZE_HW, bool)
    mask[20 + offset_px : 24 + offset_px, 10:70] = True
    return mask


@pytest.fixture
def bundle(darkness_bundle: Callable[[tuple[int, int]], Path]) -> Path:
    return darkness_bundle(SIZE_HW)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Return a folder of three images with a crack each, and `truth` beside it."""
    folder, truth = tmp_path / "images", tmp_path / "truth"
    for path in (folder, truth):
        path.mkdir()
    for i in range(3):
        mask = crack(5 * i)
        frame = np.where(mask[..., None], 20, 200).astype(np.uint8).repeat(3, axis=2)
        cv2.imwrite(str(folder / f"wall-{i}.png"), frame)
        cv2.imwrite(str(truth / f"wall-{i}.png"), mask * np.uint8(255))
    return folder


def test_images_with_truth(command_line: Run, bundle: Path, images: Path, tmp_path: Path) -> None:
    out, truth = tmp_path / "out", tmp_path / "truth"
    done = command_line(
        "run", str(bundle), "--source", str(images), "--out", str(out), "--truth", str(truth)
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} == OUTPUTS
    for i in range(3):
        mask = cv2.imread(str(out / "masks" / f"wall-{i}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask, crack(5 * i) * np.uint8(255))
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    records = [line for line in lines if line["kind"] == "frame"]
    assert [record["name"] for record in records] == ["wall-0", "wall-1", "wall-2"]
    for i, record in enumerate(records):
        [found] = record["cracks"]
        assert (found["area_px"], record["crack_area_px"]) == (240, 240)
        assert found["bbox_xyxy"] == [10, 20 + 5 * i, 70, 24 + 5 * i]
        assert found["length_px"] == pytest.approx(60, abs=5)
    rows = {line.split("│")[0].strip(): line for line in done.stdout.splitlines()}
    assert "1.000" in rows["F1 within 0 px"]
    assert "3" in rows["cracks, summed over frames"]
    for name in OUTPUTS:
        assert str(out / name) in done.stdout
    assert "wall-1" in (out / "report.html").read_text(encoding="utf-8")


def test_one_bad_picture_costs_its_own_result_alone(
    command_line: Run, bundle: Path, images: Path, tmp_path: Path
) -> None:
    (images / "Ri\udcdf.png").write_bytes((images / "wall-0.png").read_bytes())
    bad = images / "wall-1.png"
    bad.write_bytes(bad.read_bytes()[:90])
    (images / "notes.txt").write_text("seen on Monday")
    out = tmp_path / "out"
    done = command_line("run", str(bundle), "--source", str(images), "--out", str(out))
    assert done.returncode == 1
    assert {path.name for path in out.iterdir()} == OUTPUTS
    names = {path.name for path in (out / "masks").iterdir()}
    assert names == {"wall-0.png", "wall-2.png", "Ri\\xdf.png"}
    assert "dropped: unreadable" in done.stdout
    last = done.stderr.strip().splitlines()[-1]
    assert "1 of 4 pictures could not be read, the others were: wall-1.png (" in last
    assert "1 file of other kinds (notes.txt)" in done.stderr
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "notes.txt" in page
    assert "wall-1.png: " in page
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    files = [line["photograph"]["file"] for line in lines if line["kind"] == "frame"]
    assert files == ["Ri\\xdf.png", "wall-0.png", "wall-2.png"]
    assert [line["file"] for line in lines if line["kind"] == "event"] == ["wall-1.png"]


def test_a_clip_with_packed_truth(command_line: Run, bundle: Path, tmp_path: Path) -> None:
    clip, truth, out = tmp_path / "clip.avi", tmp_path / "truth.npz", tmp_path / "out"
    fourcc = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(clip), cv2.CAP_FFMPEG, fourcc, 10, SIZE_HW[::-1])
    masks = np.stack([crack(i) for i in range(12)])
    for mask in masks:
        writer.write(np.where(mask[..., None], 20, 200).astype(np.uint8).repeat(3, axis=2))
    writer.release()
    np.savez_compressed(truth, masks=np.packbits(masks), shape=np.array(masks.shape))
    arguments = (
        "run",
        str(bundle),
        "--source",
        str(clip),
        "--out",
        str(out),
        "--truth",
        str(truth),
    )
    done = command_line(*arguments, "--frames", "8", "--engine", "onnxruntime", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert len(list((out / "masks").iterdir())) == 8
    row = next(line for line in done.stdout.splitlines() if "F1 within 2 px" in line)
    assert float(row.split("│")[1]) > 0.99


def bad_sources(folder: Path) -> dict[str, Path]:
    """Return every kind of source that cannot be used."""
    png = cv2.imencode(".png", np.zeros((300, 301, 3), np.uint8))[1].tobytes()
    huge = png[:16] + (20_000).to_bytes(4, "big") * 2 + png[24:]
    contents = {
        "empty.png": b"",
        "truncated.png": png[: len(png) // 2],
        "text.mp4": b"text",
        "20000x20000.png": huge,
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "no-images").mkdir()
    return {name: folder / name for name in (*contents, "no-images", "missing.png")}


@pytest.mark.parametrize(
    "name",
    [
        "empty.png",
        "truncated.png",
        "text.mp4",
        "20000x20000.png",
        "no-images",
        "missing.png",
    ],
)
def test_a_bad_source_is_one_line_and_leaves_nothing(
    command_line: Run, bundle: Path, tmp_path: Path, name: str
) -> None:
    source, out = bad_sources(tmp_path)[name], tmp_path / "out"
    done = command_line("run", str(bundle), "--source", str(source), "--out", str(out))
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith(f"scnet-edge: {source}")
    assert all(line.startswith("Frames") for line in lines[:-1])  # at most the progress bar
    assert done.stdout == ""
    assert not out.exists()


def test_a_truth_that_does_not_fit_costs_the_page_and_not_what_was_done(
    command_line: Run, bundle: Path, images: Path, tmp_path: Path
) -> None:
    (tmp_path / "truth" / "wall-1.png").unlink()
    out = tmp_path / "out"
    arguments = ("run", str(bundle), "--source", str(images), "--out", str(out))
    done = command_line(*arguments, "--truth", str(tmp_path / "truth"))
    assert done.returncode == 1
    assert "no mask for frame wall-1" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in out.iterdir()} == OUTPUTS - {"report.html"}


def test_an_earlier_run_is_kept_unless_told_otherwise(
    command_line: Run, bundle: Path, images: Path, tmp_path: Path
) -> None:
    arguments = ("run", str(bundle), "--source", str(images), "--out", str(tmp_path / "out"))
    assert command_line(*arguments).returncode == 0
    again = command_line(*arguments)
    assert again.returncode == 1
    assert "--overwrite" in again.stderr
    assert command_line(*arguments, "--frames", "1", "--overwrite").returncode == 0
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 1


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ((), "native, 90 tiles a frame"),
        (("--scale", "fit"), "fit, 6.7 times smaller"),
        (("--scale", "auto"), "auto, "),
    ],
)
def test_large_pictures_are_seen_in_tiles_and_the_line_says_so(
    command_line: Run, bundle: Path, tmp_path: Path, options: tuple[str, ...], line: str
) -> None:
    """A crack of 2 px in a picture six times as large as the model is found unless it is shrunk."""
    mask = np.zeros((400, 640), bool)
    mask[190:192, 100:500] = True
    picture, out = tmp_path / "wall.png", tmp_path / "out"
    cv2.imwrite(str(picture), np.where(mask, 20, 200).astype(np.uint8))
    done = command_line("run", str(bundle), "--source", str(picture), "--out", str(out), *options)
    assert done.returncode == 0, done.stderr
    assert line in " ".join(done.stdout.split())
    rows = [json.loads(row) for row in (out / "results.jsonl").read_text().splitlines()]
    [record] = [row for row in rows if row["kind"] == "frame"]
    assert record["scale"] == line.partition(",")[0]
    assert record["tiles"] == {"native": 90, "fit": 1}.get(record["scale"], record["tiles"])
    assert record["crack_area_px"] == (0 if "fit" in options else 800)


def test_a_film_is_looked_at_whole(command_line: Run, bundle: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter_fourcc(*"MJPG"), 10, (192, 128))
    for _ in range(3):
        writer.write(np.full((128, 192, 3), 200, np.uint8))
    writer.release()
    done = command_line("run", str(bundle), "--source", str(film))
    assert done.returncode == 0, done.stderr
    assert "fit, 2.0 times smaller" in " ".join(done.stdout.split())


def test_what_is_ignored_is_counted_and_shown(
    command_line: Run, bundle: Path, images: Path, tmp_path: Path
) -> None:
    out, config = tmp_path / "out", tmp_path / "robot.toml"
    config.write_text("ignore = [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]\n")
    options = ("--source", str(images), "--out", str(out), "--config", str(config))
    done = command_line("run", str(bundle), *options)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(row) for row in (out / "results.jsonl").read_text().splitlines()]
    frames = [row for row in rows if row["kind"] == "frame"]
    assert {row["ignored_px"] for row in frames} == {SIZE_HW[0] * 49}
    assert all(crack["bbox_xyxy"][0] == 49 for row in frames for crack in row["cracks"])
    assert "51.0% of the pixels" in " ".join(done.stdout.split())
    assert "Not inspected" in (out / "report.html").read_text()

    config.write_text("ignore = [[[0, 0], [1, 0], [1, 1], [0, 1]]]\n")
    done = command_line("run", str(bundle), *options, "--overwrite")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "covers the whole frame" in done.stderr


def write_dark_film(path: Path, black: slice, *, cut_share: float = 1.0) -> None:
    """Write a film of 30 frames with a crack, some of them black; perhaps without its end."""
    frames = [np.where(crack(i % 8)[..., None], 20, 200).astype(np.uint8) for i in range(30)]
    frames = [np.ascontiguousarray(frame.repeat(3, axis=2)) for frame in frames]
    for i in range(30)[black]:
        frames[i][:] = 2
    write_film(
        path,
        frames,
        options={"g": "3", "crf": "8"},
        container_options={"movflags": "faststart"},
    )
    path.write_bytes(path.read_bytes()[: int(cut_share * path.stat().st_size)])


def test_a_cut_film_keeps_what_was_made_of_it(
    command_line: Run, bundle: Path, tmp_path: Path
) -> None:
    film, out = tmp_path / "cut.mp4", tmp_path / "out"
    write_dark_film(film, slice(0, 0), cut_share=0.7)
    done = command_line("run", str(bundle), "--source", str(film), "--out", str(out))
    assert done.returncode == 1
    assert "the file is cut or damaged" in done.stderr.splitlines()[-1]
    assert {path.name for path in out.iterdir()} == OUTPUTS
    kept = len(list((out / "masks").iterdir()))
    assert 5 < kept < 30
    assert f"--frames {kept}" in done.stderr
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    events = [(line["event"], line["reason"]) for line in lines if line["kind"] == "event"]
    assert ("gap", "cut") in events
    assert events[-1] == ("run_closed", "")


def test_black_frames_get_no_mask_and_none_moves_the_truth(
    command_line: Run, bundle: Path, tmp_path: Path
) -> None:
    film, truth, out = tmp_path / "dark.mp4", tmp_path / "truth.npz", tmp_path / "out"
    write_dark_film(film, slice(5, 15))
    masks = np.stack([crack(i % 8) for i in range(30)])
    np.savez_compressed(truth, masks=np.packbits(masks), shape=np.array(masks.shape))
    paths = ("--source", str(film), "--out", str(out), "--truth", str(truth))
    done = command_line("run", str(bundle), *paths)
    assert done.returncode == 0, done.stderr
    names = sorted(path.stem for path in (out / "masks").iterdir())
    assert names == [f"dark-{i:05d}" for i in range(30) if not 5 <= i < 15]
    assert "gap black not inspected for 1.1 s, from 0.4 s to 1.5 s of the film" in done.stderr
    row = next(line for line in done.stdout.splitlines() if "F1 within 2 px" in line)
    assert float(row.split("│")[1]) > 0.95


@pytest.mark.parametrize("command", ["run", "inspect"])
def test_a_film_of_which_nothing_can_be_seen_is_an_error(
    command_line: Run, bundle: Path, tmp_path: Path, command: str
) -> None:
    film = tmp_path / "black.mp4"
    write_dark_film(film, slice(0, 30))
    done = command_line(command, str(bundle), "--source", str(film), "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("black.mp4: no frame could be used (30 black)")
