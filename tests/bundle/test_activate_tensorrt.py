"""A build on the device with TensorRT: its GPU is stood in for, all that is written is real."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scnet_edge.bundle import compile, device
from scnet_edge.bundle.activate import compile_bundle, roll_back
from scnet_edge.bundle.device import graphs_for, opening_for
from scnet_edge.bundle.manifest import GOLDEN, read_manifest, seal_of
from scnet_edge.bundle.verify import Golden, verify_bundle, write_golden
from scnet_edge.cli.bundle import _summary
from scnet_edge.engines.compiled import PrecisionChoice, check_compiled
from scnet_edge.errors import BuildCancelled, BundleError, EngineError, GraphError
from scnet_edge.folders import file_sha256

SIZE_HW = (64, 96)


@pytest.fixture
def tensorrt_bundle(darkness_bundle: Callable[..., Path], orin: Any) -> Path:
    """Return a bundle on a machine with a TensorRT that makes plans of a graph's name."""
    bundle = darkness_bundle(SIZE_HW)
    frames = np.random.default_rng(0).integers(0, 256, (3, *SIZE_HW, 3), np.uint8)
    probability = (1 - frames.mean(axis=3) / 255).astype(np.float32)
    write_golden(bundle / GOLDEN, Golden(frames=frames, probability=probability, edges=None))
    listed(bundle, GOLDEN)
    return bundle


def listed(bundle: Path, *names: str) -> None:
    """Let the manifest list files."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"] |= {name: file_sha256(bundle / name) for name in names}
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"seal": seal_of(manifest)}))


@pytest.fixture
def both(tensorrt_bundle: Path) -> Path:
    """Return a bundle that carries FP16 beside INT8."""
    shutil.copy(tensorrt_bundle / "fused.onnx", tensorrt_bundle / "fp16.onnx")
    listed(tensorrt_bundle, "fp16.onnx")
    return tensorrt_bundle


def test_everything_that_was_written_is_hashed_and_told(tensorrt_bundle: Path, orin: Any) -> None:
    done = compile_bundle(tensorrt_bundle, engine="tensorrt")
    folder = tensorrt_bundle / "device" / "tensorrt-1"
    written = {path.name for path in folder.iterdir()}
    assert written == {"compiled.json", "fused.plan", "fused.layers.json", "seal", "timing.cache"}
    assert check_compiled(folder, tensorrt_bundle / "fused.onnx", orin.identity) == done.record
    assert set(done.record.files) == written - {"compiled.json", "seal"}
    assert done.record.identity == orin.identity | {"GPU": "Orin", "compute capability": "8.7"}
    said = _summary(tensorrt_bundle, done, rollback=False)
    assert "fused.onnx: 3 kernels; of the convolutions 1 read FP16, 2 read INT8" in said
    assert "fused.onnx: no INT8 kernel here, so in floating point: a.2" in said


@pytest.mark.parametrize("name", ["fused.plan", "fused.layers.json", "timing.cache"])
def test_none_of_it_may_change(tensorrt_bundle: Path, name: str) -> None:
    compile_bundle(tensorrt_bundle, engine="tensorrt")
    path = tensorrt_bundle / "device" / "tensorrt-1" / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(EngineError, match=rf"{name}: SHA-256 .*: altered or damaged, not loaded"):
        device.find_compiled(tensorrt_bundle, [tensorrt_bundle / "fused.onnx"], "tensorrt")


def files_of(bundle: Path) -> set[str]:
    """Return what lies in the folder of the device, and that of its first build."""
    return {str(p.relative_to(bundle / "device")) for p in (bundle / "device").rglob("*")}


@pytest.mark.parametrize(
    ("ratio", "precision", "graph", "why"),
    [
        (0.8, "int8", "fused", "the quicker one here"),
        (0.98, "fp16", "fp16", "as quick here and nearer to the reference"),
        (1.2, "fp16", "fp16", "the quicker one here"),
    ],
)
def test_the_quicker_precision_runs_and_a_tie_goes_to_fp16(
    ratio: float,
    precision: Any,
    graph: str,
    why: str,
    both: Path,
    orin: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timed: list[Path] = []

    def time_ratio(one: Any, other: Any, golden: Golden) -> float:
        timed.extend(Path(opening.graph) for opening in orin.opened[-2:])
        return ratio

    monkeypatch.setattr(compile, "time_ratio", time_ratio)
    done = compile_bundle(both, engine="tensorrt")
    assert [path.name for path in timed] == ["fused.onnx", "fp16.onnx"]  # INT8 over FP16
    assert [name for name, _ in orin.built] == ["fused.onnx", "fp16.onnx"]
    assert orin.built[1][1].timing_cache == b"measured"  # INT8's shortens FP16's
    assert done.record.choice == PrecisionChoice(precision=precision, int8_time=ratio)
    folder = both / "device" / "tensorrt-1"
    assert set(done.record.graphs) == {f"{graph}.onnx"}
    assert set(done.record.files) == {f"{graph}.plan", f"{graph}.layers.json", "timing.cache"}
    assert {name for name in files_of(both) if name.startswith("tensorrt-1/")} == {
        f"tensorrt-1/{name}" for name in (*done.record.files, "compiled.json", "seal")
    }
    assert not [name for name in files_of(both) if "fp16" in name.partition("/")[0]]
    opening = opening_for(both, read_manifest(both), "tensorrt")
    assert (opening.graph, opening.cache) == (str(both / f"{graph}.onnx"), str(folder))
    assert verify_bundle(both, engine="tensorrt")[1].mask_f1 == 1
    assert f"runs in {precision.upper()}, {why}: in INT8 a frame takes {ratio}" in (
        _summary(both, done, rollback=False)
    )


def test_going_back_is_to_the_precision_of_that_build(
    both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ratio in (1.2, 0.8):
        monkeypatch.setattr(compile, "time_ratio", lambda *_, r=ratio: r)
        compile_bundle(both, engine="tensorrt")
    assert opening_for(both, read_manifest(both), "tensorrt").graph == str(both / "fused.onnx")
    assert roll_back(both, engine="tensorrt").name == "tensorrt-1"
    assert opening_for(both, read_manifest(both), "tensorrt").graph == str(both / "fp16.onnx")


def test_int8_stays_where_fp16_fails_its_trial(both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def drifted(*arguments: object) -> None:
        raise BundleError("mask F1 against PyTorch is 0.1")

    monkeypatch.setattr(compile, "try_compiled", drifted)
    done = compile_bundle(both, engine="tensorrt")
    why = "mask F1 against PyTorch is 0.1"
    assert done.record.choice == PrecisionChoice(precision="int8", int8_time=None, refused=why)
    assert set(done.record.graphs) == {"fused.onnx"}
    assert f"runs in INT8; FP16 is out: {why}" in _summary(both, done, rollback=False)


@pytest.mark.parametrize("error", [EngineError, GraphError])
def test_int8_stays_where_fp16_cannot_be_compiled(
    error: type[Exception], both: Path, orin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = orin.build_plan

    def refused(graph: Path, settings: Any) -> Any:
        if graph.name == "fp16.onnx":
            raise error("out of memory")
        return build(graph, settings)

    monkeypatch.setattr("scnet_edge.engines.tensorrt.plans.build_plan", refused)
    done = compile_bundle(both, engine="tensorrt")
    assert done.record.choice == PrecisionChoice(
        precision="int8", int8_time=None, refused="out of memory"
    )
    assert opening_for(both, read_manifest(both), "tensorrt").graph == str(both / "fused.onnx")


def test_what_a_killed_build_left_beside_is_no_obstacle(both: Path) -> None:
    (both / "device" / "tensorrt-1.fp16").mkdir(parents=True)
    assert compile_bundle(both, engine="tensorrt").name == "tensorrt-1"
    assert not [name for name in files_of(both) if "fp16" in name.partition("/")[0]]


def test_a_plan_altered_after_its_trial_is_not_taken_for_the_one_that_was_tried(
    both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def altering(folder: Path, *rest: Any) -> Any:
        (folder / "fused.plan").write_bytes(b"another")

    monkeypatch.setattr(compile, "time_ratio", lambda *_: 0.8)
    monkeypatch.setattr("scnet_edge.bundle.compile.write_layers", altering)
    compile_bundle(both, engine="tensorrt")
    with pytest.raises(EngineError, match=r"fused\.plan: SHA-256 .*: altered or damaged"):
        device.find_compiled(both, [both / "fused.onnx"], "tensorrt")


def test_a_build_cancelled_during_fp16_changes_nothing(both: Path, orin: Any) -> None:
    build = orin.build_plan

    def cancelled(graph: Path, settings: Any) -> Any:
        if graph.name == "fp16.onnx":
            raise BuildCancelled("the build was cancelled; nothing was changed")
        return build(graph, settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scnet_edge.engines.tensorrt.plans.build_plan", cancelled)
        with pytest.raises(BuildCancelled, match="cancelled"):
            compile_bundle(both, engine="tensorrt")
    assert not [name for name in files_of(both) if name.startswith("tensorrt")]


def test_only_tensorrt_is_given_a_choice(both: Path) -> None:
    manifest = read_manifest(both)
    assert graphs_for(both, manifest, "openvino") == [both / "fused.onnx"]
    assert graphs_for(both, manifest, "tensorrt") == [both / "fused.onnx", both / "fp16.onnx"]
