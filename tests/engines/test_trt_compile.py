"""From graphs to plans on the device: the timing cache, the inspector's account, what is written.

Device, builder and inspector are stood in for; their answers are those of TensorRT's documentation.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scnet_edge.config import write_json
from scnet_edge.engines.compiled import COMPILED, SCHEMA, TIMINGS, CompiledEngine
from scnet_edge.engines.tensorrt import builder as trt_build
from scnet_edge.engines.tensorrt import library as trt_module
from scnet_edge.engines.tensorrt import plans as trt_compile
from scnet_edge.engines.tensorrt.builder import BuildSettings, Built, _set_timing_cache
from scnet_edge.engines.tensorrt.plans import compile_plans, write_layers
from scnet_edge.errors import EngineError
from scnet_edge.folders import file_sha256

GRAPHS = [Path("fused.onnx"), Path("hed.onnx")]


class Device:
    """A GPU as far as a build asks."""

    name, capability, closed = "Orin", "8.7", 0

    def free_bytes(self) -> int:
        return 1 << 30

    def close(self) -> None:
        self.closed += 1


class Config:
    """A builder's configuration that takes the timing caches it is told to."""

    def __init__(self, *, takes: tuple[bytes, ...], makes: bool = True) -> None:
        self.takes, self.makes, self.cache = takes, makes, None

    def create_timing_cache(self, measured: bytes) -> Any:
        return SimpleNamespace(of=measured) if self.makes else None

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch  # a cache of another GPU would choose its kernels, too
        if cache.of in self.takes:
            self.cache = cache
        return cache.of in self.takes


@pytest.mark.parametrize(
    ("takes", "expected"), [((b"old", b""), b"old"), ((b"",), b""), ((), None)]
)
def test_a_cache_of_another_gpu_gives_way_to_an_empty_one(
    takes: tuple[bytes, ...], expected: bytes | None
) -> None:
    config = Config(takes=takes)
    assert _set_timing_cache(config, BuildSettings(timing_cache=b"old")) == (expected is not None)
    assert (config.cache and config.cache.of) == expected


def test_a_tensorrt_that_makes_no_cache_builds_without() -> None:
    assert not _set_timing_cache(Config(takes=(b"",), makes=False), BuildSettings())


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    monkeypatch.setattr(trt_compile, "open_device", lambda: device)
    monkeypatch.setattr(trt_compile, "require_kernels", lambda capability: None)
    return device


@pytest.fixture
def given(device: Device, monkeypatch: pytest.MonkeyPatch) -> list[BuildSettings]:
    """Return what each build was given; each measures one thing more."""
    seen: list[BuildSettings] = []

    def build(graph: Path, settings: BuildSettings) -> Built:
        seen.append(settings)
        cache = settings.timing_cache + graph.stem[:1].encode()
        return Built(plan=graph.stem.encode(), tensors={}, timing_cache=cache)

    monkeypatch.setattr(trt_compile, "build_plan", build)
    return seen


def earlier(folder: Path, *, sha256: str = "", schema: int = SCHEMA) -> Path:
    """Write the folder of an earlier build with a timing cache."""
    folder.mkdir()
    (folder / TIMINGS).write_bytes(b"old")
    files = {TIMINGS: sha256 or file_sha256(folder / TIMINGS)}
    write_json(folder / COMPILED, slot_of(files, schema))
    return folder


def slot_of(files: dict[str, str], schema: int = SCHEMA) -> CompiledEngine:
    return CompiledEngine(
        schema=schema,
        engine="tensorrt",
        identity={},
        graphs={},
        files=files,
        created="2026-01-01T00:00:00+00:00",
    )


def compiled(folder: Path, measured: Path | None) -> dict[str, Built]:
    made, found = compile_plans(folder, GRAPHS, threads=2, measured=measured, progress=None)
    assert found == {"GPU": "Orin", "compute capability": "8.7"}
    return made


def test_what_one_build_measured_shortens_the_next(
    given: list[BuildSettings], device: Device, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    made = compiled(folder, earlier(tmp_path / "old"))
    assert [settings.timing_cache for settings in given] == [b"old", b"oldf"]
    assert {settings.free_bytes for settings in given} == {1 << 30}
    assert list(made) == ["fused.onnx", "hed.onnx"]
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert written == {"fused.plan": b"fused", "hed.plan": b"hed", TIMINGS: b"oldfh"}
    assert device.closed == 1


@pytest.mark.parametrize("spoilt", [{"sha256": "0" * 64}, {"schema": SCHEMA - 1}])
def test_a_cache_that_cannot_be_relied_on_is_left_out(
    spoilt: dict[str, Any], given: list[BuildSettings], tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    compiled(folder, earlier(tmp_path / "old", **spoilt))
    assert given[0].timing_cache == b""


@pytest.mark.parametrize("measured", [None, Path("nowhere")])
def test_a_first_build_has_nothing_to_go_by(
    measured: Path | None, given: list[BuildSettings], tmp_path: Path
) -> None:
    compiled(tmp_path, measured)
    assert given[0].timing_cache == b""


def test_a_build_that_fails_lets_go_of_the_gpu(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(graph: Path, settings: BuildSettings) -> Built:
        raise EngineError("no")

    monkeypatch.setattr(trt_compile, "build_plan", fails)
    with pytest.raises(EngineError, match="no"):
        compiled(tmp_path, None)
    assert device.closed == 1
    assert not list(tmp_path.iterdir())


def test_a_gpu_without_kernels_is_refused_before_a_plan_is_built(
    given: list[BuildSettings], device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(capability: str) -> None:
        raise EngineError(f"no kernels for {capability}")

    monkeypatch.setattr(trt_compile, "require_kernels", refuses)
    with pytest.raises(EngineError, match=r"no kernels for 8\.7"):
        compiled(tmp_path, None)
    assert given == []
    assert device.closed == 1


def planned(folder: Path) -> CompiledEngine:
    """Write a plan and return the record that lists it."""
    (folder / "fused.plan").write_bytes(b"a plan")
    files = {"fused.plan": file_sha256(folder / "fused.plan")}
    return slot_of(files)


def test_the_inspectors_account_is_kept_and_counted(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = {
        "Name": "k",
        "LayerType": "gemm",
        "Inputs": [{"Name": "x", "Format/Datatype": "Int8"}],
        "Outputs": [{"Name": "y", "Format/Datatype": "Half"}],
        "Metadata": "[ONNX Layer: a.0]",
    }
    report = json.dumps({"Layers": [kernel], "Bindings": []})
    monkeypatch.setattr(trt_compile, "inspect_plan", lambda plan, remedy: report)
    found = write_layers(tmp_path, planned(tmp_path), GRAPHS[0], ["a.0", "a.1"])
    assert found is not None
    assert (found.convolutions, found.missing) == ({"INT8": 1}, ("a.1",))
    assert (tmp_path / "fused.layers.json").read_text() == report
    assert device.closed == 1


def test_an_account_that_is_no_json_is_kept_and_said_to_be_none(
    device: Device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(trt_compile, "inspect_plan", lambda plan, remedy: '{"Layers": [')
    assert write_layers(tmp_path, planned(tmp_path), GRAPHS[0], ["a.0"]) is None
    assert "expected the inspector's JSON" in caplog.text
    assert (tmp_path / "fused.layers.json").read_text() == '{"Layers": ['


def test_a_plan_without_an_account_is_kept_all_the_same(
    device: Device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = SimpleNamespace(create_engine_inspector=lambda: None)
    log = SimpleNamespace(errors=["no memory"])
    monkeypatch.setattr(trt_build, "deserialise", lambda plan, remedy: engine)
    monkeypatch.setattr(trt_module, "engine_log", lambda: log)
    assert write_layers(tmp_path, planned(tmp_path), GRAPHS[0], ["a.0"]) is None
    assert "made no inspector of the plan: no memory" in caplog.text
    assert {path.name for path in tmp_path.iterdir()} == {"fused.plan"}
    assert device.closed == 1


def test_a_plan_that_was_altered_since_is_not_inspected(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trt_compile, "inspect_plan", lambda *given: pytest.fail("was loaded"))
    record = planned(tmp_path)
    (tmp_path / "fused.plan").write_bytes(b"another plan")
    with pytest.raises(EngineError, match="altered or damaged"):
        write_layers(tmp_path, record, GRAPHS[0], ["a.0"])


@pytest.mark.parametrize("cache", [None, SimpleNamespace(serialize=lambda: None)])
def test_a_builder_that_keeps_its_measurements(cache: Any) -> None:
    assert trt_build._timing_cache(SimpleNamespace(get_timing_cache=lambda: cache)) == b""
