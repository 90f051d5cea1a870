"""A file torn at any byte, by a real SIGKILL or by hand: what was synced is there."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mcap.reader import make_reader

WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from sink_frames import BOARD, frame_result
from scnet_edge.sinks import queued
from scnet_edge.sinks.open import open_sinks
from scnet_edge.sinks.run_records import Recorder
queued.FLUSH_S = 0.05
folder = Path(sys.argv[1])
specs = [f"jsonl:{folder}/run.jsonl", f"mcap:{folder}/run.mcap"]
with open_sinks(specs, Recorder(lambda: BOARD, {}), backpressure=True) as sinks:
    for i in range(100_000):
        print(i, flush=True)  # told before it is written: no frame is there that was not told
        for sink in sinks:
            sink.write(frame_result(i))
"""


def test_a_killed_run_is_recovered_by_one_command(
    tmp_path: Path, command_line: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    frames, helpers = 90, str(Path(__file__).parents[1] / "sinks")
    command = [sys.executable, "-c", WRITER, str(tmp_path), helpers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        for _ in range(frames):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        last = [int(line) for line in writer.stdout.read().split()][-1:] or [frames - 1]
    for suffix in ("jsonl", "mcap"):
        done = command_line("recover", str(tmp_path / f"run.{suffix}"), "--json")
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        found = frame_ids(Path(report["out"]))
        assert found == list(range(len(found)))
        # at most what waited in the queue, and the chunk at hand
        assert last[0] - 280 <= len(found) <= last[0] + 1
        assert len(found) > 0


def frame_ids(path: Path) -> list[int]:
    if path.suffix == ".jsonl":
        records = [json.loads(line) for line in path.read_text().splitlines()]
        return [record["frame_id"] for record in records if record["kind"] == "frame"]
    with path.open("rb") as f:
        messages = make_reader(f).iter_messages(topics=["/frames"])
        return [json.loads(message.data)["frame_id"] for _, _, message in messages]


def test_a_torn_byte_anywhere_is_one_line_of_text(
    tmp_path: Path, command_line: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text("".join(f'{{"kind":"frame","frame_id":{i}}}\n' for i in range(50)))
    size = random.Random(3).randrange(200, path.stat().st_size)
    path.write_bytes(path.read_bytes()[:size])
    done = command_line("recover", str(path), "--out", str(tmp_path / "whole.jsonl"))
    assert done.returncode == 0, done.stderr
    whole = (tmp_path / "whole.jsonl").read_bytes()
    lost = size - len(whole)
    assert f"{whole.count(b'}')} records" in done.stdout
    assert f"{lost} bytes" in done.stdout
    again = command_line("recover", str(path), "--out", str(tmp_path / "whole.jsonl"))
    assert (again.returncode, len(again.stderr.splitlines())) == (1, 1)
