"""`scnet-edge bench` for real, on walls of 64x96 px: three engines, of which one is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from scnet_edge.bench.schema import read_result, write_result
from scnet_edge.errors import ConfigError

SUITE = """
models = ["scnet-small"]
sizes_hw = [[64, 96]]
rounds = 2
round_s = 0.05
frames = 3
warm_up = 1
limits = false
contenders = [
    { engine = "openvino", precision = "fp32" },
    { engine = "tensorrt", precision = "fp32" },
    { engine = "onnxruntime", precision = "fp32" },
]
"""
WITHOUT = 'raise ModuleNotFoundError("no onnxruntime", name="onnxruntime")\n'  # not installed
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a suite, its images and its result."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "tiny.toml").write_text(SUITE)
    for kind, line in (("images", 30), ("masks", 255)):
        (folder / "walls" / "test" / kind).mkdir(parents=True)
        for i in range(2):
            image = np.full((64, 96), 190 if kind == "images" else 0, np.uint8)
            cv2.line(image, (0, 10 + 9 * i), (95, 50), line, 3)
            cv2.imwrite(str(folder / "walls" / "test" / kind / f"{i}.png"), image)
    code = "from scnet_edge.cli import main; main()"
    arguments = ["bench", "tiny.toml", "--data", "folder:walls", "--out", "result.json"]
    without = tmp_path_factory.mktemp("without")
    (without / "onnxruntime.py").write_text(WITHOUT)
    environment = {"PYTHONPATH": f"{without}:{Path(__file__).parents[2]}"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "| scnet-small | openvino fp32 | 64x96 |" in done.stdout
    assert "not measured: scnet-small tensorrt fp32: " in done.stderr
    return folder


def test_the_result_has_the_promised_keys(measured: Path) -> None:
    result = json.loads((measured / "result.json").read_text())
    assert {"schema", "environment", "rows"} <= result.keys()
    assert [row["scope"] for row in result["rows"]] == ["engine", "pipeline", "camera_to_mask"]
    for row in result["rows"]:
        assert (row["model"], row["precision"], row["engine"]) == (
            "scnet-small",
            "fp32",
            "openvino",
        )
        assert (row["size_hw"], row["schedule"]) == ([64, 96], "every")
        assert 0 < row["latency_ms"]["p50"] <= row["latency_ms"]["p95"] <= row["latency_ms"]["p99"]
        assert row["fps"] > 0
        assert 0 <= row["f1"] <= 1
        assert row["images"] == 2
        assert 50 < row["rss_mb"] < 5000
        assert row["first_mask_ms"].keys() == {"cold", "warm"}
        missing = [name for name, value in row.items() if value is None and name != "frame_hw"]
        assert sorted(missing) == sorted(row["not_measured"])
    assert result["rows"][0]["profile"]["worst"][0]["ms"] > 0
    assert result["rows"][0]["sha256"].keys() == {"fused.onnx"}
    assert result["rows"][0]["engine_threads"] >= 1
    others = [row["others_cpu"] for row in result["rows"]]  # None of turns shorter than a tick
    assert all(share is None or 0 <= share <= 1 for share in others)
    failures = {f["engine"]: f["error"] for f in result["failures"]}
    assert list(failures) == ["tensorrt", "onnxruntime"]
    assert "no onnxruntime; in the clone pip install '.[onnxruntime]'" in failures["onnxruntime"]
    assert result["complete"]
    assert not list(measured.glob(".result.json*"))


def test_a_run_that_measures_nothing_fails(command_line: Run, tmp_path: Path) -> None:
    (tmp_path / "none.toml").write_text(SUITE.replace("scnet-small", "runs/none"))
    out = tmp_path / "result.json"
    done = command_line("bench", str(tmp_path / "none.toml"), "--out", str(out))
    assert done.returncode == 1
    assert "no row was measured" in done.stderr.splitlines()[-1]
    assert not done.stdout
    assert len(read_result(out).failures) == 3


def test_a_size_that_the_net_cannot_have_is_one_line(command_line: Run, tmp_path: Path) -> None:
    suite = SUITE.replace("[[64, 96]]", "[[50, 70]]")
    assert suite != SUITE
    (tmp_path / "odd.toml").write_text(suite)
    done = command_line("bench", str(tmp_path / "odd.toml"), "--out", str(tmp_path / "r.json"))
    assert done.returncode == 1
    [said] = [line for line in done.stderr.splitlines() if line.startswith("not measured")]
    assert said.endswith("multiples of 32 for this model; the next that fits is 64x96")


def test_a_finished_result_is_not_overwritten_unasked(measured: Path, command_line: Run) -> None:
    out = measured / "result.json"
    before = out.read_bytes()
    done = command_line("bench", str(measured / "tiny.toml"), "--out", str(out))
    assert done.returncode == 1
    assert "measured already" in done.stderr.splitlines()[-1]
    assert out.read_bytes() == before


def test_a_run_that_was_cut_short_goes_on(
    measured: Path, command_line: Run, tmp_path: Path
) -> None:
    """Every row is there already, so that going on means to measure none of them again."""
    out, whole = tmp_path / "again.json", read_result(measured / "result.json")
    write_result(out, msgspec.structs.replace(whole, complete=False))
    data = ("--data", f"folder:{measured / 'walls'}")
    done = command_line("bench", str(measured / "tiny.toml"), *data, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert read_result(out) == whole
    (tmp_path / "other.toml").write_text(SUITE.replace("rounds = 2", "rounds = 3"))
    write_result(out, msgspec.structs.replace(whole, complete=False))
    done = command_line("bench", str(tmp_path / "other.toml"), "--out", str(out))
    assert "another suite" in done.stderr.splitlines()[-1]
    assert done.returncode == 1


def test_compare_finds_a_slower_run(measured: Path, command_line: Run, tmp_path: Path) -> None:
    out, whole = str(measured / "result.json"), read_result(measured / "result.json")
    assert command_line("bench", "compare", out, out).returncode == 0
    rows = [
        msgspec.structs.replace(r, round_fps=tuple(f / 999 for f in r.round_fps))
        for r in whole.rows
    ]
    write_result(tmp_path / "slow.json", msgspec.structs.replace(whole, rows=tuple(rows)))
    done = command_line("bench", "compare", out, str(tmp_path / "slow.json"))
    assert done.returncode == 1
    assert "WORSE: slower" in done.stdout
    fewer = msgspec.structs.replace(whole, rows=whole.rows[1:])
    write_result(tmp_path / "fewer.json", fewer)
    done = command_line("bench", "compare", out, str(tmp_path / "fewer.json"))
    assert done.returncode == 1
    assert "0 of 2 rows became worse beyond the noise, 1 are gone" in done.stdout


def test_the_page_stands_alone(measured: Path, command_line: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = command_line("bench", "report", str(measured / "result.json"), "--html", str(page))
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    assert "scnet-small, openvino fp32" in text


def test_another_schema_is_refused(measured: Path, tmp_path: Path) -> None:
    text = (measured / "result.json").read_text().replace('"schema": 2', '"schema": 9', 1)
    (tmp_path / "new.json").write_text(text)
    with pytest.raises(ConfigError, match="schema 9, this version reads 2"):
        read_result(tmp_path / "new.json")
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"no\.json"):
        read_result(tmp_path / "no.json")
