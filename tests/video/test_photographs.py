"""Folders of photographs as people have them: nothing is passed over without a word."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.data.picture_files import find_pictures, names_of
from scnet_edge.errors import Incomplete, InputError
from scnet_edge.events import Event
from scnet_edge.runtime.loop import run_loop
from scnet_edge.types import Captured, Frame, Result
from scnet_edge.video.sources import open_source


def write(path: Path, value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.full((32, 48, 3), value, np.uint8))[1].tobytes())


def all_of(folder: Path) -> tuple[list[Captured], list[Event], str]:
    frames, events = [], []
    said = ""
    with open_source(str(folder)) as source:
        try:
            for item in source.items:
                (frames if isinstance(item, Captured) else events).append(item)
        except Incomplete as e:
            said = str(e)
    return frames, events, said


def test_subfolders_in_natural_order_with_names_that_are_files(tmp_path: Path) -> None:
    for i, name in enumerate(("day10/b.png", "day2/IMG 10.jpg", "day2/IMG 9.jpg", "a.JPEG")):
        write(tmp_path / name, i)
    frames, events, said = all_of(tmp_path)
    files = [f.photograph.file for f in frames if f.photograph]
    assert files == ["a.JPEG", "day2/IMG 9.jpg", "day2/IMG 10.jpg", "day10/b.png"]
    assert [f.name for f in frames] == ["a", "day2-IMG 9", "day2-IMG 10", "day10-b"]
    assert (events, said) == ([], "")


def test_what_computers_leave_behind_is_no_picture(tmp_path: Path) -> None:
    write(tmp_path / "w.png")
    for name in ("._w.png", ".hidden.png", "Thumbs.db", "desktop.ini", ".DS_Store"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    for name in ("__MACOSX/._w.png", "@eaDir/w.png", ".thumbnails/w.png", "$RECYCLE.BIN/w.png"):
        write(tmp_path / name)
    files = find_pictures(tmp_path)
    assert [path.name for path in files.pictures] == ["w.png"]
    assert files.describe_left_out() == ""


def test_everything_else_is_counted_and_named(tmp_path: Path) -> None:
    write(tmp_path / "w.png")
    for name in ("notes.txt", "day2/clip.MP4", "w.xmp", "odd\udcdf.pdf"):
        write(tmp_path / name)
    with open_source(str(tmp_path)) as source:
        assert source.left_out == (
            "passed over: 1 video (day2/clip.MP4; one a call) and 3 files of other kinds "
            "(notes.txt, odd\\xdf.pdf, w.xmp)"
        )
        assert source.files == ("w.png",)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("2.png", b"", "empty file"),
        ("2.jpg", cv2.imencode(".jpg", np.eye(99) * 255)[1].tobytes()[:-99], "truncated image"),
        ("2.heic", b"\0\0\0\x18ftypheic" + bytes(99), "2.heic"),
        ("2.CR2", b"raw", "a camera's raw file is not read"),
        ("2.gif", b"GIF89a", "pictures of this kind are not read"),
    ],
)
def test_one_that_cannot_be_read_leaves_a_gap_and_the_others_go_on(
    tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    for other in ("1.png", "3.png"):
        write(tmp_path / other)
    (tmp_path / name).write_bytes(content)
    frames, [gap], said = all_of(tmp_path)
    assert [frame.name for frame in frames] == ["1", "3"]
    assert [frame.frame_id for frame in frames] == [0, 2]  # a step of 50 mm stays one
    assert (gap.kind, gap.reason, gap.file) == ("gap", "unreadable", name)
    assert (gap.first_frame_id, gap.last_frame_id) == (1, 1)
    assert gap.detail.startswith(f"{name}: ")
    assert why in gap.detail
    assert f"1 of 3 pictures could not be read, the others were: {name} (" in said
    assert "\n" not in said


def test_a_raw_file_beside_its_jpeg_is_the_same_picture(tmp_path: Path) -> None:
    write(tmp_path / "1.jpg")
    for name in ("1.NEF", "2.NEF"):
        (tmp_path / name).write_bytes(b"raw")
    files = find_pictures(tmp_path)
    assert [path.name for path in files.pictures] == ["1.jpg", "2.NEF"]
    assert "1.NEF" in files.describe_left_out()


def test_names_are_unique_and_any_bytes_are_shown(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "b-c.png", "b/c.png", "Ri\udcdf.png"):
        write(tmp_path / name)
    files = find_pictures(tmp_path)
    names = names_of(files)
    assert len(set(names)) == len(files.pictures) == 5
    assert "Ri\\xdf" in names
    assert {"a.jpg", "a.png"} < set(names)
    assert not any("/" in name or not name.isprintable() for name in names)
    frames, _, said = all_of(tmp_path)
    assert (len(frames), said) == (5, "")


def test_a_folder_with_videos_alone_says_so(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"")
    with (
        pytest.raises(InputError, match=r"no image in this folder.*1 video \(clip\.mp4"),
        open_source(str(tmp_path)),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_subfolder_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "w.png")
    (tmp_path / "secret").mkdir(mode=0)
    with pytest.raises(InputError, match=r"secret: cannot be listed"):
        find_pictures(tmp_path)


def test_a_run_counts_what_was_not_read(tmp_path: Path) -> None:
    for name in ("1.png", "2.png", "4.png"):
        write(tmp_path / name)
    (tmp_path / "3.png").write_bytes(b"")

    def segment(frame: Frame) -> Result:
        mask = frame[..., 0] < 0
        return Result(mask=mask, probability=mask.astype(np.float32), edges=None)

    from scnet_edge.runtime.counters import Counters

    counters = Counters()
    with open_source(str(tmp_path)) as source, pytest.raises(Incomplete, match="1 of 4 pictures"):
        run_loop(source, segment, [], counters=counters)
    assert (counters.captured, counters.processed) == (4, 3)
    assert counters.dropped == {"unreadable": 1}
