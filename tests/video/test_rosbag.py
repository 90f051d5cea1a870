"""Bags as a source: written by another library's writer, of every storage and version."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Literal

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import (
    CompressionFormat,
    CompressionMode,
    StoragePlugin,
    Writer,
)
from rosbags.typesys import Stores, get_typestore

from scnet_edge.errors import InputError
from scnet_edge.robot.open_source import open_any
from scnet_edge.video.fake_source import drawn_frames

FRAMES, FPS, START_NS = 5, 20, 1_795_000_000_000_000_000
SIZE_HW = (48, 64)


def write_bag(
    folder: Path,
    topics: tuple[str, ...] = ("/camera/image_raw",),
    *,
    storage: StoragePlugin = StoragePlugin.MCAP,
    version: Literal[8, 9] = 9,
    distribution: Stores = Stores.ROS2_JAZZY,
    compress: bool = False,
    encoding: str = "bgr8",
    definition: str | None = None,
    step_ns: int = 10**9 // FPS,
) -> Path:
    """Write the drawn frames on each topic; one that ends in `compressed` as JPEG."""
    store = get_typestore(distribution)
    header, time, raw, packed = (
        store.types[name]
        for name in (
            "std_msgs/msg/Header",
            "builtin_interfaces/msg/Time",
            "sensor_msgs/msg/Image",
            "sensor_msgs/msg/CompressedImage",
        )
    )
    writer = Writer(folder, version=version, storage_plugin=storage)
    if compress:
        writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        opened = []
        for topic in topics:
            kind = packed if topic.endswith("compressed") else raw
            name = kind.__msgtype__
            own = {"msgdef": definition, "rihs01": store.hash_rihs01(name)} if definition else {}
            connection = writer.add_connection(topic, name, **(own or {"typestore": store}))
            opened.append((connection, kind))
        for i, frame in enumerate(drawn_frames(FRAMES, SIZE_HW)):
            at_ns = START_NS + i * step_ns
            stamp = time(sec=at_ns // 10**9, nanosec=at_ns % 10**9)
            head = header(stamp=stamp, frame_id="camera")
            for connection, kind in opened:
                message = (
                    packed(header=head, format="jpeg", data=cv2.imencode(".jpg", frame)[1].ravel())
                    if kind is packed
                    else raw(head, *SIZE_HW, encoding, 0, 3 * SIZE_HW[1], frame.ravel())
                )
                data = store.serialize_cdr(message, kind.__msgtype__)
                writer.write(connection, at_ns + 5_000_000, data)  # logged later than it was taken
    return folder


@pytest.mark.parametrize("storage", list(StoragePlugin))
@pytest.mark.parametrize(
    ("version", "distribution", "compress"),
    [
        (8, Stores.ROS2_HUMBLE, False),
        (9, Stores.ROS2_JAZZY, True),
        (9, Stores.ROS2_LYRICAL, False),
    ],
)
def test_frames_come_with_the_times_of_their_headers(
    tmp_path: Path,
    storage: StoragePlugin,
    version: Literal[8, 9],
    distribution: Stores,
    compress: bool,
) -> None:
    bag = write_bag(
        tmp_path / "bag",
        storage=storage,
        version=version,
        distribution=distribution,
        compress=compress,
    )
    with open_any(f"rosbag:{bag}") as source:
        assert (source.count, source.live) == (FRAMES, False)
        assert source.fps == pytest.approx(FPS)
        captured = list(source)
    for found, frame in zip(captured, drawn_frames(FRAMES, SIZE_HW), strict=True):
        np.testing.assert_array_equal(found.frame, frame)
    assert [c.utc_ns for c in captured] == [START_NS + i * 10**9 // FPS for i in range(FRAMES)]
    assert set(np.diff([c.mono_ns for c in captured])) == {10**9 // FPS}
    assert len({c.name for c in captured}) == FRAMES


def test_a_topic_is_chosen_or_asked_for(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", ("/left/compressed", "/right"))
    with open_any(f"rosbag:{bag}?topic=/left/compressed") as source:
        frames = [captured.frame for captured in source]
    expected = list(drawn_frames(FRAMES, SIZE_HW))
    assert len(frames) == FRAMES
    assert max(np.abs(f.astype(int) - e).mean() for f, e in zip(frames, expected, strict=True)) < 8
    for query, said in (
        ("", r"pictures on /left/compressed, /right; choose one by \?topic=/left/compressed"),
        ("?topic=/up", "no pictures on /up, found /left/compressed, /right"),
        ("?speed=2", "unknown option 'speed', expected topic"),
    ):
        with pytest.raises(InputError, match=said), open_any(f"rosbag:{bag}{query}"):
            pass


def test_what_is_no_bag_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for uri, said in (
        (f"rosbag:{tmp_path}/none", "no such bag"),
        ("rosbag:", "expected the folder"),
        (f"rosbag:{tmp_path}/empty", "not a bag that can be read"),
    ):
        with pytest.raises(InputError, match=said) as refused, open_any(uri):
            pass
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("storage", list(StoragePlugin))
@pytest.mark.parametrize("compress", [False, True])
def test_a_damaged_bag_is_one_line(tmp_path: Path, storage: StoragePlugin, compress: bool) -> None:
    """Cut, overwritten or edited at random; damage within a picture's own bytes is not seen."""
    bag, rng = write_bag(tmp_path / "bag", storage=storage, compress=compress), Random(7)
    files = {path: path.read_bytes() for path in bag.iterdir()}
    refused = 0
    for turn in range(60):
        for path, whole in files.items():
            path.write_bytes(whole)
        path = rng.choice(sorted(files))
        path.write_bytes(damaged(files[path], rng, turn))
        try:
            with open_any(f"rosbag:{bag}") as source:
                list(source)
        except InputError as e:
            refused += "\n" not in str(e)
        else:
            refused += 1
    assert refused == 60


def damaged(whole: bytes, rng: Random, turn: int) -> bytes:
    """Return bytes that are cut, overwritten in a stretch, or changed here and there."""
    data = bytearray(whole)
    at = rng.randrange(len(data))
    if turn % 3 == 0:
        return bytes(data[:at])
    if turn % 3 == 1:
        data[at : at + 900] = rng.randbytes(min(900, len(data) - at))
    for _ in range(9 * (turn % 3 == 2)):
        data[rng.randrange(min(len(data), 4000))] = rng.randrange(256)
    return bytes(data)


def test_an_encoding_that_is_not_known_names_topic_and_message(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", encoding="64FC3")
    with (
        pytest.raises(InputError, match="/camera/image_raw, message 0: encoding '64FC3'"),
        open_any(f"rosbag:{bag}") as source,
    ):
        list(source)
