"""Bags as a sink, read back by rosbags and by the readers of MCAP and SQLite themselves."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from sink_frames import frame_result, recorder

from scnet_edge.errors import ConfigError
from scnet_edge.events import event_now
from scnet_edge.robot.open_source import open_any
from scnet_edge.sinks.open import open_sinks
from scnet_edge.sinks.ros_results import TOPICS, types
from scnet_edge.sinks.rosbag_file import PREFIX, RosbagFile

FRAMES = 3
EXPECTED = {**{f"{PREFIX}/{topic}": FRAMES for topic in TOPICS}, "/scnet_edge/log": 1}


def written(folder: Path, storage: str) -> Path:
    """Write three frames and an event through the sink as `--sink` opens it."""
    spec = f"rosbag:{folder}?storage={storage}"
    with open_sinks([spec], recorder(), backpressure=True) as [sink]:
        for i in range(FRAMES):
            sink.write(frame_result(i, crack=i != 1))
        sink.note(event_now("camera_lost", "timeout", "no frame for 5 s"))
    assert sink.stats.written == FRAMES + 1
    [file] = [path for path in folder.iterdir() if path.suffix != ".yaml"]
    return file


def test_rosbags_reads_it_without_our_types(tmp_path: Path) -> None:
    written(tmp_path / "new" / "bag", "mcap")
    with AnyReader([tmp_path / "new" / "bag"]) as reader:
        found = [(c.topic, reader.deserialize(data, c.msgtype)) for c, _, data in reader.messages()]
    assert Counter(topic for topic, _ in found) == EXPECTED
    masks = [message for topic, message in found if topic == "/scnet_edge/mask"]
    expected = frame_result(0).result.mask * np.uint8(255)
    np.testing.assert_array_equal(masks[0].data.reshape(48, 64), expected)
    assert not masks[1].data.any()
    cracks = [message.cracks for topic, message in found if topic == "/scnet_edge/cracks"]
    assert [len(c) for c in cracks] == [1, 0, 1]
    assert (cracks[0][0].x_min, cracks[0][0].y_max, cracks[0][0].length_px) == (10, 24, 40.0)
    [log] = [message for topic, message in found if topic == "/scnet_edge/log"]
    assert (log.level, log.msg) == (30, "camera_lost timeout no frame for 5 s")


def test_the_reader_of_mcap_finds_all_and_its_index(tmp_path: Path) -> None:
    file = written(tmp_path / "bag", "mcap")
    with file.open("rb") as stream:
        reader = make_reader(stream)
        summary = reader.get_summary()
        assert summary is not None
        counts = {
            summary.channels[i].topic: count
            for i, count in summary.statistics.channel_message_counts.items()
        }
        messages = list(reader.iter_messages(["/scnet_edge/overlay/compressed"]))
    assert counts == EXPECTED
    for schema, _, message in messages:
        assert (schema.name, schema.encoding) == ("sensor_msgs/msg/CompressedImage", "ros2msg")
        picture = types().deserialize_cdr(message.data, schema.name)
        assert cv2.imdecode(picture.data, cv2.IMREAD_COLOR).shape == (48, 64, 3)


def test_sqlite_finds_all(tmp_path: Path) -> None:
    file = written(tmp_path / "bag", "sqlite3")
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute(
            "SELECT name, type, count(*) FROM messages JOIN topics ON topic_id = topics.id "
            "GROUP BY name"
        ).fetchall()
    assert {name: count for name, _, count in rows} == EXPECTED
    assert {name: kind for name, kind, _ in rows} == {f"{PREFIX}/{t}": k for t, k in TOPICS.items()}


def test_what_one_run_wrote_another_can_look_at(tmp_path: Path) -> None:
    written(tmp_path / "bag", "mcap")
    with open_any(f"rosbag:{tmp_path}/bag?topic=/scnet_edge/mask") as source:
        assert [captured.frame.any() for captured in source] == [True, False, True]


def test_a_bag_is_never_overwritten_and_its_options_are_checked(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for spec, said in (
        (f"rosbag:{tmp_path}/there", "exists; name a new folder"),
        (f"rosbag:{tmp_path}/new?storage=csv", r"or with \?storage=mcap\|sqlite3"),
        (f"rosbag:{tmp_path}/new?speed=2", "unknown option 'speed'"),
        ("rosbag:?storage=mcap", "expected rosbag:FOLDER"),
    ):
        with pytest.raises(ConfigError, match=said), open_sinks([spec], recorder()):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_full_disk_costs_the_bag_and_not_the_run(tmp_path: Path) -> None:

    sink = RosbagFile(tmp_path / "bag", recorder(), room_bytes=2**62)
    with pytest.raises(OSError, match="kept for the records"):
        sink.put(frame_result(0))
    sink.close()
