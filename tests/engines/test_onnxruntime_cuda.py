"""ONNX Runtime's CUDA build where its provider does not start; on a GPU: test_on_a_gpu.py."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from scnet_edge.engines import onnx_runtime as onnx_rt
from scnet_edge.engines.base import open_backend
from scnet_edge.engines.onnx_runtime import (
    CUDA,
    OnnxRuntimeBackend,
    preload_cuda,
    queue_nodes,
    replay_graph,
)
from scnet_edge.errors import EngineError


@pytest.fixture(autouse=True)
def not_preloaded() -> Iterator[None]:
    """Let each test be the first in its process, and leave it so."""
    preload_cuda.cache_clear()
    yield
    preload_cuda.cache_clear()


def test_a_cuda_provider_that_does_not_start_is_no_silent_cpu(
    cases: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = cases("batch").graphs["fp32"]  # made with sessions of its own
    asked: list[Any] = []
    preloaded: list[str] = []

    def preload() -> None:
        preloaded.append("libcudnn.so.9")
        print("Failed to load libcudnn.so.9")

    def session(graph: str, options: Any, providers: list[Any], enable_fallback: int) -> Any:
        assert enable_fallback == 0
        asked.extend(providers)
        return real(graph, options, providers=["CPUExecutionProvider"])

    real = ort.InferenceSession
    monkeypatch.setattr(ort, "InferenceSession", session)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "preload_dlls", preload, raising=False)
    for _ in range(2):
        with pytest.raises(EngineError, match="its CUDA provider does not start here"):
            open_backend("onnxruntime", graph)
    provider = ("CUDAExecutionProvider", {"use_tf32": "0", "enable_cuda_graph": "1"})
    assert asked == 2 * [provider, "CPUExecutionProvider"]
    assert preloaded == ["libcudnn.so.9"]  # once a process
    assert capsys.readouterr().out == ""


def test_bound_memory_gives_each_frame_its_own_result(
    cases: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The binding that a CUDA graph needs, on the CPU, where a result is a view of it."""
    monkeypatch.setattr(onnx_rt, "GPU", "cpu")
    case = cases("chain")
    session = ort.InferenceSession(str(case.graphs["fp32"]), providers=["CPUExecutionProvider"])
    bound, plain = (OnnxRuntimeBackend(session, how) for how in (replay_graph, queue_nodes))
    for frame in (case.frame, case.frame[:, ::-1], case.frame):
        found = bound.run({"frame": frame})
        for name, expected in plain.run({"frame": frame}).items():
            np.testing.assert_array_equal(found[name], expected, err_msg=name)


def test_a_closed_backend_holds_neither_session_nor_bound_memory(
    cases: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_rt, "GPU", "cpu")
    case = cases("batch")
    session = ort.InferenceSession(str(case.graphs["fp32"]), providers=["CPUExecutionProvider"])
    backend, held = OnnxRuntimeBackend(session, replay_graph), weakref.ref(session._sess)
    backend.run({"frame": case.frame})
    del session
    backend.close()
    gc.collect()
    assert held() is None
    with pytest.raises(EngineError, match="closed"):
        backend.run({"frame": case.frame})


def test_memory_that_cannot_be_had_is_one_line(
    cases: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CPU's build has no memory on a GPU to bind, and says so as a RuntimeError."""
    case = cases("batch")

    def session(graph: str, options: Any, providers: list[Any], enable_fallback: int) -> Any:
        made = real(graph, options, providers=["CPUExecutionProvider"])
        monkeypatch.setattr(made, "get_providers", lambda: [CUDA[0]])
        return made

    real = ort.InferenceSession
    monkeypatch.setattr(ort, "InferenceSession", session)
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA[0]])
    with pytest.raises(EngineError, match="cannot load it: Can't allocate memory on the CUDA"):
        open_backend("onnxruntime", case.graphs["fp32"])
