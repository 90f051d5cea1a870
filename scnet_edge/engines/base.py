"""The seam between us and an inference engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from scnet_edge.engines.compiled import COMPILED, Arithmetic, check_compiled, identity
from scnet_edge.engines.graph_file import check_graph
from scnet_edge.errors import EngineError, install_extra, one_line

Array = npt.NDArray[Any]
CPU_REMEDY = install_extra("cpu")
CUDA_PACKAGES = ("cuda", "pycuda")  # cuda-python and PyCUDA
GPU_DEVICES = ("/dev/nvidia0", "/dev/nvhost-gpu", "/dev/nvgpu/igpu0/ctrl")  # PC, Jetson <= 5, 6
MIN_TURNS, TIMED_S = 8, 2.0


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


@runtime_checkable
class Streaming(Backend, Protocol):
    """A backend that computes several feeds at a time when it is given a row of them."""

    def stream(self, feeds: Iterable[Mapping[str, Array]]) -> Iterator[dict[str, Array]]:
        """Yield the outputs of each feed, in order; a few feeds are taken ahead."""
        ...


def run_all(backend: Backend, feeds: Iterable[Mapping[str, Array]]) -> Iterator[dict[str, Array]]:
    """Yield the outputs of each feed, in order: several under way at once where a backend can."""
    ahead = iter(feeds)
    first = list(islice(ahead, 2))
    if len(first) < 2 or not isinstance(backend, Streaming):
        return map(backend.run, chain(first, ahead))
    return backend.stream(chain(first, ahead))


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """What one input of a graph must look like."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def check_feeds(feeds: Mapping[str, Array], inputs: Mapping[str, TensorSpec]) -> None:
    """Raise EngineError unless `feeds` are exactly `inputs`; engines convert or crash."""
    if feeds.keys() != inputs.keys():
        raise EngineError(f"expected the inputs {sorted(inputs)}, found {sorted(feeds)}")
    for name, spec in inputs.items():
        found = feeds[name]
        if found.shape != spec.shape or found.dtype != spec.dtype:
            raise EngineError(
                f"input {name!r}: expected {spec.shape} {spec.dtype}, "
                f"found {found.shape} {found.dtype}; resize or convert the frame first"
            )


def check_graph_file(graph: Path) -> None:
    """Raise EngineError unless `graph` is a file that holds a plain ONNX graph and nothing else."""
    if not graph.is_file():
        raise EngineError(f"{graph}: expected an ONNX file, found none")
    if not graph.stat().st_size:
        raise EngineError(f"{graph}: expected an ONNX graph, found an empty file")
    check_graph(graph)


# engine -> (our module, the packages either of which it needs, how to get one)
ENGINES = {
    "openvino": ("scnet_edge.engines.openvino.cpu", ("openvino",), CPU_REMEDY),
    "onnxruntime": (
        "scnet_edge.engines.onnx_runtime",
        ("onnxruntime",),
        install_extra("onnxruntime"),
    ),
    "tensorrt": (
        "scnet_edge.engines.tensorrt.execution",
        ("tensorrt", "tensorrt_rtx"),
        "install JetPack's python3-libnvinfer, or pip install tensorrt-rtx on an RTX machine",
    ),
}


def list_engines() -> list[str]:
    """Return the engines whose package is importable here, without importing it."""
    return [name for name, (_, packages, _) in ENGINES.items() if any(map(find_spec, packages))]


def default_engine() -> str:
    """Return the engine for this machine: TensorRT where it can run, else that of the CPU.

    TensorRT can run beside an NVIDIA GPU with cuda-python or PyCUDA; its wheels alone also serve
    to build plans.

    Raises:
        EngineError: no engine is installed.
    """
    on_gpu = any(Path(node).exists() for node in GPU_DEVICES)
    if on_gpu and "tensorrt" in list_engines() and any(map(find_spec, CUDA_PACKAGES)):
        return "tensorrt"
    return cpu_engine()


def cpu_engine() -> str:
    """Return the engine that graphs are calibrated and judged in: OpenVINO, else ONNX Runtime.

    TensorRT is not asked: it would run the portable graph, where the robot runs the typed one, and
    build a plan for every layer that is ranked. `compile` verifies what runs there.

    Raises:
        EngineError: neither is installed.
    """
    for engine in ("openvino", "onnxruntime"):
        if engine in list_engines():
            return engine
    raise EngineError(f"no engine for the CPU is installed here; {CPU_REMEDY}")


def open_backend(
    engine: str,
    graph: Path,
    *,
    threads: int | None = None,
    cache: Path | None = None,
    arithmetic: Arithmetic | None = None,
) -> Backend:
    """Load the ONNX `graph` (or, for TensorRT, the plan built from it) into an engine.

    Args:
        engine: One of `ENGINES`.
        graph: An ONNX file whose hash the caller has checked.
        threads: CPU threads, at least 1; None leaves it to the engine.
        cache: A folder in which the engine may keep compiled code between runs, or one that
            `scnet-edge compile` wrote: its hashes are checked before anything is loaded.
        arithmetic: What computes the floating-point layers, for OpenVINO; None for what
            `compile` found the quickest here, or FP32.

    Raises:
        EngineError: the engine is unknown, not installed, does not start, refuses the graph, or
            leaves no choice of arithmetic; the compiled code is altered or not for this machine.
    """
    if engine not in ENGINES:
        raise EngineError(f"engine {engine!r}: expected one of {', '.join(ENGINES)}")
    if threads is not None and threads < 1:
        raise EngineError(f"threads: expected at least 1, found {threads}")
    module, packages, remedy = ENGINES[engine]
    if not any(map(find_spec, packages)):
        raise EngineError(f"engine {engine!r} is not installed here; {remedy}")
    try:
        load: Callable[..., Backend] = import_module(module).load
    except (ImportError, OSError) as e:  # OSError: a shared library that does not load
        raise EngineError(f"engine {engine!r} does not start: {one_line(e)}; {remedy}") from e
    if cache is not None and (cache / COMPILED).is_file():
        record = check_compiled(cache, graph, identity(engine))
        if arithmetic is None and record.fallback is not None:
            arithmetic = record.fallback.arithmetic
    if arithmetic is None or (arithmetic, engine) == ("fp32", "onnxruntime"):
        return load(graph, threads=threads, cache=cache)
    if engine != "openvino":
        raise EngineError(f"engine {engine!r} computes what the graph states; build another bundle")
    return load(graph, threads=threads, cache=cache, arithmetic=arithmetic)


def quickest_ms(
    one: Backend, other: Backend, feeds: Sequence[Mapping[str, Array]]
) -> tuple[float, float]:
    """Return each backend's shortest milliseconds for one of several feeds, the two in turns.

    The shortest and not the median: other programs, and a first run, only add to a time, and a
    machine that is busy while a bundle is built must not decide what runs when it is not.

    Args:
        one, other: Backends of the same inputs.
        feeds: What both are given, in turn.
    """
    shortest = [float("inf")] * 2
    start_s, turn = time.perf_counter(), 0
    while turn < MIN_TURNS or time.perf_counter() - start_s < TIMED_S:
        for i, backend in enumerate((one, other)):
            shortest[i] = min(shortest[i], _run_ms(backend, feeds[turn % len(feeds)]))
        turn += 1
    return shortest[0], shortest[1]


def _run_ms(backend: Backend, feeds: Mapping[str, Array]) -> float:
    start_s = time.perf_counter()
    backend.run(feeds)
    return 1e3 * (time.perf_counter() - start_s)
