"""`scnet-edge bench` for real, on walls of 64x96 px: two engines, of which one is not there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from scnet_edge.bench.markdown import document as markdown
from scnet_edge.bench.report import page as document
from scnet_edge.bench.schema import (
    Failure,
    Latency,
    LayerTime,
    Profile,
    Share,
    read_result,
    write_result,
)
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
]
"""
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
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "| scnet-small | openvino fp32 | 96x64 |" in done.stdout
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
        missing = [name for name, value in row.items() if value is None]
        assert sorted(missing) == sorted(row["not_measured"])
    assert result["rows"][0]["profile"]["worst"][0]["ms"] > 0
    assert [f["engine"] for f in result["failures"]] == ["tensorrt"]
    assert result["complete"]
    assert not list(measured.glob(".result.json*"))


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
    done = command_line("bench", str(measured / "tiny.toml"), "--out", str(out))
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
        msgspec.structs.replace(r, round_fps=tuple(f / 4 for f in r.round_fps)) for r in whole.rows
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
    shown = opened(page, tmp_path)
    assert shown.count('class="point"') == 1
    assert 'aria-label="scnet-small, openvino fp32, ' in shown


def opened(page: Path, folder: Path) -> str:
    """Return a page as a browser has it after its script ran; skips where there is no browser."""
    if not (browser := shutil.which("chromium")):
        pytest.skip("no chromium here, so the page was not opened")
    return subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--no-first-run", "--disable-background-networking", "--disable-sync"),
            f"--user-data-dir={folder / 'profile'}",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout


def test_the_page_tells_machines_networks_and_the_rest_of_the_time_apart(
    row: Callable, result: Callable, tmp_path: Path
) -> None:
    profile = Profile(
        total_ms=10.0,
        by_kind_ms={"Convolution brgconv_avx512_I8": 6.0, "Concat ref_f32": 3.0, "Odd ref": 1.0},
        worst=(LayerTime(name="first", kind="Convolution", ms=2.0, gflop=1.0),),
    )
    limited = row(
        scope="engine",
        latency_ms=Latency(p50=10.0, p95=11.0, p99=12.0),
        limit=Share(arithmetic="int8", limit_gops=4000.0, share=0.4),
        profile=profile,
    )
    here = result(limited, row(), row(model="runs/theirs", f1=0.7))
    elsewhere = msgspec.structs.replace(here.environment, cpu="Other CPU")
    page = tmp_path / "page.html"
    page.write_text(document([here, result(row(), environment=elsewhere)]))
    shown = opened(page, tmp_path)
    assert shown.count('class="point"') == 2
    assert shown.count('class="point theirs"') == 1
    assert ">theirs on 2-core Some</text>" in shown
    assert "2-core Other" in shown
    assert "convolutions slower than that 2.00 ms (20 %)" in shown
    assert "moving data 3.00 ms (30 %)" in shown
    assert "other layers 1.00 ms (10 %)" in shown
    assert "500</span><span>13 %" in shown  # 1 GFLOP in 2 ms, of 4000 GOP/s


def test_markdown_says_what_was_not_measured(row: Callable, result: Callable) -> None:
    failures = tuple(
        Failure(model="a/b", precision=p, engine="openvino", size_hw=(384, 544), error="not there")
        for p in ("fp32", "int8")
    )
    made = msgspec.structs.replace(result(row(fps=0.525)), failures=failures)
    text = markdown([made])
    assert "Not measured: b openvino fp32, openvino int8: not there." in text
    assert "| 0.53 |" in text
    assert "F1 on 237 images of deepcrack test: `scnet-edge bench`" in text


def test_another_schema_is_refused(measured: Path, tmp_path: Path) -> None:
    text = (measured / "result.json").read_text().replace('"schema": 1', '"schema": 9', 1)
    (tmp_path / "new.json").write_text(text)
    with pytest.raises(ConfigError, match="schema 9, this version reads 1"):
        read_result(tmp_path / "new.json")
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"no\.json"):
        read_result(tmp_path / "no.json")


def test_plan_marks_what_it_estimates(command_line: Run) -> None:
    done = command_line("bench", "plan", "--target-fps", "30", "--device", "orin-nano")
    assert done.returncode == 0, done.stderr
    assert "estimate" in done.stdout
    assert "nothing of ours ran on this device" in done.stdout
    none = command_line("bench", "plan", "--target-fps", "90000", "--device", "nano")
    assert "none reaches 90000 FPS on Jetson Nano 4GB; the fastest is scnet-" in none.stdout
    assert none.returncode == 1
