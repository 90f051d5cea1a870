from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from films import walls, write_film

from scnet_edge.errors import InputError
from scnet_edge.types import Captured
from scnet_edge.video.sources import open_source

SHAPE = (48, 64, 3)


def grey(value: int) -> np.ndarray:
    return np.full(SHAPE, value, np.uint8)


def write_image(path: Path, value: int = 0) -> None:
    path.write_bytes(cv2.imencode(path.suffix, grey(value))[1].tobytes())


def write_video(path: Path, frames: int, codec: str = "MJPG") -> None:
    fourcc = cv2.VideoWriter.fourcc(*codec)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, 12.5, SHAPE[1::-1])
    assert writer.isOpened()
    for i in range(frames):
        writer.write(grey(6 * i))
    writer.release()


def test_an_image(tmp_path: Path) -> None:
    write_image(tmp_path / "wall.png", 7)
    with open_source(str(tmp_path / "wall.png")) as source:
        [captured] = source
    assert (source.count, source.fps, source.live) == (1, None, False)
    assert (captured.frame_id, captured.name, captured.faults) == (0, "wall", ())
    np.testing.assert_array_equal(captured.frame, grey(7))


def test_a_folder_in_natural_order_without_its_other_files(tmp_path: Path) -> None:
    for i in (10, 9, 1):
        write_image(tmp_path / f"Frame-{i}.png", i)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._Frame-1.png").write_bytes(b"left by another system")
    with open_source(str(tmp_path)) as source:
        found = [(item.name, int(item.frame[0, 0, 0])) for item in source]
    assert source.count == 3
    assert found == [("Frame-1", 1), ("Frame-9", 9), ("Frame-10", 10)]


def test_names_stay_unique_when_stems_are_not(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    write_image(tmp_path / "a.bmp")
    with open_source(str(tmp_path)) as source:
        assert [item.name for item in source] == ["a.bmp", "a.png"]


@pytest.mark.parametrize(("name", "codec"), [("clip.avi", "MJPG"), ("clip.mp4", "mp4v")])
def test_a_video(tmp_path: Path, name: str, codec: str) -> None:
    write_video(tmp_path / name, 30, codec)
    with open_source(str(tmp_path / name)) as source:
        frames = list(source)
    assert (source.count, source.fps) == (30, 12.5)
    assert [item.name for item in frames] == [f"clip-{i:05d}" for i in range(30)]
    assert {b.mono_ns - a.mono_ns for a, b in pairwise(frames)} == {80_000_000}  # as filmed
    for i, item in enumerate(frames):
        assert item.frame_id == i
        assert np.abs(item.frame.astype(int) - 6 * i).max() <= 6  # both codecs are lossy


def test_a_cut_video_is_an_error_after_its_last_frame(tmp_path: Path) -> None:
    whole = tmp_path / "whole.avi"
    write_video(whole, 40)
    path = tmp_path / "cut.avi"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    read = []
    with (
        pytest.raises(InputError, match=r"cut\.avi: ends after \d+ of about 40"),
        open_source(str(path)) as source,
    ):
        read.extend(item.name for item in source)
    assert 5 < len(read) < 35


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".png", ".jpg"])
@pytest.mark.parametrize("content", [b"", b"hello, this is text" * 100])
def test_a_file_of_the_wrong_type(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"odd{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="odd") as caught, open_source(str(path)) as source:
        list(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("uri", ["none", "ftp://camera/1", "notes.txt", "empty"])
def test_what_is_no_source_names_what_is_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("text")
    Path("empty").mkdir()
    with pytest.raises(InputError, match=f"^{uri}: .*image"), open_source(uri):
        pass


def test_a_bad_image_in_a_folder_comes_after_the_good_ones(tmp_path: Path) -> None:
    write_image(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes(b"")
    read = []
    with pytest.raises(InputError, match=r"2\.png"), open_source(str(tmp_path)) as source:
        read.extend(item.name for item in source)
    assert read == ["1"]


def test_leaving_early_ends_the_frames(tmp_path: Path) -> None:
    for i in range(20):
        write_image(tmp_path / f"{i}.png", i)
    with open_source(str(tmp_path)) as source:
        assert next(iter(source)).name == "0"
    assert list(source) == []


def test_iterating_gives_no_frame_without_pixels(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.ts", walls(60), fps=25, options={"g": "12"})
    data = bytearray(path.read_bytes())
    at = len(data) // 2
    data[at : at + len(data) // 20] = bytes(len(data) // 20)
    path.write_bytes(data)
    with open_source(str(path)) as source:
        items = [item for item in source.items if isinstance(item, Captured)]
    with open_source(str(path)) as source:
        frames = list(source)
    assert len(frames) < len(items)
    assert [item.frame_id for item in items] == list(range(len(items)))
    for item in items:
        assert (item.frame.size == 0) == (item.faults == ("corrupt",))
    assert all(frame.frame.shape == (96, 128, 3) for frame in frames)
