"""SIGTERM under load: what is at hand is written, `run_closed` comes last, exit status 0."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from misbehaving import picture

MAIN = "from scnet_edge.cli import main; main()"
SIZE_HW = (64, 96)
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(root: Path) -> Iterator[Start]:
    """Return a function that starts `scnet-edge ARGUMENTS`."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", MAIN, *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def busy(send: Callable[[bytes], None], number: int) -> None:
    """Send pictures as fast as they are taken."""
    pictures = [picture(40 + i, SIZE_HW) for i in range(20)]
    while True:
        for made in pictures:
            send(made)
            time.sleep(0.005)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_for_frames(path: Path) -> None:
    for _ in range(600):
        if path.exists() and path.read_text().count('"kind":"frame"') >= 5:
            return
        time.sleep(0.1)
    raise AssertionError(f"{path}: no frames in a minute")


def test_sigterm_ends_a_busy_run_in_good_order(
    start: Start,
    darkness_bundle: Callable[..., Path],
    mjpeg_camera: Callable[..., Any],
    tmp_path: Path,
) -> None:
    log, out = tmp_path / "run.jsonl", tmp_path / "out"
    uri = mjpeg_camera(busy).uri.replace("://", "://joe:s3cret@")
    arguments = ("--source", uri, "--sink", f"jsonl:{log}", "--out", str(out))
    process = start("run", str(darkness_bundle(SIZE_HW)), *arguments)
    wait_for_frames(log)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    records = lines_of(log)
    assert records[-1]["event"] == "run_closed"
    frames = [record for record in records if record["kind"] == "frame"]
    rows = [[cell.strip() for cell in row.split("│")] for row in stdout.splitlines()]
    assert [row[1] for row in rows if row[0] == "frames"] == [str(len(frames))]
    assert len(list((out / "masks").iterdir())) == len(frames)
    assert all(record["clock_synced"] in (True, False, None) for record in records)
    for text in (stdout, stderr, log.read_text(), (out / "report.html").read_text()):
        assert "s3cret" not in text


def test_a_second_sigterm_ends_it_at_once(
    start: Start, darkness_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    log = tmp_path / "run.jsonl"
    arguments = ("--source", "sim://pipe?size=64x96", "--sink", f"jsonl:{log}")
    process = start("run", str(darkness_bundle(SIZE_HW)), *arguments)
    wait_for_frames(log)
    process.send_signal(signal.SIGTERM)
    for _ in range(200):
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGTERM)
        time.sleep(0.001)
    process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM
