"""Files of a live run: whole lines, replayable MCAP, a video and masks."""

from __future__ import annotations

import base64
import json
import math
import os
import random
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from sink_frames import frame_result, recorder

from scnet_edge.errors import ConfigError, InputError
from scnet_edge.events import event_now
from scnet_edge.sinks import mcap_file
from scnet_edge.sinks.json_lines import JsonLines
from scnet_edge.sinks.mcap_file import McapFile
from scnet_edge.sinks.media import MaskFiles, OverlayVideo, free_path
from scnet_edge.sinks.open import open_sinks
from scnet_edge.sinks.recover import recover_file


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_what_the_machine_was_like(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.jsonl"
    sink = JsonLines(path, recorder())
    sink.put(sink.prepare(frame_result(7)))
    sink.put(sink.prepare(event_now("camera_lost", "timeout", "no frame for 5 s")))
    sink.close()
    run, frame, event = lines(path)
    assert run["kind"] == "run"
    assert run["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert (frame["kind"], frame["frame_id"], frame["crack_area_px"]) == ("frame", 7, 160)
    assert (frame["power_mode"], frame["clocks_mhz"]) == ("15W", {"gpu": 612.0})
    assert frame["cracks"] == [
        {
            "length_px": 40.0,
            "width_mean_px": 4.0,
            "width_max_px": 4.0,
            "angle_deg": 0.0,
            "area_px": 160,
            "bbox_xyxy": [10, 20, 50, 24],
        }
    ]
    assert "clock_synced" in frame
    assert (event["event"], event["reason"]) == ("camera_lost", "timeout")


def test_a_refused_write_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = JsonLines(tmp_path / "run.jsonl", recorder())
    sink.put(b'{"n":1}\n')
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(
            os, "write", lambda fd, data: write(fd, data[:3]) if len(data) > 5 else _full()
        )
        with pytest.raises(OSError, match="No space"):
            sink.put(b'{"n":2}\n')
    sink.put(b'{"n":3}\n')
    sink.close()
    assert lines(tmp_path / "run.jsonl")[1:] == [{"n": 1}, {"n": 3}]


def _full() -> int:
    raise OSError(28, "No space left on device")


def write_mcap(path: Path, frames: int) -> None:
    sink = McapFile(path, recorder(), room_bytes=0)
    for i in range(frames):
        sink.put(sink.prepare(frame_result(i)))
    sink.put(sink.prepare(event_now("camera_lost", "timeout")))
    sink.close()


def messages(path: Path) -> list[tuple[str, dict[str, object]]]:
    with path.open("rb") as f:
        reader = make_reader(f, validate_crcs=True)
        return [(c.topic, json.loads(m.data)) for _, c, m in reader.iter_messages()]


def test_mcap_is_read_by_the_reference_reader(tmp_path: Path) -> None:
    write_mcap(tmp_path / "run.mcap", 3)
    found = messages(tmp_path / "run.mcap")
    frames = [data for topic, data in found if topic == "/frames"]
    assert [frame["frame_id"] for frame in frames] == [0, 1, 2]
    image = next(data for topic, data in found if topic == "/overlay")
    assert image["format"] == "jpeg"
    jpeg = np.frombuffer(base64.b64decode(str(image["data"])), np.uint8)
    assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (48, 64, 3)
    assert [data["name"] for topic, data in found if topic == "/log"] == ["camera_lost"]
    with (tmp_path / "run.mcap").open("rb") as f:
        schemas = make_reader(f).get_summary().schemas.values()
    assert {"foxglove.CompressedImage", "foxglove.Log"} <= {schema.name for schema in schemas}


def test_recovering_what_is_whole_loses_nothing(tmp_path: Path) -> None:
    write_mcap(tmp_path / "run.mcap", 3)
    done = recover_file(tmp_path / "run.mcap", tmp_path / "again.mcap")
    assert (done.records, done.lost_bytes) == (8, 0)
    assert messages(tmp_path / "again.mcap") == messages(tmp_path / "run.mcap")


def test_a_part_is_finished_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcap_file, "PART_S", -1.0)
    write_mcap(tmp_path / "run.mcap", 2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["run-001.mcap", "run-002.mcap", "run-003.mcap", "run.mcap"]
    assert [len(messages(tmp_path / name)) for name in names] == [3, 3, 2, 1]


def test_an_mcap_cut_anywhere_gives_all_that_was_synced(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    sink = McapFile(path, recorder(), room_bytes=0)
    for i in range(30):
        sink.put(sink.prepare(frame_result(i)))
        if i % 10 == 9:
            sink.flush()
    synced = path.read_bytes()  # as a power cut leaves it: no end, no index
    sink.close()
    for cut in [len(synced), len(synced) - 1, *random.Random(0).sample(range(9, len(synced)), 12)]:
        torn = tmp_path / f"torn-{cut}.mcap"
        torn.write_bytes(synced[:cut])
        done = recover_file(torn, tmp_path / f"whole-{cut}.mcap")
        found = [d["frame_id"] for t, d in messages(Path(done.out)) if t == "/frames"]
        assert found == list(range(len(found)))
        assert len(found) >= math.floor(30 * cut / len(synced)) - 9  # a chunk at most
        assert done.lost_bytes < 24_000
        if cut == len(synced):
            assert (len(found), done.records, done.lost_bytes) == (30, 61, 0)


def test_lines_cut_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    sink = JsonLines(path, recorder())
    for i in range(20):
        sink.put(sink.prepare(frame_result(i)))
    sink.close()
    whole = path.read_bytes()
    for cut in random.Random(1).sample(range(300, len(whole)), 20):
        torn = tmp_path / "torn.jsonl"
        torn.write_bytes(whole[:cut] + b"\0" * 17)  # as some file systems leave a tail
        good = whole[:cut].count(b"\n")
        done = recover_file(torn, tmp_path / f"whole-{cut}.jsonl")
        assert done.records == len(lines(Path(done.out))) == good
        again = JsonLines(torn, recorder())
        again.put(again.prepare(frame_result(99)))
        again.close()
        kinds = [line["kind"] for line in lines(torn)]
        assert kinds == ["run", *["frame"] * (good - 1), "run", "frame"]


@pytest.mark.parametrize("name", ["notes.txt", "missing.mcap", "fake.mcap", "taken.jsonl"])
def test_what_cannot_be_recovered(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "fake.mcap").write_text("not an MCAP file at all")
    (tmp_path / "taken.jsonl").write_text("{}\n")
    (tmp_path / "out").write_text("")
    out = tmp_path / ("out" if name == "taken.jsonl" else "other")
    with pytest.raises(InputError, match=str(tmp_path)):
        recover_file(tmp_path / name, out)


@pytest.mark.parametrize("name", ["run.jsonl", "run.mcap"])
def test_recovering_into_no_folder_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}\n")
    for out in (tmp_path / "none" / name, tmp_path / name / "again"):
        with pytest.raises(InputError, match="in a folder that exists"):
            recover_file(tmp_path / name, out)


def test_a_video_without_its_end_still_plays(tmp_path: Path) -> None:
    video = OverlayVideo(tmp_path / "run.avi", fps=10, room_bytes=0)
    frames = np.random.default_rng(0).integers(0, 256, (30, 240, 320, 3), np.uint8)
    for i in range(30):
        item = frame_result(i)
        captured = replace(item.captured, frame=frames[i])
        mask = np.zeros((240, 320), bool)
        video.put(replace(item, captured=captured, result=replace(item.result, mask=mask)))
    torn = tmp_path / "torn.avi"
    torn.write_bytes((tmp_path / "run.avi").read_bytes())  # what a power cut now would leave
    video.close()
    assert count_frames(tmp_path / "run.avi") == 30
    assert count_frames(torn) >= 28
    OverlayVideo(tmp_path / "run.avi", fps=10).close()
    assert free_path(tmp_path / "run.avi").name == "run-001.avi"  # an empty video makes no file


def count_frames(path: Path) -> int:
    video, count = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), 0
    while video.read()[0]:
        count += 1
    return count


def test_a_video_that_cannot_be_written_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"cannot be opened .* name another place"),
        open_sinks(["video:/proc/run.avi"], recorder()),
    ):
        pass
    video = OverlayVideo(tmp_path / "run.avi", fps=10, room_bytes=0)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "run.avi").mkdir()
    with pytest.raises(OSError, match="OpenCV cannot write it"):
        video.put(frame_result(0))
    video.close()


def test_an_mp4_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="power cut"):
        OverlayVideo(tmp_path / "run.mp4", fps=None)


def test_masks_of_frames_with_a_crack(tmp_path: Path) -> None:
    sink = MaskFiles(tmp_path / "masks", room_bytes=0)
    assert sink.prepare(frame_result(0, crack=False)) is None
    assert sink.prepare(event_now("camera_lost")) is None
    item = sink.prepare(frame_result(1))
    assert item
    sink.put(item)
    [path] = (tmp_path / "masks").iterdir()
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, frame_result(1).result.mask * np.uint8(255))


@pytest.mark.parametrize(
    "spec",
    [
        "jsonl:",
        "tape:/dev/st0",
        "video:run.mp4",
        "mqtt://host",
        "run.jsonl",
        "mqtt://h/a/#",
        "mqtt://h:port/a",
        "mqtt://[h/a",
    ],
)
def test_a_wrong_sink_is_one_line(spec: str) -> None:
    with (
        pytest.raises(ConfigError, match=r"expected|topic"),
        open_sinks([spec], recorder()),
    ):
        pass


@pytest.mark.parametrize("kind", ["jsonl", "mcap", "masks"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("")
    spec = f"{kind}:{tmp_path / 'file' / 'below'}"
    with (
        pytest.raises(ConfigError, match=r"cannot be opened .* name another place"),
        open_sinks([spec], recorder()),
    ):
        pass


def test_a_password_is_not_shown() -> None:
    spec = "mqtt://robot:s3cret@broker"
    with (
        pytest.raises(ConfigError) as caught,
        open_sinks([spec], recorder()),
    ):
        pass
    assert "s3cret" not in str(caught.value)
