import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.errors import InputError
from scnet_edge.runtime.sources import open_source, read_ahead

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


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_an_image(tmp_path: Path) -> None:
    write_image(tmp_path / "wall.png", 7)
    with open_source(str(tmp_path / "wall.png")) as source:
        [(name, frame)] = source
    assert (source.count, source.fps, name) == (1, None, "wall")
    np.testing.assert_array_equal(frame, grey(7))


def test_a_folder_in_natural_order_without_its_other_files(tmp_path: Path) -> None:
    for i in (10, 9, 1):
        write_image(tmp_path / f"Frame-{i}.png", i)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._Frame-1.png").write_bytes(b"left by another system")
    with open_source(str(tmp_path)) as source:
        found = [(name, int(frame[0, 0, 0])) for name, frame in source]
    assert source.count == 3
    assert found == [("Frame-1", 1), ("Frame-9", 9), ("Frame-10", 10)]


def test_names_stay_unique_when_stems_are_not(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    write_image(tmp_path / "a.bmp")
    with open_source(str(tmp_path)) as source:
        assert [name for name, _ in source] == ["a.bmp", "a.png"]


@pytest.mark.parametrize(("name", "codec"), [("clip.avi", "MJPG"), ("clip.mp4", "mp4v")])
def test_a_video(tmp_path: Path, name: str, codec: str) -> None:
    write_video(tmp_path / name, 30, codec)
    with open_source(str(tmp_path / name)) as source:
        frames = list(source)
    assert (source.count, source.fps) == (30, 12.5)
    assert [name for name, _ in frames] == [f"clip-{i:05d}" for i in range(30)]
    for i, (_, frame) in enumerate(frames):
        assert np.abs(frame.astype(int) - 6 * i).max() <= 6  # both codecs are lossy


def test_a_cut_video_is_an_error_after_its_last_frame(tmp_path: Path) -> None:
    whole = tmp_path / "whole.avi"
    write_video(whole, 40)
    path = tmp_path / "cut.avi"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    read = []
    with (
        pytest.raises(InputError, match=r"cut\.avi: ends after \d+ of 40"),
        open_source(str(path)) as source,
    ):
        read.extend(name for name, _ in source)
    assert 5 < len(read) < 35


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".png", ".jpg"])
@pytest.mark.parametrize("content", [b"", b"hello, this is text" * 100])
def test_a_file_of_the_wrong_type(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"odd{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="odd") as caught, open_source(str(path)) as source:
        list(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("uri", ["none", "rtsp://camera/1", "sim://pipe", "notes.txt", "empty"])
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
        read.extend(name for name, _ in source)
    assert read == ["1"]


def test_leaving_early_stops_the_reader(tmp_path: Path) -> None:
    for i in range(20):
        write_image(tmp_path / f"{i}.png", i)
    with open_source(str(tmp_path)) as source:
        assert next(iter(source))[0] == "0"
    assert list(source) == []


def test_never_asking_stops_the_reader() -> None:
    with read_ahead((i for i in range(100)), depth=1):
        pass


def test_an_error_in_the_loop_stops_the_reader() -> None:
    def use() -> None:
        with read_ahead((i for i in range(100)), depth=1) as items:
            for item in items:
                item / 0

    with pytest.raises(ZeroDivisionError):
        use()


def test_the_reader_never_runs_further_ahead_than_it_may() -> None:
    taken = []

    def items() -> Generator[int, None, None]:
        for i in range(50):
            taken.append(i)
            yield i

    with read_ahead(items(), depth=2) as ahead:
        for item in ahead:
            assert len(taken) <= item + 1 + 2 + 2  # the queue's two, one in hand, one being made
    assert taken == list(range(50))


def test_an_error_of_the_reader_reaches_the_caller_with_what_came_before() -> None:
    def items() -> Generator[int, None, None]:
        yield from range(5)
        raise InputError("the lens fell off")

    read = []
    with pytest.raises(InputError, match="lens"), read_ahead(items(), depth=2) as ahead:
        read.extend(ahead)
    assert read == list(range(5))


def test_an_endless_source_ends_with_its_caller() -> None:
    closed = threading.Event()

    def items() -> Generator[int, None, None]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    with read_ahead(items(), depth=1) as ahead:
        next(ahead)
    assert closed.is_set()
