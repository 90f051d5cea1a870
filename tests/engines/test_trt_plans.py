"""The shipped models' INT8 plans, for each GPU generation, are no worse than the report says."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scnet_edge.errors import ConfigError
from scnet_edge.models.cards import find_card

pytest.importorskip(
    "tensorrt_rtx",
    reason="tensorrt_rtx is not installed: no plan is built",
    exc_type=ImportError,
)
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks/tensorrt_plans.py"
REPORT = ROOT / "benchmarks/plans/tensorrt-rtx.json"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=900)


@pytest.fixture(scope="module")
def plans() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tensorrt_plans", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_int8_plans_of_the_small_models() -> None:
    models = ("--models", "scnet-small", "scnet-tiny")
    done = run(*models, "--precisions", "int8", "--against", str(REPORT))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 2 * 5
    for row in rows:
        if row["target"] != "SM75":
            assert row["convolutions"]["INT8"] == row["quantised"] >= 20
            assert row["lone_qdq"] == 0


def test_a_plan_that_became_worse_fails(tmp_path: Path) -> None:
    report = json.loads(REPORT.read_text())
    for row in report["plans"]:
        row["kernels"] = row.get("kernels", 0) - 1
    (tmp_path / "r.json").write_text(json.dumps(report))
    one = ("--models", "scnet-tiny", "--precisions", "fp16", "--targets", "SM86")
    done = run(*one, "--against", str(tmp_path / "r.json"))
    assert done.returncode == 1
    assert "scnet-tiny fp16 SM86: 65 kernels, 64 before" in done.stderr


ROW: dict[str, Any] = {
    "model": "m", "precision": "int8", "target": "SM86", "kernels": 80, "requantising": 16,
    "convolutions": {"INT8": 26, "FP16": 15}, "quantised": 26, "missing": [], "lone_qdq": 0,
    "int8_writes": {"INT8": 2, "FP32": 24},
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"kernels": 79, "requantising": 17}, []),
        ({"kernels": 81}, ["81 kernels, 80 before"]),
        ({"requantising": 15}, ["15 kernels requantise"]),
        ({"int8_writes": {"INT8": 1, "FP32": 25}}, ["1 convolutions write INT8, 2 before"]),
        ({"refused": "no"}, ["was built before, refused now: no"]),
    ],
)
def test_what_is_worse(plans: ModuleType, changes: dict[str, Any], said: list[str]) -> None:
    found = plans.worse_than(ROW | changes, ROW)
    assert len(found) == len(said)
    for line, expected in zip(found, said, strict=True):
        assert expected in line


def test_what_the_report_does_not_have(plans: ModuleType) -> None:
    assert "not in the report" in plans.worse_than(ROW, None)[0]
    refused = {key: ROW[key] for key in ("model", "precision", "target")} | {"refused": "no"}
    assert plans.worse_than(refused, refused) == []  # Turing's FP32, say


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"missing": ["a.0"]}, "no kernel for a.0"),
        ({"convolutions": {"INT8": 25, "FP16": 16}}, "25 of 26 convolutions read INT8"),
        ({"lone_qdq": 2}, "2 kernels only quantise or dequantise"),
        ({"refused": "no"}, "no"),
    ],
)
def test_what_is_wrong_whatever_was_before(
    plans: ModuleType, changes: dict[str, Any], said: str
) -> None:
    found = plans.faults_of(ROW | changes)
    assert bool(found) == bool(said)
    assert said in "".join(found)


def test_what_the_report_has_and_was_not_built(plans: ModuleType) -> None:
    before = [("a", "int8", "SM86"), ("b", "int8", "SM86"), ("b", "fp16", "SM86")]
    every = (None, plans.PRECISIONS, plans.TARGETS)
    assert plans.unbuilt(before, before, every) == []
    assert plans.unbuilt(before, before[1:], every) == before[:1]  # a model that left
    assert plans.unbuilt(before, before[2:], (["b"], ("fp16",), plans.TARGETS)) == []


def test_a_row_that_was_not_built_fails(
    plans: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = json.loads(REPORT.read_text())
    rows = [r for r in report["plans"] if r["model"] == "scnet-tiny" and r["target"] == "SM86"]
    report["plans"] = rows + [row | {"model": "scnet-gone"} for row in rows]
    (tmp_path / "r.json").write_text(json.dumps(report))
    few = ("--precisions", "fp16", "--targets", "SM86", "--against", str(tmp_path / "r.json"))
    monkeypatch.setattr(sys, "argv", ["tensorrt_plans", *few])
    monkeypatch.setattr(plans, "shipped_models", lambda: [find_card("scnet-tiny")])
    with pytest.raises(SystemExit) as ended:
        plans.main()
    assert ended.value.code == "scnet-gone fp16 SM86: in the report, not built"


def test_a_model_without_ranges_is_no_success(
    plans: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*given: object) -> None:
        raise ConfigError("no ranges of scnet-tiny")

    monkeypatch.setattr(plans, "find_ranges", none)
    with pytest.raises(ConfigError, match="no ranges"):
        plans.graphs_of("scnet-tiny", "96x128")


@pytest.mark.parametrize("key", ["tensorrt", "size"])
def test_a_report_of_something_else_is_refused(plans: ModuleType, key: str, tmp_path: Path) -> None:
    report = json.loads(REPORT.read_text()) | {key: "another"}
    (tmp_path / "r.json").write_text(json.dumps(report))
    with pytest.raises(SystemExit, match=f"of {key} another, found"):
        plans.read(tmp_path / "r.json", {"size": "384x544", "batch": 1})
