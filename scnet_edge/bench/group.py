"""The cases of one model and size, measured in turns, so that drift meets all of them alike."""

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

from scnet_edge.bench.process import WorkerProcess
from scnet_edge.bench.schema import Case, Failure, Profile, Scope
from scnet_edge.bench.sensors import sampled
from scnet_edge.bench.suite import Suite
from scnet_edge.bench.worker import Order
from scnet_edge.errors import ScnetEdgeError
from scnet_edge.runtime.telemetry import Telemetry

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

    def add(self, turn: dict[str, Any]) -> None:
        """Count one turn, as the worker answers it."""
        self.round_fps.append(len(turn["latency_ms"]) / turn["seconds"])
        self.latency_ms += turn["latency_ms"]
        for stage, values in turn["stages_ms"].items():
            self.stages_ms.setdefault(stage, []).extend(values)


@dataclass(slots=True, kw_only=True)
class Measured:
    """Everything one case gave."""

    case: Case
    bundle: Path
    worker: WorkerProcess
    device: str
    first_mask_ms: dict[str, float]
    timed: dict[Scope, Timed]
    rss_mb: float = float("nan")
    score: dict[str, Any] | None = None
    profile: Profile | None = None


def measure_group(
    cases: list[tuple[Case, Path]], suite: Suite, cache: Path, data: str | None, report: Report
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
        for case, bundle in cases:
            report(f"{case.name} {case.label}: opening")
            try:
                alive.append(_opened(case, bundle, suite, cache, processes))
            except ScnetEdgeError as e:
                failures.append(failed(case, e))
        for i in range(suite.rounds):
            for scope in suite.scopes:
                report(f"{cases[0][0].name}: round {i + 1} of {suite.rounds}, {scope}")
                alive = _survivors(alive, partial(_turn, scope=scope, suite=suite), failures)
        alive = _survivors(alive, partial(_finish, suite=suite, data=data, report=report), failures)
    return alive, failures


def failed(case: Case, error: ScnetEdgeError) -> Failure:
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
            failures.append(failed(measured.case, e))
            measured.worker.close()
        else:
            left.append(measured)
    return left


def _opened(case: Case, bundle: Path, suite: Suite, cache: Path, processes: ExitStack) -> Measured:
    """Return a case in its process, which has made its first mask and warmed up."""
    name = f"{case.model} {'x'.join(map(str, case.size_hw))} {case.label}"
    folder = cache / re.sub(r"[ /]+", "-", name).strip("-")
    shutil.rmtree(folder, ignore_errors=True)
    order = Order(
        do="open", case=case, bundle=str(bundle), cache=str(folder), threads=suite.threads
    )
    first_mask_ms = {}
    if case.engine in CACHING:
        with WorkerProcess() as cold:
            first_mask_ms["cold"] = cold.open(order)["first_mask_ms"]
    worker = processes.enter_context(WorkerProcess())
    answer = worker.open(order)
    first_mask_ms["warm" if case.engine in CACHING else "cold"] = answer["first_mask_ms"]
    measured = Measured(
        case=case,
        bundle=bundle,
        worker=worker,
        device=answer["device"],
        first_mask_ms=first_mask_ms,
        timed={scope: Timed() for scope in suite.scopes},
    )
    worker.ask(Order(do="time", scope="pipeline", seconds=1e9, frames=suite.warm_up))
    return measured


def _turn(measured: Measured, scope: Scope, suite: Suite) -> None:
    order = Order(do="time", scope=scope, seconds=suite.round_s, frames=suite.frames)
    timed = measured.timed[scope]
    with sampled(timed.telemetry, every_s=min(SENSORS_S, suite.round_s / 2)):
        turn = measured.worker.ask(order)
    timed.add(turn)


def _finish(measured: Measured, suite: Suite, data: str | None, report: Report) -> None:
    """Take what would disturb the turns: memory first, then F1 and the profile."""
    worker, name = measured.worker, f"{measured.case.name} {measured.case.label}"
    measured.rss_mb = worker.ask(Order(do="memory"))["rss_mb"]
    if data is not None and measured.case.schedule == "every":
        report(f"{name}: F1")
        measured.score = worker.ask(Order(do="score", data=data, images=suite.images))
    if suite.profile and measured.case.schedule == "every":
        report(f"{name}: profile")
        found = worker.ask(Order(do="profile"))["profile"]
        measured.profile = msgspec.convert(found, Profile | None)
    worker.close()


def median(values: list[float]) -> float:
    """Return the median, rounded to what a clock of microseconds can say."""
    return round(float(np.median(values)), 3)
