"""A live run with all that stands around it, and its end by a signal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from scnet_edge.errors import ConfigError
from scnet_edge.robot.monitoring import open_monitoring
from scnet_edge.runtime.counters import Counters

RUN = """
import sys, threading, time
import numpy as np
from scnet_edge.robot.monitoring import open_monitoring, stop_on_signals
from scnet_edge.runtime.counters import Counters
from scnet_edge.video.fake_source import drawn_frames, fake_source
from scnet_edge.runtime.loop import run_loop
from scnet_edge.types import Result

def dark(frame):
    mask = frame[..., 0] < 128
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None)

counters, source = Counters(), fake_source(drawn_frames(), fps=60)
tell = lambda url: print(url, flush=True)
around = open_monitoring(
    counters, facts={"Source": "fake"}, sinks=sys.argv[1:], live="127.0.0.1:0", announce=tell
)
with around as monitoring, stop_on_signals(source.stop):
    run_loop(source, dark, monitoring.sinks, counters=counters)
print(counters.captured, counters.processed + counters.dropped.total())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_in_order(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "run.jsonl"
    sinks = [f"jsonl:{path}", f"mcap:{tmp_path / 'run.mcap'}", "prometheus://127.0.0.1:0"]
    command = [sys.executable, "-c", RUN, *sinks]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        live, metrics = run.stdout.readline().strip(), run.stdout.readline().strip()
        wait_until_ready(live)
        with urllib.request.urlopen(f"{metrics}metrics") as answer:
            assert b"scnet_edge_frames_processed_total" in answer.read()
        run.send_signal(number)
        rest, _ = run.communicate(timeout=60)
        assert run.returncode == 0
    captured, booked = map(int, rest.split())
    assert captured == booked
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert records[0]["facts"] == {"Source": "fake"}
    assert (records[-1]["kind"], records[-1]["event"]) == ("event", "run_closed")
    assert len([r for r in records if r["kind"] == "frame"]) > 0


def test_the_first_signal_is_orderly_although_the_run_is_over() -> None:
    signals = """
import os, signal, sys, threading
from scnet_edge.robot.monitoring import stop_on_signals

stop = threading.Event()
with stop_on_signals(stop):
    stop.set()  # as every run does at its end
    os.kill(os.getpid(), signal.SIGINT)
    print("the page is written", flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    print("not reached", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", signals], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "the page is written\n")


def wait_until_ready(url: str) -> None:
    deadline_s = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{url}readyz") as answer:
                assert answer.read() == b"running\n"
                return
        except urllib.error.HTTPError:  # 503: no frame yet
            assert time.monotonic() < deadline_s
            time.sleep(0.02)


@pytest.mark.parametrize(
    "options", [{"sinks": ["tape:x"]}, {"live": "nowhere:port"}, {"live": "192.0.2.1:1"}]
)
def test_what_cannot_be_opened_is_one_line(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with (
        pytest.raises(ConfigError, match=r"expected|cannot listen"),
        open_monitoring(Counters(), facts={}, **options),
    ):
        pass
