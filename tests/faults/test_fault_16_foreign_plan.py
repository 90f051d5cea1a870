"""A plan of another TensorRT, GPU, JetPack, or with other tensors: refused, with what mends it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from scnet_edge.config import write_json
from scnet_edge.engines.compiled import (
    COMPILED,
    SCHEMA,
    CompiledEngine,
    CompiledGraph,
    PrecisionChoice,
    check_compiled,
    read_compiled,
)
from scnet_edge.engines.tensorrt import execution as trt
from scnet_edge.engines.tensorrt import library as trt_module
from scnet_edge.engines.tensorrt.cuda import Buffer
from scnet_edge.errors import EngineError
from scnet_edge.folders import file_sha256

PLAN = "fused.plan"
HERE = {"TensorRT": "tensorrt 10.3.0", "JetPack": "L4T 36.4.3"}
GPU = {"GPU": "Orin", "compute capability": "8.7"}
TENSORS = {"frame": "1x64x96x3 uint8", "probability": "1x64x96 float16"}


class Device:
    """An Orin as far as a session that never runs asks."""

    name, capability, stream, integrated, errors = "Orin", "8.7", 1, True, ()

    def __init__(self) -> None:
        self.closed = False

    def free_bytes(self) -> int:
        return 1 << 30

    def buffer(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
        return Buffer(np.zeros(shape, dtype), 4096, True)

    def copy_in(self, buffer: Buffer) -> None: ...

    def copy_out(self, buffer: Buffer) -> None: ...

    def capture(self, work: Any) -> None: ...

    def wait(self) -> None: ...

    def close(self) -> None:
        self.closed = True


def engine(**tensors: tuple[str, tuple[int, ...], str]) -> SimpleNamespace:
    """Return an engine with these tensors."""
    context = SimpleNamespace(
        set_tensor_address=lambda name, address: True,
        set_input_shape=lambda name, shape: True,
        execute_async_v3=lambda stream: True,
    )
    return SimpleNamespace(
        num_io_tensors=len(tensors),
        get_tensor_name=lambda i: list(tensors)[i],
        get_tensor_mode=lambda name: SimpleNamespace(name=tensors[name][0]),
        get_tensor_shape=lambda name: tensors[name][1],
        get_tensor_dtype=lambda name: SimpleNamespace(name=tensors[name][2]),
        create_execution_context=lambda: context,
    )


FRAME = ("INPUT", (1, 64, 96, 3), "UINT8")
PROBABILITY = ("OUTPUT", (1, 64, 96), "HALF")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a build of the device in a bundle."""
    folder = tmp_path / "bundle" / "device" / "tensorrt-1"
    folder.mkdir(parents=True)
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph(
        [node], "case", [value], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])]
    )
    onnx.save(helper.make_model(graph), tmp_path / "bundle" / "fused.onnx")
    (folder / PLAN).write_bytes(b"a plan")
    sha256 = file_sha256(tmp_path / "bundle" / "fused.onnx")
    record = CompiledEngine(
        schema=SCHEMA,
        engine="tensorrt",
        identity=HERE | GPU,
        graphs={"fused.onnx": CompiledGraph(graph_sha256=sha256, tensors=TENSORS)},
        files={PLAN: file_sha256(folder / PLAN)},
        created="2026-01-01T00:00:00+00:00",
    )
    write_json(folder / COMPILED, record)
    return folder


def mended(folder: Path) -> str:
    """Return the command that each refusal ends with."""
    bundle = folder.parents[1]
    return f"run 'scnet-edge compile {bundle} --engine tensorrt' on this machine"


@pytest.mark.parametrize(
    ("key", "value"), [("TensorRT", "tensorrt 10.7.0"), ("JetPack", "L4T 36.5.0")]
)
def test_another_tensorrt_or_jetpack(folder: Path, key: str, value: str) -> None:
    graph = folder.parents[1] / "fused.onnx"
    assert check_compiled(folder, graph, HERE)
    with pytest.raises(EngineError, match=rf"compiled for {key} .*, found {value}") as error:
        check_compiled(folder, graph, HERE | {key: value})
    assert str(error.value).endswith(mended(folder))


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("name", "NVIDIA Thor", "compiled for GPU Orin, found NVIDIA Thor"),
        ("capability", "11.0", "compiled for compute capability 8.7, found 11.0"),
    ],
)
def test_another_gpu(
    folder: Path, attribute: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device()
    setattr(device, attribute, value)
    monkeypatch.setattr(trt, "open_device", lambda: device)
    monkeypatch.setattr(trt, "deserialise", lambda *given: pytest.fail("the plan was deserialised"))
    with pytest.raises(EngineError, match=f"{said}; run 'scnet-edge compile"):
        trt.load(folder.parents[1] / "fused.onnx", threads=None, cache=folder)
    assert device.closed


@pytest.mark.parametrize(
    "tensors",
    [
        {"frame": ("INPUT", (1, 64, 64, 3), "UINT8"), "probability": PROBABILITY},
        {"frame": ("INPUT", (1, 64, 96, 3), "FLOAT"), "probability": PROBABILITY},
        {"frame": FRAME, "probability": ("OUTPUT", (1, 64, 96), "FLOAT")},
        {"image": FRAME, "probability": PROBABILITY},
        {"frame": FRAME, "probability": PROBABILITY, "edges": PROBABILITY},
    ],
)
def test_an_engine_with_other_tensors_than_recorded(
    folder: Path, tensors: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device()
    monkeypatch.setattr(trt, "open_device", lambda: device)
    monkeypatch.setattr(trt, "deserialise", lambda *given: engine(**tensors))
    with pytest.raises(EngineError, match=r"the plan has .*, expected .*") as error:
        trt.load(folder.parents[1] / "fused.onnx", threads=None, cache=folder)
    assert device.closed
    assert str(error.value).endswith(mended(folder))


def test_a_plan_that_tensorrt_refuses_to_load(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SimpleNamespace(errors=[])
    runtime = SimpleNamespace(deserialize_cuda_engine=lambda plan: log.errors.append("too\nold"))
    monkeypatch.setattr(trt, "open_device", Device)
    monkeypatch.setattr(trt_module, "engine_log", lambda: log)
    fake = SimpleNamespace(Runtime=lambda log: runtime)
    monkeypatch.setattr(trt_module, "tensorrt", lambda: fake)
    with pytest.raises(EngineError, match="cannot load the plan on this machine: too old") as error:
        trt.load(folder.parents[1] / "fused.onnx", threads=None, cache=folder)
    assert str(error.value).endswith(mended(folder))


def test_what_is_hashed_is_what_is_deserialised(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Swapped after its hash was checked, and before it is read again."""
    check_compiled(folder, folder.parents[1] / "fused.onnx", HERE)
    (folder / PLAN).write_bytes(b"another plan")
    monkeypatch.setattr(trt, "open_device", Device)
    monkeypatch.setattr(trt, "deserialise", lambda *given: pytest.fail("the plan was deserialised"))
    with pytest.raises(EngineError, match="altered or damaged, not loaded") as error:
        trt.load(folder.parents[1] / "fused.onnx", threads=None, cache=folder)
    assert str(error.value).endswith(mended(folder))


@pytest.mark.parametrize(("precision", "named"), [("int8", ""), ("fp16", " FP16")])
def test_the_one_that_was_recorded(
    precision: Any, named: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, record = Device(), read_compiled(folder)
    choice = PrecisionChoice(precision=precision, int8_time=1.1)
    write_json(folder / COMPILED, msgspec.structs.replace(record, choice=choice))
    monkeypatch.setattr(trt, "open_device", lambda: device)
    monkeypatch.setattr(
        trt, "deserialise", lambda *given: engine(frame=FRAME, probability=PROBABILITY)
    )
    backend = trt.load(folder.parents[1] / "fused.onnx", threads=None, cache=folder)
    assert backend.tensors == TENSORS
    assert backend.name == f"tensorrt Orin{named}"  # a run says what it ran in
    backend.close()
    assert device.closed
