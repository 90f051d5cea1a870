"""Graphs in memory, put into the engine of the CPU."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from scnet_edge.engines.base import Backend, cpu_engine, open_backend
from scnet_edge.quantization.histograms import Load, Run


@contextmanager
def in_engine(graph: onnx.ModelProto) -> Iterator[Backend]:
    """Open a graph in the CPU's engine.

    Raises:
        EngineError: no engine for the CPU is installed, or it refuses the graph.
    """
    backend = _open(graph)
    try:
        yield backend
    finally:
        backend.close()


@contextmanager
def open_loader() -> Iterator[Load]:
    """Yield what puts a graph into the CPU's engine; all of them are closed at the end."""
    opened: list[Backend] = []

    def load(graph: onnx.ModelProto) -> Run:
        opened.append(_open(graph))
        return opened[-1].run

    try:
        yield load
    finally:
        for backend in opened:
            backend.close()


def _open(graph: onnx.ModelProto) -> Backend:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        onnx.save(graph, path)
        return open_backend(cpu_engine(), path)
