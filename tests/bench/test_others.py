"""What others used of the processor, against books kept by hand; and what a worker prints."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from scnet_edge.bench import sensors
from scnet_edge.bench.sensors import watch_others

PID = 4242
# user nice system idle iowait irq softirq steal guest guest_nice
BEFORE = "cpu  1000 0 100 5000 100 0 0 0 300 0\ncpu0 1 2 3\n"
AFTER = "cpu  1100 0 110 5060 110 0 0 20 400 0\ncpu0 1 2 3\n"  # 200 ticks, of them 130 used


def process_stat(user: int, system: int) -> str:
    return f"7 (a) name) S 1 7 7 0 -1 4194304 1 0 0 0 {user} {system} 0 0 20 0 3 0 100 9 9"


def told(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    texts: dict[str, str] = {}
    monkeypatch.setattr(sensors, "system_text", lambda path: texts.get(path, ""))
    return texts.update


def test_neither_the_worker_nor_the_runner_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    tell, found = told(monkeypatch), []
    worker, us = f"/proc/{PID}/stat", f"/proc/{os.getpid()}/stat"
    tell({"/proc/stat": BEFORE, worker: process_stat(10, 5), us: process_stat(1, 1)})
    with watch_others(PID, found):
        tell({"/proc/stat": AFTER, worker: process_stat(75, 15), us: process_stat(5, 2)})
    assert found == [(130 - 75 - 5) / 200]


def test_nothing_is_said_where_the_kernel_keeps_no_books(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[float] = []
    told(monkeypatch)({"/proc/stat": ""})
    with watch_others(PID, found):
        pass
    assert found == []


def test_what_an_engine_prints_is_no_answer() -> None:
    code = """
import os
from scnet_edge.bench import worker
def answer(self, order):
    print("a library says hello")
    os.system("echo and its child")
    return {"rss_mb": 1.0}
worker.Worker.answer = answer
worker.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        input='{"do": "memory"}\n',
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == '{"rss_mb":1.0}\n'
    assert "a library says hello" in done.stderr
