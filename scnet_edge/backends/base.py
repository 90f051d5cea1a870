"""The seam between us and an inference engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from scnet_edge.errors import EngineError

Array = npt.NDArray[Any]


class Backend(Protocol):
    """A loaded graph. One thread at a time; outputs are the caller's to keep."""

    @property
    def name(self) -> str:
        """The engine and what it runs on, for people: `openvino CPU`."""
        ...

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Map named inputs to named outputs."""
        ...

    def close(self) -> None:
        """Release the engine; calling it twice is harmless."""
        ...


# engine -> (our module, the package it needs, how to get it)
ENGINES = {
    "openvino": ("scnet_edge.backends.openvino_cpu", ("openvino",), "pip install 'scnet-edge[cpu]'"),
    "onnxruntime": ("scnet_edge.backends.onnx_rt", ("onnxruntime",), "pip install 'scnet-edge[cpu]'"),
    "tensorrt": (
        "scnet_edge.backends.trt",
        ("tensorrt", "tensorrt_rtx"),
        "install JetPack's python3-libnvinfer, or pip install tensorrt-rtx on an RTX machine",
    ),
}


def installed_engines() -> list[str]:
    """Return the engines whose package is importable here, without importing it."""
    return [name for name, (_, packages, _) in ENGINES.items() if any(map(find_spec, packages))]


def open_backend(engine: str, graph: Path, *, threads: int | None = None, cache: Path | None = None) -> Backend:
    """Load the ONNX `graph` (or, for TensorRT, the plan built from it) into an engine.

    Args:
        engine: One of `ENGINES`.
        graph: An ONNX file whose hash the caller has checked.
        threads: CPU threads; None leaves it to the engine.
        cache: A folder in which the engine may keep compiled code between runs.

    Raises:
        EngineError: the engine is unknown, not installed, or refuses the graph.
    """
    if engine not in ENGINES:
        raise EngineError(f"engine {engine!r}: expected one of {', '.join(ENGINES)}")
    module, packages, remedy = ENGINES[engine]
    if not any(map(find_spec, packages)):
        raise EngineError(f"engine {engine!r} is not installed here; {remedy}")
    load: Callable[..., Backend] = import_module(module).load
    return load(graph, threads=threads, cache=cache)
