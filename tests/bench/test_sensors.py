"""Power, heat and clocks of a row are those of its own turns, not of the rest between them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Semaphore

import pytest

from scnet_edge.bench import environment
from scnet_edge.bench.environment import watch_others
from scnet_edge.bench.group import Measured, Timed, _turn
from scnet_edge.bench.rows import rows_of
from scnet_edge.bench.schema import BenchmarkRow, Case, Scope
from scnet_edge.bench.suite import Suite
from scnet_edge.bench.worker import Order
from scnet_edge.machine.telemetry import Telemetry, read_sysfs

WATTS: dict[Scope, int] = {"engine": 20, "pipeline": 10}
IDLE = 5
SUITE = Suite(sizes_hw=((64, 96),), contenders=(), rounds=2, round_s=0.1)


class TwoLooks(Event):
    """The end of a turn, which the sampling thread waits for after two looks."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 2

    def wait(self, timeout: float | None = None) -> bool:
        self.left -= 1
        return super().wait(timeout if self.left >= 0 else None)


class Board:
    """A worker on a board whose sensors show work while it works, for two looks."""

    pid = os.getpid()

    def __init__(self, root: Path) -> None:
        self.root, self.looked, self.working = root, Semaphore(0), Event()
        self.show(IDLE)

    def show(self, watts: int) -> None:
        rail, zone = (
            self.root / f"sys/class/{p}" for p in ("hwmon/hwmon0", "thermal/thermal_zone0")
        )
        clock = self.root / "sys/class/devfreq/17000000.gpu"
        for folder in (rail, zone, clock):
            folder.mkdir(parents=True, exist_ok=True)
        for path, text in {
            rail / "name": "ina3221",
            rail / "in1_label": "VDD_IN",
            rail / "in1_input": "5000",
            rail / "curr1_input": str(200 * watts),
            zone / "temp": str(3000 * watts),
            clock / "cur_freq": str(10**8 * watts),
        }.items():
            path.write_text(text)

    def read(self) -> Telemetry:
        assert self.working.wait(10)  # no look at files that are being written
        found = read_sysfs(self.root)
        self.looked.release()
        return found

    def ask(self, order: Order) -> dict[str, object]:
        self.show(WATTS[order.scope])
        self.working.set()
        for _ in range(2):
            assert self.looked.acquire(timeout=10)
        self.working.clear()
        self.show(IDLE)
        return {"seconds": 0.2, "latency_ms": [100.0, 100.0], "stages_ms": {}}


def test_sensors_are_read_while_the_turn_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Board(tmp_path)
    monkeypatch.setattr(environment, "read_sensors", board.read)
    monkeypatch.setattr(environment, "Event", TwoLooks)
    case = Case(model="scnet-small", precision="fp32", engine="torch", size_hw=(64, 96))
    measured = Measured(
        case=case,
        bundle=tmp_path,
        worker=board,
        gflop=1.0,
        device="a board",
        first_mask_ms={},
        sha256={},
        engine_threads=None,
        timed={scope: Timed() for scope in WATTS},
    )
    for _ in range(SUITE.rounds):
        for scope in WATTS:
            _turn(measured, scope, SUITE)
    for row in rows_of([measured], SUITE, None, why_no_f1="not asked"):
        watts = WATTS[row.scope]
        assert row.joules == pytest.approx(watts / row.fps, rel=1e-3)
        assert row.temperature_c == 3 * watts
        assert row.clocks_mhz == {"gpu": 100.0 * watts}


def row_of(device: str, *telemetry: Telemetry) -> BenchmarkRow:
    """Return a row of 10 FPS."""
    measured = Measured(
        case=Case(model="scnet-small", precision="fp32", engine="torch", size_hw=(64, 96)),
        bundle=Path(),
        worker=None,
        gflop=1.0,
        device=device,
        first_mask_ms={},
        sha256={},
        engine_threads=None,
        timed={
            "pipeline": Timed(round_fps=[10.0], latency_ms=[100.0], telemetry=list(telemetry)),
        },
    )
    (row,) = rows_of([measured], SUITE, None, why_no_f1="not asked")
    return row


@pytest.mark.parametrize(
    ("device", "rails", "joules"),
    [
        ("onnxruntime CUDA", {"gpu": 300_000.0}, 30.0),
        ("tensorrt NVIDIA RTX 4090", {"gpu": 300_000.0}, 30.0),
        ("openvino CPU", {"gpu": 300_000.0}, None),
        ("openvino CPU, BF16 for FP32", {"gpu": 300_000.0}, None),
        ("openvino CPU", {"VDD_IN": 300_000.0, "gpu": 50_000.0}, 30.0),  # the whole board's
    ],
)
def test_an_idle_card_is_not_what_a_cpu_consumes(
    device: str, rails: dict[str, float], joules: float | None
) -> None:
    row = row_of(device, Telemetry(source="nvml", power_mw=rails, total_mw=300_000.0))
    assert row.joules == joules
    why = row.not_measured.get("joules", "")
    assert ("only the graphics card has a power sensor" in why) == (joules is None)


def test_a_turn_too_short_to_look_says_so() -> None:
    row = row_of("a board")
    assert row.clocks_mhz is None
    assert "too short" in row.not_measured["joules"]


PID = 4242
# user nice system idle iowait irq softirq steal guest guest_nice
BEFORE = "cpu  1000 0 100 5000 100 0 0 0 300 0\ncpu0 1 2 3\n"
AFTER = "cpu  1100 0 110 5060 110 0 0 20 400 0\ncpu0 1 2 3\n"  # 200 ticks, of them 130 used


def process_stat(user: int, system: int) -> str:
    return f"7 (a) name) S 1 7 7 0 -1 4194304 1 0 0 0 {user} {system} 0 0 20 0 3 0 100 9 9"


def told(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    texts: dict[str, str] = {}
    monkeypatch.setattr(environment, "system_text", lambda path: texts.get(path, ""))
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
