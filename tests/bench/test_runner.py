"""What a run says and keeps when something is wrong, with nothing measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from scnet_edge import config
from scnet_edge.bench import bundles, limits, runner
from scnet_edge.bench.group import Measured, Timed
from scnet_edge.bench.runner import run_suite
from scnet_edge.bench.schema import BenchmarkResult, write_result
from scnet_edge.bench.suite import Contender, Suite
from scnet_edge.bench.worker import Order, WorkerProcess
from scnet_edge.errors import ConfigError, EngineError

SUITE = Suite(
    models=("scnet-small", "scnet-tiny"),
    sizes_hw=((64, 96),),
    contenders=(
        Contender(engine="torch", precision="fp32", mode="eager"),
        Contender(engine="openvino", precision="fp32"),
    ),
    scopes=("engine",),
    limits=False,
)


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were measured, by engines that are not there: each gives 10 FPS."""
    asked: list[str] = []

    def measured(ready: Any, *_: object) -> tuple[list[Measured], list[object]]:
        asked.append(ready[0].case.model)
        return [
            Measured(
                case=r.case,
                bundle=r.bundle,
                gflop=r.gflop,
                worker=None,
                device="some CPU",
                first_mask_ms={},
                timed={"engine": Timed(round_fps=[10.0], latency_ms=[100.0])},
                sha256={},
                engine_threads=None,
                rss_mb=100.0,
            )
            for r in ready
        ], []

    monkeypatch.setattr(runner, "measure_group", measured)
    monkeypatch.setattr(bundles, "bundle_of", lambda case, folder: Path("nowhere"))
    return asked


def run(
    out: Path, data: str | None = None, told: list[str] | None = None, suite: Suite = SUITE
) -> BenchmarkResult:
    report = [].append if told is None else told.append
    return run_suite(suite, "some", out, data=data, command="scnet-edge bench", report=report)


def walls(folder: Path, shade: int) -> str:
    """Return a data set of one wall with one crack."""
    for kind, value in (("images", shade), ("masks", 0)):
        (folder / "test" / kind).mkdir(parents=True)
        image = np.full((64, 96), value, np.uint8)
        cv2.line(image, (0, 10), (95, 50), 255, 3)
        cv2.imwrite(str(folder / "test" / kind / "wall.png"), image)
    return f"folder:{folder}"


def cut_short(out: Path, result: BenchmarkResult) -> None:
    """Leave what a run that ended after the first model leaves."""
    of_first = [r for r in result.rows if r.model == "scnet-small"]
    write_result(out, msgspec.structs.replace(result, rows=tuple(of_first), complete=False))


def test_a_run_goes_on_with_the_group_that_it_was_at(tmp_path: Path, engines: list[str]) -> None:
    out = tmp_path / "result.json"
    whole = run(out)
    assert engines == ["scnet-small", "scnet-tiny"]
    cut_short(out, whole)
    assert run(out).rows == whole.rows
    assert engines == ["scnet-small", "scnet-tiny", "scnet-tiny"]


def test_failures_of_a_group_in_the_file_stay_and_those_of_the_next_are_tried(
    tmp_path: Path, engines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, errors = tmp_path / "result.json", ["No space left on device"] * 3

    def bundle_of(case: Any, folder: Path) -> Path:
        if errors:
            raise OSError(28, errors.pop())
        return folder

    monkeypatch.setattr(bundles, "bundle_of", bundle_of)
    first = run(out)
    assert [f.model for f in first.failures] == ["scnet-small", "scnet-small", "scnet-tiny"]
    assert "scnet-small torch fp32 eager: its bundle cannot be built" in first.failures[0].error
    assert "No space left on device" in first.failures[0].error
    cut = msgspec.structs.replace(first, rows=(), failures=first.failures[:2], complete=False)
    write_result(out, cut)
    again = run(out)
    assert [f.model for f in again.failures] == ["scnet-small", "scnet-small"]
    assert [r.model for r in again.rows] == ["scnet-tiny", "scnet-tiny"]


def test_a_run_goes_on_with_the_same_images_alone(tmp_path: Path, engines: list[str]) -> None:
    out = tmp_path / "result.json"
    here = walls(tmp_path / "here", 90)
    whole = run(out, here)
    assert whole.scored is not None
    assert (whole.scored.data, whole.scored.images) == ("folder test", 1)
    assert whole.asked is not None
    assert list(whole.asked["models"]) == ["scnet-small", "scnet-tiny"]
    cut_short(out, whole)
    with pytest.raises(ConfigError, match=r"begun with 1 images of folder test .*, found no ann"):
        run(out)
    with pytest.raises(ConfigError, match=r"begun with 1 images .*, found 1 images of folder"):
        run(out, walls(tmp_path / "other", 120))
    assert engines == ["scnet-small", "scnet-tiny"]
    moved = tmp_path / "moved"
    (tmp_path / "here").rename(moved)
    assert run(out, f"folder:{moved}").complete


def test_images_without_a_crack_leave_f1_unmeasured(tmp_path: Path, engines: list[str]) -> None:
    """It would be 1 where nothing is predicted; speed needs no crack."""
    spec, told = walls(tmp_path / "walls", 90), []
    mask = tmp_path / "walls" / "test" / "masks" / "wall.png"
    cv2.imwrite(str(mask), np.zeros((64, 96), np.uint8))
    result = run(tmp_path / "result.json", spec, told)
    (line,) = [step for step in told if "no F1" in step]
    assert "expected cracks in the masks of 1 images, found none" in line
    assert result.rows
    assert {row.not_measured["f1"] for row in result.rows} == {line.removeprefix("no F1: ")}


def test_a_data_set_that_is_not_there_is_one_line(tmp_path: Path, engines: list[str]) -> None:
    told: list[str] = []
    result = run(tmp_path / "result.json", f"deepcrack:{tmp_path / 'none'}", told)
    (line,) = [step for step in told if "no F1" in step]
    assert "no such folder" in line
    assert {row.not_measured["f1"] for row in result.rows} == {line.removeprefix("no F1: ")}
    assert result.scored is None


@pytest.mark.parametrize(("load", "warned"), [(0.1, False), (99.0, True)])
def test_a_busy_machine_is_said_at_the_start(
    tmp_path: Path,
    engines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    load: float,
    warned: bool,
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0))
    told: list[str] = []
    assert run(tmp_path / "result.json", told=told).environment.load_before == load
    assert told[0].startswith("load 99.0 on ") == warned


def test_limits_that_cannot_be_measured_are_one_line(
    tmp_path: Path, engines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure_limits(threads: int | None) -> None:
        raise MemoryError("Unable to allocate 512. MiB")

    monkeypatch.setattr(limits, "measure_limits", measure_limits)
    told: list[str] = []
    suite = msgspec.structs.replace(SUITE, limits=True)
    result = run(tmp_path / "result.json", told=told, suite=suite)
    assert "no limits: MemoryError: Unable to allocate 512. MiB" in told
    assert "not installed here or failed" in result.rows[0].not_measured["limit"]


def test_a_disk_that_is_full_is_one_line(
    tmp_path: Path, engines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(config, "write_file", full)
    with pytest.raises(ConfigError, match=r"cannot be written .*No space left"):
        run(tmp_path / "result.json")


def test_half_an_answer_of_a_process_that_ends_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\nread order\nprintf '{\"rss'\nexit 3\n")
    dying.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dying))
    with WorkerProcess() as worker, pytest.raises(EngineError, match="ended with status 3"):
        worker.ask(Order(do="memory"))


def test_a_process_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(EngineError, match=r"no process for it starts here .*Cannot allocate"):
        WorkerProcess()
