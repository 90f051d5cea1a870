"""A file is whole or as it was: through a kill, a full disk, a power cut and a link."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scnet_edge import files
from scnet_edge.config import read_json, write_json
from scnet_edge.errors import ConfigError
from scnet_edge.files import (
    make_subfolder,
    new_file,
    open_plain,
    partial_folder,
    read_file,
    sweep_partial,
    write_file,
    write_image,
)

WRITER = """
import os, signal, sys
from pathlib import Path
from scnet_edge.files import new_file
with new_file(Path(sys.argv[1])) as f:
    f.write(b"half")
    f.flush()
    print("half", flush=True)
    sys.stdin.read()
"""


def test_bytes_reach_the_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "note", []
    write_file(path, b"older")

    def fsync(fd: int) -> None:
        synced.append((path.read_bytes(), Path(f"/proc/self/fd/{fd}").resolve().parent))

    monkeypatch.setattr(os, "fsync", fsync)
    write_file(path, b"newer")
    assert synced == [(b"older", tmp_path), (b"newer", tmp_path.parent)]
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_leaves_the_older_file_and_the_next_writer_sweeps(tmp_path: Path) -> None:
    path = tmp_path / "note"
    path.write_bytes(b"older")
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"half\n"
    sweep_partial(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2  # still being written
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert path.read_bytes() == b"older"
    files._sweep_once.cache_clear()
    write_file(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("at_byte", [0, 1, 5000, 100_000])
def test_a_full_disk_leaves_the_older_file_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_byte: int
) -> None:
    path = tmp_path / "note"
    write_file(path, b"older")

    class Full:
        def __init__(self, f: Any) -> None:
            self.f, self.left = f, at_byte

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *raised: object) -> None:
            self.f.close()

        def write(self, data: bytes) -> None:
            self.f.write(data[: self.left])
            self.left -= len(data)
            if self.left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name: str) -> Any:
            return getattr(self.f, name)

    fdopen = os.fdopen
    monkeypatch.setattr(os, "fdopen", lambda *args: Full(fdopen(*args)))
    with pytest.raises(OSError, match="No space") as e:
        write_file(path, bytes(100_001))
    assert (e.value.errno, e.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    for target in (outside, tmp_path / "nothing", Path("/dev/null")):
        link = tmp_path / "link"
        link.symlink_to(target)
        with pytest.raises(ConfigError, match="link: expected a file or nothing, found a link"):
            write_file(link, b"x")
        with pytest.raises(ConfigError, match="found a link or a device"):
            open_plain(link, os.O_RDWR | os.O_CREAT)
        link.unlink()
    (tmp_path / "hard").hardlink_to(outside)
    with pytest.raises(ConfigError, match="of its own"):
        open_plain(tmp_path / "hard", os.O_RDWR)
    write_file(tmp_path / "hard", b"x")  # another file takes the name
    assert outside.read_text() == "mine"
    (tmp_path / "away").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="found a link"):
        make_subfolder(tmp_path, "away")


def test_folders_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "pipe", tmp_path / "folder", Path("/dev/null")):
        with pytest.raises(ConfigError, match="expected a file or nothing"):
            write_file(path, b"x")
        with pytest.raises((ConfigError, IsADirectoryError)):
            read_file(path, 10)


def test_permissions_are_the_umask_s_or_kept_or_as_asked(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "new", b"x")
        write_file(tmp_path / "secret", b"x", mode=0o600)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "secret")]
    assert modes == [0o640, 0o600]
    (tmp_path / "new").chmod(0o604)
    write_file(tmp_path / "new", b"y")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604


def test_an_error_in_the_block_is_not_given_the_file_s_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as e, new_file(tmp_path / "a"):
        (tmp_path / "b").read_bytes()
    assert e.value.filename == str(tmp_path / "b")
    assert not list(tmp_path.iterdir())


def test_reading_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(100))
    assert read_file(tmp_path / "a", 100) == bytes(100)
    with pytest.raises(ConfigError, match="expected at most"):
        read_file(tmp_path / "a", 99)
    assert read_file(tmp_path / "a", 1 << 50) == bytes(100)  # takes no memory for what may be
    assert read_file(Path("/proc/self/status"), 1 << 20).endswith(b"\n")  # of no stated size


def test_json_and_pictures_go_the_same_way(tmp_path: Path) -> None:
    import msgspec

    class Note(msgspec.Struct):
        text: str

    write_json(tmp_path / "note.json", Note(text="x"))
    assert read_json(tmp_path / "note.json", Note).text == "x"
    write_image(tmp_path / "a.png", np.zeros((2, 3), np.uint8))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match="cannot encode"):
        write_image(tmp_path / "b.png", np.zeros((0, 3), np.uint8))


def test_what_another_process_swept_before_it_was_held_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, held = files._hold, []

    def swept_first(fd: int) -> None:
        if not held:
            sweep_partial(tmp_path)
        held.append(fd)
        hold(fd)

    monkeypatch.setattr(files, "_hold", swept_first)
    write_file(tmp_path / "a", b"whole")
    assert len(held) == 2
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a", b"whole")]
    held.clear()
    with partial_folder(tmp_path / "b") as folder:
        assert folder.is_dir()
    assert len(held) == 2


def test_a_folder_that_becomes_a_link_during_a_write_leads_nowhere(tmp_path: Path) -> None:
    """The name of what is being written is not known, so that it is nowhere behind the link."""
    folder, outside = tmp_path / "survey", tmp_path / "home"
    folder.mkdir()
    outside.mkdir()
    (outside / "report.html").write_text("mine")

    def write_while_it_is_exchanged() -> None:
        with new_file(folder / "report.html") as f:
            f.write(b"theirs")
            folder.rename(tmp_path / "moved")
            folder.symlink_to(outside)

    with pytest.raises(FileNotFoundError):
        write_while_it_is_exchanged()
    assert [path.name for path in outside.iterdir()] == ["report.html"]
    assert (outside / "report.html").read_text() == "mine"
    assert not (tmp_path / "moved" / "report.html").exists()
