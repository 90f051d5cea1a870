"""A disk that is full, or turns read-only: pictures stop first, records last, and all come back."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sink_frames import frame_result, recorder

from scnet_edge.sinks.json_lines import JsonLines
from scnet_edge.sinks.mcap_file import McapFile
from scnet_edge.sinks.media import MaskFiles
from scnet_edge.sinks.queued import Outlet, Queued


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"may not mount a tmpfs here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def settle(sink: Queued[object]) -> None:
    while sink.stats.waiting:
        time.sleep(0.002)


def fill(path: Path) -> None:
    """Append until the disk takes no more."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    with suppress(OSError):
        while True:
            os.write(fd, bytes(4096))
    os.close(fd)


def whole_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_fault_11_pictures_stop_first_and_records_last(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filler = small_disk / "filler"
    records: Queued[object] = Queued(JsonLines(small_disk / "run.jsonl", recorder()), "records")
    masks: Queued[object] = Queued(
        MaskFiles(small_disk / "masks", room_bytes=512 * 1024), "masks", backpressure=True
    )
    with caplog.at_level(logging.WARNING):
        for i in range(20):
            masks.write(frame_result(i))
            records.write(frame_result(i))
        settle(masks)
        filler.write_bytes(bytes(600 * 1024))  # below the room that is kept for records
        for i in range(20, 40):
            masks.write(frame_result(i))
            records.write(frame_result(i))
        settle(masks)
        settle(records)
        assert (masks.stats.written, masks.stats.failed) == (20, 20)
        assert (records.stats.written, records.stats.failed) == (40, 0)
        fill(filler)  # and now to the last byte
        for i in range(40, 80):
            records.write(frame_result(i))
        settle(records)
        assert records.stats.failed > 0
        assert records.stats.error == "No space left on device"
        filler.unlink()
        for i in range(80, 90):
            masks.write(frame_result(i))
            records.write(frame_result(i))
        records.close()
        masks.close()
    assert (records.stats.error, masks.stats.error) == ("", "")
    assert masks.stats.written == 30
    ids = [line["frame_id"] for line in whole_lines(small_disk / "run.jsonl")[1:]]
    assert ids[:40] == list(range(40))
    assert ids[-10:] == list(range(80, 90))
    assert len(ids) == records.stats.written
    alarms = [record.getMessage() for record in caplog.records]
    assert sum("sink records: No space left" in alarm for alarm in alarms) == 1
    assert sum("sink records: works again" in alarm for alarm in alarms) == 1


def test_fault_11_a_replay_file_goes_on_in_a_new_part(small_disk: Path) -> None:
    sink: Queued[object] = Queued(
        McapFile(small_disk / "run.mcap", recorder(), room_bytes=0), "mcap", backpressure=True
    )
    filler = small_disk / "filler"
    filler.write_bytes(bytes(960 * 1024))
    for i in range(60):
        sink.write(frame_result(i))
    settle(sink)
    assert sink.stats.failed > 0
    filler.unlink()
    for i in range(60, 70):
        sink.write(frame_result(i))
    sink.close()
    assert sink.stats.error == ""
    parts = sorted(path.name for path in small_disk.glob("run*.mcap"))
    assert len(parts) >= 2


class _ReadOnly:
    """A file system that turned read-only, or a card with a bad block, behind a file descriptor."""

    def __init__(self, outlet: Outlet[bytes], number: int) -> None:
        self.depth = outlet.depth
        self.prepare, self.flush, self.close = outlet.prepare, outlet.flush, outlet.close
        self._outlet, self._number = outlet, number
        self.broken = False

    def put(self, item: bytes) -> None:
        if self.broken:
            raise OSError(self._number, os.strerror(self._number))
        self._outlet.put(item)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO])
def test_fault_12_errors_of_the_disk_are_told_and_survived(tmp_path: Path, number: int) -> None:
    outlet = _ReadOnly(JsonLines(tmp_path / "run.jsonl", recorder()), number)
    sink = Queued(outlet, "records", backpressure=True)
    sink.write(frame_result(0))
    settle(sink)
    outlet.broken = True
    for i in range(1, 5):
        sink.write(frame_result(i))
    settle(sink)
    assert sink.stats.error == os.strerror(number)
    outlet.broken = False
    sink.write(frame_result(5))
    sink.close()
    assert [line["frame_id"] for line in whole_lines(tmp_path / "run.jsonl")[1:]] == [0, 5]
    assert (sink.stats.written, sink.stats.failed) == (2, 4)


def test_fault_12_a_run_that_must_not_lose_anything_ends_with_a_status_of_its_own(
    small_disk: Path,
    darkness_bundle: Callable[[tuple[int, int]], Path],
    command_line: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    (small_disk / "filler").write_bytes(bytes(1000 * 1024))
    bundle, sink = darkness_bundle((64, 96)), f"jsonl:{small_disk / 'run.jsonl'}"
    arguments = ["run", str(bundle), "--source", "sim://pipe?size=64x96&fps=100", "--sink", sink]
    done = command_line(*arguments, "--no-isolate", "--engine", "onnxruntime", "--fail-closed")
    assert done.returncode == os.EX_IOERR == 74
    assert "could not be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert whole_lines(small_disk / "run.jsonl")
