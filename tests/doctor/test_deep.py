"""The report of a bundle on this machine, by the engines that are here."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from scnet_edge.bundle.manifest import GOLDEN, MANIFEST, Manifest, read_manifest, write_manifest
from scnet_edge.bundle.verify import Golden, read_golden, write_golden
from scnet_edge.doctor import deep
from scnet_edge.doctor.deep import DeepReport, encode_report, examine
from scnet_edge.errors import BundleError
from scnet_edge.folders import file_sha256

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep, "LATENCY_S", 0.0)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_engine_is_built_compared_and_timed(golden_bundle: Path) -> None:
    before, steps = files_of(golden_bundle), []
    shutil.copy(golden_bundle / "fused.onnx", golden_bundle / "fp16.onnx")
    manifest = read_manifest(golden_bundle)
    files = {**manifest.files, "fp16.onnx": manifest.files["fused.onnx"]}
    write_manifest(golden_bundle, msgspec.structs.replace(manifest, files=files))
    before = files_of(golden_bundle)
    report = examine(golden_bundle, engines=["openvino", "onnxruntime"], report=steps.append)
    assert files_of(golden_bundle) == before
    assert [(t.engine, t.graph) for t in report.trials] == [
        (engine, graph)
        for engine in ("openvino", "onnxruntime")
        for graph in ("fused.onnx", "fp16.onnx")
    ]
    for trial in report.trials:
        assert trial.parity is not None
        assert trial.latency_ms is not None
        assert (trial.holds, trial.error, trial.parity.frames) == (True, "", 3)
        assert 0 < trial.latency_ms[0] <= trial.latency_ms[1]
    [compilation] = report.compilations
    assert compilation.error == ""
    assert compilation.record is not None
    assert compilation.record.engine == "openvino"
    assert len(steps) == 7
    again = msgspec.json.decode(encode_report(report), type=DeepReport)
    assert [t.engine for t in again.trials] == [t.engine for t in report.trials]


def test_a_graph_that_strays_or_is_refused_is_said(golden_bundle: Path) -> None:
    golden = read_golden(golden_bundle / GOLDEN)
    other = Golden(frames=golden.frames, probability=1 - golden.probability, edges=None)
    write_golden(golden_bundle / GOLDEN, other)
    (golden_bundle / "fp16.onnx").write_bytes(b"no graph")
    reseal(golden_bundle)
    fused, broken = examine(golden_bundle, engines=["onnxruntime"]).trials
    assert (fused.holds, fused.error) == (False, "")
    assert not broken.holds
    assert "fp16.onnx" in broken.error
    assert "\n" not in broken.error


def reseal(bundle: Path) -> None:
    """Make the manifest say what lies there now."""
    fields = msgspec.json.decode((bundle / MANIFEST).read_bytes())
    names = ("fused.onnx", "fp16.onnx", GOLDEN)
    fields["files"] = {name: file_sha256(bundle / name) for name in names}
    write_manifest(bundle, msgspec.convert(fields, Manifest))


def test_an_altered_bundle_is_refused(golden_bundle: Path) -> None:
    with (golden_bundle / "fused.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match="SHA-256"):
        examine(golden_bundle)


def test_the_home_folder_is_not_told(
    golden_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    report = examine(golden_bundle, engines=[])
    checked = msgspec.structs.replace(report, bundle=f"{tmp_path}/bundles/a")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert str(tmp_path).encode() not in encode_report(checked)
    assert b'"~/bundles/a"' in encode_report(checked)


def test_the_command_writes_one_file(
    command_line: Run, golden_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report.json"
    arguments = ["doctor", "--deep", str(golden_bundle), "--engine", "onnxruntime"]
    done = command_line(*arguments, "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    report = msgspec.json.decode(out.read_bytes(), type=DeepReport)
    assert report.runs_bundles
    assert {check.name for check in report.checks} >= {"python", "cpu", "openvino", "cameras"}
    assert report.machine.python.startswith("3.")
    assert report.packages["numpy"] == np.__version__
    assert str(out) in done.stdout.replace("\n", "")
    lost = command_line(*arguments, "--out", str(tmp_path / "none" / "report.json"))
    assert lost.returncode == 1
    assert "expected a file to write" in lost.stderr
