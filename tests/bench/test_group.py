"""Cases take turns: who is timed after whom, what is held to what, and a worker that dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from scnet_edge.bench import group
from scnet_edge.bench.bundles import Ready, gflop
from scnet_edge.bench.group import measure_group
from scnet_edge.bench.rows import rows_of
from scnet_edge.bench.schema import BenchmarkRow, Case, Engine, Schedule
from scnet_edge.bench.suite import Contender, Suite
from scnet_edge.bench.worker import Order, WorkerProcess

QUICK, SLOW = "scnet-tiny", "scnet-small"
SPEED = {QUICK: 200.0, SLOW: 100.0}  # frames a second of a first round
OPENVINO = Contender(engine="openvino", precision="int8")


class Drifting:
    """A worker on a machine that is half as fast in every round as in the one before."""

    log: list[tuple[str, str]]

    def __init__(self) -> None:
        self.pid, self.turns = os.getpid(), 0

    def open(self, order: Order) -> dict[str, Any]:
        assert order.case is not None
        self.case = order.case
        return {"device": "openvino CPU", "sha256": {}, "engine_threads": 2, "first_mask_ms": 1.0}

    def ask(self, order: Order) -> dict[str, Any]:
        if order.do != "time" or order.seconds > 1e6:  # a warm-up
            return {"rss_mb": 1.0}
        fps = SPEED[self.case.model] / 2 ** (self.turns // 2)
        self.turns += 1
        self.log.append((self.case.model, order.scope))
        return {"seconds": 1 / fps, "latency_ms": [1e3 / fps], "stages_ms": {}}

    def close(self) -> None:
        """Nothing to end."""

    def __enter__(self) -> Drifting:
        return self

    def __exit__(self, *raised: object) -> None:
        """Nothing to end."""


def rows_in_turns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, suite: Suite
) -> tuple[list[BenchmarkRow], list[tuple[str, str]]]:
    Drifting.log = []
    monkeypatch.setattr(group, "WorkerProcess", Drifting)
    (cases,) = suite.cases()
    ready = [Ready(case=case, bundle=tmp_path, gflop=1.0) for case in cases]
    measured, failures = measure_group(ready, suite, tmp_path, None, lambda step: None)
    assert not failures
    return rows_of(measured, suite, None, why_no_f1="not asked"), Drifting.log


def two_models(**given: Any) -> Suite:
    return Suite(
        models=(SLOW, QUICK),
        sizes_hw=((64, 96),),
        contenders=(OPENVINO, Contender(engine="openvino", precision="fp32", models=(QUICK,))),
        scopes=("engine", "pipeline"),
        together=True,
        rounds=3,
        profile=False,
        **given,
    )


def test_scopes_of_a_case_follow_each_other_and_models_take_turns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, log = rows_in_turns(monkeypatch, tmp_path, two_models())
    a_round = [(model, s) for model in (SLOW, QUICK, QUICK) for s in ("engine", "pipeline")]
    assert log == a_round * 3


def test_models_are_held_to_the_first_one_round_by_round(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The machine slows down to a quarter meanwhile; the ratio of paired rounds does not see it."""
    rows, _ = rows_in_turns(monkeypatch, tmp_path, two_models())
    found = {(r.model, r.precision, r.scope): r for r in rows}
    assert found[SLOW, "int8", "pipeline"].round_fps == (100, 50, 25)
    assert found[SLOW, "int8", "pipeline"].relative == (1, 1, 1)
    assert found[QUICK, "int8", "pipeline"].relative == (2, 2, 2)
    alone = found[QUICK, "fp32", "engine"]
    assert alone.relative is None
    assert alone.not_measured["relative"] == "scnet-small has no row of openvino fp32"
    assert found[SLOW, "int8", "engine"].speedup == {}  # `openvino fp32` is of the other model
    assert found[QUICK, "int8", "engine"].speedup == {"openvino fp32": (1, 1, 1)}


def test_a_row_says_why_it_has_no_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows, _ = rows_in_turns(monkeypatch, tmp_path, two_models(limits=False))
    assert rows[0].not_measured["profile"] == "the suite says profile = false"
    assert rows[0].not_measured["limit"] == "the suite says limits = false"
    suite = Suite(
        models=(SLOW,),
        sizes_hw=((64, 96),),
        contenders=(Contender(engine="openvino", precision="int8", schedule="hed/4"),),
        scopes=("engine", "pipeline"),
    )
    rows, _ = rows_in_turns(monkeypatch, tmp_path, suite)
    assert "HED and SCNet are two" in rows[0].not_measured["profile"]
    assert rows[1].not_measured["profile"] == "stated once, in the row of the engine scope"
    assert "kept edge map" in rows[0].not_measured["f1"]
    assert "together = true" in rows[0].not_measured["relative"]


def ready_of(bundle: Path, engine: Engine, schedule: Schedule = "every") -> Ready:
    case = Case(
        model=f"{bundle}/", precision="fp32", engine=engine, size_hw=(64, 96), schedule=schedule
    )
    return Ready(case=case, bundle=bundle, gflop=gflop(case, bundle))


def test_a_worker_that_is_killed_in_its_turn_is_one_line_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, darkness_bundle: Callable
) -> None:
    started: list[WorkerProcess] = []

    def started_one() -> WorkerProcess:
        started.append(WorkerProcess())
        return started[-1]

    def told(step: str) -> None:
        if "round 2" in step:  # the first case's turn lasts a second
            Timer(0.2, os.kill, (started[0].pid, signal.SIGKILL)).start()

    monkeypatch.setattr(group, "WorkerProcess", started_one)
    suite = Suite(
        sizes_hw=((64, 96),),
        contenders=(OPENVINO,),
        scopes=("engine",),
        rounds=2,
        frames=10**6,
        profile=False,
    )
    bundle = darkness_bundle((64, 96))
    cases = [ready_of(bundle, "onnxruntime"), ready_of(bundle, "openvino")]
    measured, (failure,) = measure_group(cases, suite, tmp_path, None, told)
    assert (failure.engine, failure.error) == ("onnxruntime", "its process ended with status -9")
    assert [len(m.timed["engine"].round_fps) for m in measured] == [2]
    assert measured[0].case.engine == "openvino"
