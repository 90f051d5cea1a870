"""Graphs in memory, put into the engine of the CPU."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from scnet_edge.backends.base import Array, Backend, cpu_engine, open_backend
from scnet_edge.graph.calibrate import Load, Run


@contextmanager
def in_engine(graph: onnx.ModelProto) -> Iterator[Backend]:
    """Open a graph in the CPU's engine.

    Raises:
        EngineError: no engine for the CPU is installed, or it refuses the graph.
    """
    backend = _opened(graph)
    try:
        yield backend
    finally:
        backend.close()


@contextmanager
def loader() -> Iterator[Load]:
    """Yield what puts a graph into the CPU's engine; all of them are closed at the end."""
    opened: list[Backend] = []

    def load(graph: onnx.ModelProto) -> Run:
        backend = _opened(graph)
        opened.append(backend)

        def run(feeds: Mapping[str, npt.NDArray[np.uint8]]) -> dict[str, Array]:
            return backend.run(feeds)

        return run

    try:
        yield load
    finally:
        for backend in opened:
            backend.close()


def _opened(graph: onnx.ModelProto) -> Backend:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        onnx.save(graph, path)
        return open_backend(cpu_engine(), path)


def latencies_ms(
    backends: Mapping[str, Backend], frame_hw: tuple[int, int], *, rounds: int = 7
) -> dict[str, float]:
    """Return the median milliseconds of each graph, the graphs taking turns."""
    frame = np.random.default_rng(0).integers(0, 256, (1, *frame_hw, 3), dtype=np.uint8)
    taken: dict[str, list[float]] = {name: [] for name in backends}
    for turn in range(rounds + 1):
        for name, backend in backends.items():
            started = time.perf_counter()
            backend.run({"frame": frame})
            if turn:  # the first warms up
                taken[name].append(1e3 * (time.perf_counter() - started))
    return {name: float(np.median(times)) for name, times in taken.items()}
