"""A bag of a stranger: what it claims to hold, to be and to unpack to is not believed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
from backports import zstd
from rosbags.rosbag2 import ReaderError, StoragePlugin, storage_mcap
from test_rosbag import FRAMES, write_bag

from scnet_edge.errors import InputError
from scnet_edge.types import Captured
from scnet_edge.video import rosbag_files
from scnet_edge.video.rosbag import open_rosbag

SQLITE = StoragePlugin.SQLITE3


def read(bag: Path) -> list[Captured]:
    return [item for item in open_rosbag(f"rosbag:{bag}").items if isinstance(item, Captured)]


def refusal(bag: Path) -> str:
    with pytest.raises(InputError) as refused:
        read(bag)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def declare(bag: Path, mode: str) -> Path:
    """Say in a bag's description that it is packed by zstd."""
    path = bag / rosbag_files.METADATA
    text = path.read_text().replace("compression_mode: ''", f"compression_mode: {mode}")
    path.write_text(text.replace("compression_format: ''", "compression_format: zstd"))
    return bag


def test_a_chunk_that_unpacks_to_any_size_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = {"lz4": lz4.frame.compress(bytes(600)), "zstd": zstd.compress(bytes(600))}
    for kind, data in packed.items():
        assert storage_mcap.decompress(data, kind, 600, 0) == bytes(600)
    monkeypatch.setattr(rosbag_files, "MAX_CHUNK_BYTES", 500)
    for kind, data in packed.items():
        with pytest.raises(ReaderError, match="a chunk of over"):
            storage_mcap.decompress(data, kind, 600, 0)


def test_a_message_that_unpacks_to_any_size_is_not_unpacked(tmp_path: Path) -> None:
    """Of the form that ROS writes into SQLite: 16 KiB that unpack to 513 MiB."""
    bag = declare(write_bag(tmp_path / "bag", storage=SQLITE), "message")
    packer = zstd.ZstdCompressor()
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(513)) + packer.flush()
    with closing(sqlite3.connect(next(bag.glob("*.db3")))) as db, db:
        db.execute("UPDATE messages SET data = ?", (bomb,))
    assert len(bomb) < 2**16
    assert "a chunk of over 512 MiB" in refusal(bag)


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_a_file_that_unpacks_to_any_size_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: StoragePlugin
) -> None:
    bag = declare(write_bag(tmp_path / "bag", storage=storage), "file")
    [file] = [path for path in bag.iterdir() if path.name != rosbag_files.METADATA]
    file.with_name(f"{file.name}.zstd").write_bytes(zstd.compress(file.read_bytes()))
    metadata = bag / rosbag_files.METADATA
    metadata.write_text(metadata.read_text().replace(file.name, f"{file.name}.zstd"))
    file.unlink()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert len(read(bag)) == FRAMES
    monkeypatch.setattr(rosbag_files, "UNPACKED_BYTES", 500)
    monkeypatch.setattr(rosbag_files, "UNPACKED_TIMES", 0)
    assert "unpacks to more than" in refusal(bag)
    assert not list((tmp_path / "temporary").iterdir())


def test_chunks_of_one_moment_are_not_unpacked_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = storage_mcap.McapWriter.write

    def write_chunk(writer: storage_mcap.McapWriter, *message: Any) -> None:
        write(writer, *message)
        writer.close_chunk()

    monkeypatch.setattr(storage_mcap.McapWriter, "write", write_chunk)
    sound, bomb = write_bag(tmp_path / "sound"), write_bag(tmp_path / "bomb", step_ns=0)
    chunk_bytes = max(chunk.uncompressed_size for chunk in chunks(sound))
    assert len(chunks(bomb)) == FRAMES
    monkeypatch.setattr(rosbag_files, "MAX_CHUNK_BYTES", 2 * chunk_bytes)
    assert len(read(sound)) == FRAMES
    assert "chunks of one moment" in refusal(bomb)


def chunks(bag: Path) -> list[storage_mcap.ChunkInfo]:
    reader = storage_mcap.McapReader(next(bag.glob("*.mcap")))
    reader.open()
    found = list(reader.chunks)
    reader.close()
    return found


def test_no_python_is_made_of_the_definitions_in_a_bag(tmp_path: Path) -> None:
    """This one would become millions of lines."""
    bomb = "string[100000000] texts\n"
    bag = write_bag(tmp_path / "bag", definition=bomb)
    assert bomb.encode() in next(bag.glob("*.mcap")).read_bytes()
    assert len(read(bag)) == FRAMES


ALIASES = "{a0: &a0 [1, 2], a1: &a1 [*a0, *a0]}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "not a bag that can be read"),
        ("- " * 100_000, "not a bag that can be read"),
        (ALIASES, "an alias"),
        ("{a: &a {b: 1}, c: {<<: *a}}", "an alias"),
        ("# " * 2**20, "at most 1 MiB"),
        ("rosbag2_bagfile_information: []", "not a bag that can be read"),
        ("\x00", "not a bag that can be read"),
    ],
)
def test_a_description_is_read_within_bounds(tmp_path: Path, text: str, said: str) -> None:
    bag = write_bag(tmp_path / "bag")
    (bag / rosbag_files.METADATA).write_text(text)
    assert said in refusal(bag)


@pytest.mark.parametrize("name", [rosbag_files.METADATA, "bag.mcap"])
@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_what_is_no_plain_file_is_not_waited_for(
    tmp_path: Path, name: str, put: Callable[[Path], None]
) -> None:
    bag = write_bag(tmp_path / "bag")
    (bag / name).unlink()
    put(bag / name)
    assert "not a bag that can be read" in refusal(bag)


def test_a_bag_of_ros_1_and_one_file_of_a_bag(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag")
    assert len(read(next(bag.glob("*.mcap")))) == FRAMES
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    assert "rosbags-convert" in refusal(tmp_path / "old.bag")


def test_a_cell_that_is_computed_has_a_bound(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", storage=SQLITE)
    with closing(sqlite3.connect(next(bag.glob("*.db3")))) as db, db:
        db.executescript(
            "ALTER TABLE messages RENAME TO old; CREATE TABLE messages (id INTEGER PRIMARY KEY, "
            "topic_id INTEGER, timestamp INTEGER, data AS (zeroblob(600000000))); "
            "INSERT INTO messages SELECT id, topic_id, timestamp FROM old;"
        )
    assert "too big" in refusal(bag)


def test_a_search_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bag = write_bag(tmp_path / "bag", storage=SQLITE)
    assert len(read(bag)) == FRAMES
    monkeypatch.setattr(rosbag_files, "LONGEST_S", -1.0)
    monkeypatch.setattr(rosbag_files, "STEPS", 1)
    assert "interrupted" in refusal(bag)
