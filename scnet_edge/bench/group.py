"""The cases of one model, or of all, and one size in turns, so that drift meets all alike."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from scnet_edge.bench.bundles import Ready
from scnet_edge.bench.environment import sample_sensors, watch_others
from scnet_edge.bench.schema import Case, EngineProfile, Failure, Scope
from scnet_edge.bench.suite import Suite
from scnet_edge.bench.worker import Order, WorkerProcess
from scnet_edge.errors import ScnetEdgeError
from scnet_edge.machine.telemetry import Telemetry

Report = Callable[[str], None]
SENSORS_S = 0.1  # between two looks at the sensors; twice a turn where that is shorter
CACHING = ("openvino", "tensorrt")  # engines that keep what they compiled


@dataclass(slots=True, kw_only=True)
class Timed:
    """All turns of one case in one scope."""

    round_fps: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    stages_ms: dict[str, list[float]] = field(default_factory=dict)
    telemetry: list[Telemetry] = field(default_factory=list)
    others_cpu: list[float] = field(default_factory=list)

    def add(self, turn: dict[str, Any]) -> None:
        """Count one turn, as the worker answers it."""
        self.round_fps.append(len(turn["latency_ms"]) / turn["seconds"])
        self.latency_ms += turn["latency_ms"]
        for stage, values in turn["stages_ms"].items():
            self.stages_ms.setdefault(stage, []).extend(values)


@dataclass(slots=True, kw_only=True)
class Measured:
    """Everything one case gave.

    Attributes:
        why_not: Field of a row -> why the case has none.
    """

    case: Case
    bundle: Path
    gflop: float
    worker: WorkerProcess
    device: str
    first_mask_ms: dict[str, float]
    timed: dict[Scope, Timed]
    sha256: dict[str, str]
    engine_threads: int | None
    rss_mb: float = float("nan")
    score: dict[str, Any] | None = None
    profile: EngineProfile | None = None
    why_not: dict[str, str] = field(default_factory=dict)


def measure_group(
    cases: list[Ready], suite: Suite, cache: Path, data: str | None, report: Report
) -> tuple[list[Measured], list[Failure]]:
    """Return what the cases gave and which of them failed.

    Args:
        cases: Each with its bundle.
        suite: How long to measure.
        cache: What engines compile is kept here while they are measured.
        data: Annotated images, `NAME:DIR`.
        report: Told each step.
    """
    failures: list[Failure] = []
    with ExitStack() as processes:
        alive: list[Measured] = []
        for ready in cases:
            report(f"{ready.case.name} {ready.case.label}: opening")
            try:
                alive.append(_open(ready, suite, cache, processes))
            except ScnetEdgeError as e:
                failures.append(failure_of(ready.case, e))
        names = ", ".join(dict.fromkeys(ready.case.name for ready in cases))
        for i in range(suite.rounds):
            report(f"{names}: round {i + 1} of {suite.rounds}")
            alive = _survivors(alive, partial(_turns, suite=suite), failures)
        alive = _survivors(alive, partial(_finish, suite=suite, data=data, report=report), failures)
    return alive, failures


def failure_of(case: Case, error: ScnetEdgeError) -> Failure:
    """Return the one line that a case leaves when it cannot be measured."""
    return Failure(**msgspec.structs.asdict(case), error=str(error))


def _survivors(
    alive: list[Measured], step: Callable[[Measured], None], failures: list[Failure]
) -> list[Measured]:
    """Return those for whom a step went well; the others become failures and end."""
    left = []
    for measured in alive:
        try:
            step(measured)
        except ScnetEdgeError as e:
            failures.append(failure_of(measured.case, e))
            measured.worker.close()
        else:
            left.append(measured)
    return left


def _open(ready: Ready, suite: Suite, cache: Path, processes: ExitStack) -> Measured:
    """Return a case in its process, which has made its first mask and warmed up."""
    case, bundle = ready.case, str(ready.bundle)
    name = f"{case.model} {'x'.join(map(str, case.size_hw))} {case.label}"
    folder = cache / re.sub(r"[ /]+", "-", name).strip("-")
    shutil.rmtree(folder, ignore_errors=True)
    order = Order(do="open", case=case, bundle=bundle, cache=str(folder), threads=suite.threads)
    first_mask_ms = {}
    if case.engine in CACHING:
        with WorkerProcess() as cold:
            first_mask_ms["cold"] = cold.open(order)["first_mask_ms"]
    worker = processes.enter_context(WorkerProcess())
    answer = worker.open(order)
    first_mask_ms["warm" if case.engine in CACHING else "cold"] = answer["first_mask_ms"]
    measured = Measured(
        case=case,
        bundle=ready.bundle,
        gflop=ready.gflop,
        worker=worker,
        device=answer["device"],
        first_mask_ms=first_mask_ms,
        timed={scope: Timed() for scope in suite.scopes},
        sha256=answer["sha256"],
        engine_threads=answer["engine_threads"],
    )
    worker.ask(Order(do="time", scope="pipeline", seconds=1e9, frames=suite.warm_up))
    return measured


def _turns(measured: Measured, suite: Suite) -> None:
    """Time a case once in each scope; one right after the other, so that their ratios hold."""
    for scope in suite.scopes:
        _turn(measured, scope, suite)


def _turn(measured: Measured, scope: Scope, suite: Suite) -> None:
    order = Order(do="time", scope=scope, seconds=suite.round_s, frames=suite.frames)
    timed, worker = measured.timed[scope], measured.worker
    with (
        sample_sensors(timed.telemetry, every_s=min(SENSORS_S, suite.round_s / 2)),
        watch_others(worker.pid, timed.others_cpu),
    ):
        turn = worker.ask(order)
    timed.add(turn)


def _finish(measured: Measured, suite: Suite, data: str | None, report: Report) -> None:
    """Take what would disturb the turns: memory first, then F1 and the profile."""
    worker, case = measured.worker, measured.case
    measured.rss_mb = worker.ask(Order(do="memory"))["rss_mb"]
    if case.schedule != "every":
        measured.why_not["f1"] = (
            "still images do not show what a kept edge map costs on moving ones"
        )
    elif data is not None:
        report(f"{case.name} {case.label}: F1")
        measured.score = worker.ask(Order(do="score", data=data, images=suite.images))
    if not suite.profile:
        measured.why_not["profile"] = "the suite says profile = false"
    elif case.schedule != "every":
        measured.why_not["profile"] = "of one graph alone, and here HED and SCNet are two"
    elif case.engine != "openvino":
        measured.why_not["profile"] = "this engine's counters are not read"
    else:
        report(f"{case.name} {case.label}: profile")
        found = worker.ask(Order(do="profile"))["profile"]
        measured.profile = msgspec.convert(found, EngineProfile)
    worker.close()


def median(values: list[float]) -> float:
    """Return the median, rounded to what a clock of microseconds can say."""
    return round(float(np.median(values)), 3)
