from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scnet_edge.engines import base
from scnet_edge.engines.base import (
    ENGINES,
    cpu_engine,
    default_engine,
    list_engines,
    open_backend,
)
from scnet_edge.errors import EngineError


def test_installed_engines_are_among_the_known() -> None:
    assert {"openvino", "onnxruntime"} <= set(list_engines()) <= set(ENGINES)


def test_default_engine_is_installed() -> None:
    assert default_engine() in list_engines()


def test_no_engine_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_spec", lambda name: None)
    assert list_engines() == []
    with pytest.raises(EngineError, match="pip install"):
        default_engine()
    with pytest.raises(
        EngineError, match=r"'openvino' is not installed here; .*pip install '\.\[cpu\]'"
    ):
        open_backend("openvino", Path("graph.onnx"))


@pytest.mark.usefixtures("beside_a_gpu")
def test_graphs_are_judged_on_the_cpu_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_engine() == "tensorrt"
    assert cpu_engine() == "openvino"
    monkeypatch.setattr(base, "find_spec", lambda name: name in {"tensorrt", "cuda"})
    assert default_engine() == "tensorrt"
    with pytest.raises(EngineError, match=r"CPU is installed here; .*pip install '\.\[cpu\]'"):
        cpu_engine()


def test_unknown_engine_names_the_known() -> None:
    with pytest.raises(EngineError, match="'tflite': expected one of openvino, onnxruntime"):
        open_backend("tflite", Path("graph.onnx"))


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_are_at_least_one(threads: int) -> None:
    with pytest.raises(EngineError, match="at least 1"):
        open_backend("openvino", Path("graph.onnx"), threads=threads)


def test_an_engine_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `import tensorrt` fails in a container whose driver libraries are of another JetPack."""

    def broken(name: str) -> None:
        raise ImportError("libnvdla_compiler.so: cannot open shared object file\nNo such file")

    monkeypatch.setattr(base, "import_module", broken)
    with pytest.raises(EngineError, match=r"'openvino' does not start: libnvdla_compiler.so.*"):
        open_backend("openvino", Path("graph.onnx"))


def test_the_robot_needs_neither_torch_nor_onnx() -> None:
    modules = ["openvino.cpu", "onnx_runtime", "fake", "isolated.parent", "isolated.worker"]
    modules += [f"tensorrt.{name}" for name in ("execution", "builder", "plans", "cuda")]
    lines = [f"import scnet_edge.engines.{name}" for name in modules]
    check = "import sys; print([m for m in ('torch', 'onnx') if m in sys.modules])"
    code = "; ".join([*lines, check])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
