"""ONNX Runtime's CUDA build where its provider does not start; on a GPU: test_on_a_gpu.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import onnxruntime as ort
import pytest

from scnet_edge.backends.base import open_backend
from scnet_edge.backends.onnx_rt import preload_cuda
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

    def session(graph: str, options: Any, providers: list[Any]) -> Any:
        asked.extend(providers)
        return real(graph, options, providers=["CPUExecutionProvider"])

    real = ort.InferenceSession
    monkeypatch.setattr(ort, "InferenceSession", session)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "preload_dlls", preload, raising=False)
    for _ in range(2):
        with pytest.raises(EngineError, match="its CUDA provider does not start here"):
            open_backend("onnxruntime", graph)
    assert asked == 2 * [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"]
    assert preloaded == ["libcudnn.so.9"]  # once a process
    assert capsys.readouterr().out == ""
