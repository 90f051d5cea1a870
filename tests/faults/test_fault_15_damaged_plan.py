"""A plan that is truncated, flipped or swapped is refused before any engine sees a byte of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from scnet_edge.bundle.device import DEVICE, Builds, State, find_compiled, write_state
from scnet_edge.bundle.made_here import seal
from scnet_edge.config import write_json
from scnet_edge.engines import base
from scnet_edge.engines import compiled as records
from scnet_edge.engines.base import open_backend
from scnet_edge.engines.compiled import (
    COMPILED,
    SCHEMA,
    CompiledEngine,
    CompiledGraph,
    check_compiled,
)
from scnet_edge.engines.tensorrt import library as trt_module
from scnet_edge.errors import BundleError, EngineError
from scnet_edge.folders import file_sha256

PLAN, LAYERS = "fused.plan", "fused.layers.json"
PLAN_BYTES = bytes(np.random.default_rng(0).integers(0, 256, 300, np.uint8))
IDENTITY = {"TensorRT": "tensorrt 10.3.0", "JetPack": "L4T 36.4.3"}


def write_slot(bundle: Path, name: str) -> Path:
    """Write a folder of compiled code, as a build on the device leaves it."""
    folder = bundle / DEVICE / name
    folder.mkdir(parents=True)
    (folder / PLAN).write_bytes(PLAN_BYTES)
    (folder / LAYERS).write_text("{}")
    tensors = {"frame": "1x64x96x3 uint8"}
    sha256 = file_sha256(bundle / "fused.onnx")
    record = CompiledEngine(
        schema=SCHEMA,
        engine="tensorrt",
        identity=IDENTITY | {"GPU": "Orin", "compute capability": "8.7"},
        graphs={"fused.onnx": CompiledGraph(graph_sha256=sha256, tensors=tensors)},
        files={name: file_sha256(folder / name) for name in (PLAN, LAYERS)},
        created="2026-01-01T00:00:00+00:00",
    )
    write_json(folder / COMPILED, record)
    seal(folder)
    return folder


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a bundle with two builds; whatever parses a plan fails the test."""
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "fused.onnx").write_bytes(b"a graph")
    write_slot(bundle, "tensorrt-1")
    write_slot(bundle, "tensorrt-2")
    builds = Builds(active="tensorrt-2", previous="tensorrt-1")
    write_state(bundle, State(engines={"tensorrt": builds}))
    monkeypatch.setattr(records, "identity", lambda engine: IDENTITY)
    monkeypatch.setattr(base, "identity", lambda engine: IDENTITY)
    monkeypatch.setattr("scnet_edge.bundle.device.identity", lambda engine: IDENTITY)

    def parsed(*arguments: object) -> None:
        raise AssertionError("a plan that was not checked reached TensorRT")

    monkeypatch.setattr(trt_module, "deserialise", parsed)
    return bundle


def refused(bundle: Path, said: str) -> None:
    """Check that the active plan is refused by name, and the one before it runs instead."""
    graph, folder = bundle / "fused.onnx", bundle / DEVICE / "tensorrt-2"
    with pytest.raises(EngineError, match=said) as error:
        check_compiled(folder, graph, IDENTITY)
    assert "\n" not in str(error.value)
    assert f"scnet-edge compile {bundle} --engine tensorrt'" in str(error.value)
    with pytest.raises(EngineError, match=said):
        open_backend("tensorrt", graph, cache=folder)
    assert find_compiled(bundle, [graph], "tensorrt") == bundle / DEVICE / "tensorrt-1"


def test_whole_plans_are_taken(bundle: Path) -> None:
    assert (
        find_compiled(bundle, [bundle / "fused.onnx"], "tensorrt") == bundle / DEVICE / "tensorrt-2"
    )


def test_truncated_at_any_byte(bundle: Path) -> None:
    plan = bundle / DEVICE / "tensorrt-2" / PLAN
    for length in range(len(PLAN_BYTES)):
        plan.write_bytes(PLAN_BYTES[:length])
        with pytest.raises(EngineError, match="altered or damaged, not loaded"):
            check_compiled(plan.parent, bundle / "fused.onnx", IDENTITY)
    refused(bundle, "altered or damaged, not loaded")


def test_any_bit_flipped(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    plan = bundle / DEVICE / "tensorrt-2" / PLAN
    for position in range(0, 8 * len(PLAN_BYTES), 7):
        flipped = bytearray(PLAN_BYTES)
        flipped[position // 8] ^= 1 << position % 8
        plan.write_bytes(flipped)
        with pytest.raises(EngineError, match="altered or damaged, not loaded"):
            check_compiled(plan.parent, bundle / "fused.onnx", IDENTITY)
    refused(bundle, "altered or damaged, not loaded")
    assert "running the previous tensorrt-1 instead" in caplog.text


def test_missing_or_a_link(bundle: Path, tmp_path: Path) -> None:
    plan = bundle / DEVICE / "tensorrt-2" / PLAN
    plan.rename(tmp_path / "elsewhere")
    refused(bundle, "expected a file of the compiled code, found none")
    plan.symlink_to(tmp_path / "elsewhere")
    refused(bundle, "expected a file of the compiled code, found none")


@pytest.mark.parametrize("name", ["other.plan", "1234567890.blob"])
def test_code_that_nobody_built_here(bundle: Path, name: str) -> None:
    (bundle / DEVICE / "tensorrt-2" / name).write_bytes(PLAN_BYTES)
    refused(bundle, "code that compiled.json does not list, not loaded")


def test_the_slot_itself_damaged(bundle: Path) -> None:
    folder = bundle / DEVICE / "tensorrt-2"
    text = (folder / COMPILED).read_text()
    for broken in (text[:40], text.replace(f'"schema": {SCHEMA}', '"schema": 9'), "{}", ""):
        (folder / COMPILED).write_text(broken)
        with pytest.raises(EngineError, match=r"compiled\.json|schema 9"):
            check_compiled(folder, bundle / "fused.onnx", IDENTITY)
        assert find_compiled(bundle, [bundle / "fused.onnx"], "tensorrt") == bundle / DEVICE / (
            "tensorrt-1"
        )


def test_both_damaged_gives_the_reason_of_the_active(bundle: Path) -> None:
    for name in ("tensorrt-1", "tensorrt-2"):
        (bundle / DEVICE / name / PLAN).write_bytes(b"")
    with pytest.raises(EngineError, match=r"tensorrt-2/fused\.plan: SHA-256.*scnet-edge compile"):
        find_compiled(bundle, [bundle / "fused.onnx"], "tensorrt")


def test_a_plan_of_another_graph(bundle: Path) -> None:
    folder = bundle / DEVICE / "tensorrt-2"
    record = msgspec.json.decode((folder / COMPILED).read_bytes(), type=CompiledEngine)
    other = {"fused.onnx": CompiledGraph(graph_sha256="0" * 64)}
    for graphs in (other, {}):  # another version of it, or only HED and SCNet apart
        write_json(folder / COMPILED, msgspec.structs.replace(record, graphs=graphs))
        refused(bundle, "compiled from another graph")


def test_what_the_inspector_said_is_not_edited_either(bundle: Path) -> None:
    (bundle / DEVICE / "tensorrt-2" / LAYERS).write_text('{"Layers": []}')
    refused(bundle, "altered or damaged, not loaded")


def test_a_state_that_points_outside(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle / DEVICE / "tensorrt-1", tmp_path / "tensorrt-x")
    write_state(bundle, State(engines={"tensorrt": Builds(active="../../tensorrt-x")}))
    with pytest.raises(BundleError, match="not a build of tensorrt inside device"):
        find_compiled(bundle, [bundle / "fused.onnx"], "tensorrt")


@pytest.mark.parametrize(
    "text", ["", '{"engines": {"tensorrt"', "null", '{"active": "tensorrt-2"}']
)
def test_a_state_that_cannot_be_read_names_what_mends_it(bundle: Path, text: str) -> None:
    (bundle / DEVICE / "state.json").write_text(text)
    mended = rf"state\.json: .*run 'scnet-edge compile {bundle}' on this machine"
    with pytest.raises(BundleError, match=mended) as error:
        find_compiled(bundle, [bundle / "fused.onnx"], "tensorrt")
    assert "\n" not in str(error.value)
