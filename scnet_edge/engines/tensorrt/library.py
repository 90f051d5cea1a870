"""The TensorRT of this machine: which one it is, what it can do, and its one logger."""

from __future__ import annotations

import functools
import itertools
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from scnet_edge.errors import EngineError, one_line

log = logging.getLogger(__name__)

# The builder's own account of the finished engine, the only one to be had without a GPU.
LAYER_REPORT = re.compile(r"\s*(Engine Layer Information|Layers):\s*\n")
OLDEST_OF_TENSORRT = (7, 5)  # the oldest GPU that a TensorRT of 10.5 or later has kernels for
# What a graph of ours has at its borders. TensorRT 8's own `nptype` fails on NumPy 1.24 and later.
DTYPES = {"FLOAT": "float32", "HALF": "float16", "UINT8": "uint8", "INT32": "int32"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What this TensorRT offers, asked by name: the bits behind the names change by release."""

    strong_typing: bool  # the graph's types are the law
    ahead_of_time: bool  # builds for a GPU that is not there, and takes no timing cache
    plugins: bool
    tf32: bool
    progress: bool


@functools.cache
def tensorrt() -> Any:
    """Return the TensorRT module of this machine, full or RTX, ready to parse and deserialise.

    Raises:
        EngineError: neither is installed, or its libraries do not load.
    """
    name = next((n for n in ("tensorrt", "tensorrt_rtx") if find_spec(n)), None)
    if name is None:
        raise EngineError(
            "TensorRT is not installed here; it comes with JetPack (python3-libnvinfer), "
            "on an RTX machine pip install tensorrt-rtx"
        )
    try:
        return import_module(name)
    except (ImportError, OSError) as e:
        raise EngineError(f"{name} is installed but does not start: {one_line(e)}") from e


@functools.cache
def capabilities() -> Capabilities:
    """Return what the installed TensorRT can do; no other line asks for a version."""
    trt = tensorrt()
    return Capabilities(
        strong_typing=hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"),
        ahead_of_time=hasattr(trt.IBuilderConfig, "set_compute_capability"),
        plugins=hasattr(trt, "init_libnvinfer_plugins"),
        tf32=hasattr(trt.BuilderFlag, "TF32"),
        progress=hasattr(trt, "IProgressMonitor"),
    )


def supported_capabilities() -> tuple[str, ...]:
    """Return the compute capabilities that TensorRT-RTX names as targets; none of a TensorRT."""
    trt = tensorrt()
    named = getattr(trt, "ComputeCapability", None) if trt.__name__ == "tensorrt_rtx" else None
    numbers = [name.removeprefix("SM") for name in getattr(named, "__members__", ())]
    return tuple(sorted((f"{n[:-1]}.{n[-1]}" for n in numbers if n.isdigit()), key=pair))


def require_kernels(capability: str) -> None:
    """Raise EngineError where TensorRT-RTX has no kernels for a GPU, such as an H100 with `9.0`.

    Its builder makes a plan there all the same, which its runtime then refuses. A TensorRT is not
    asked: its own builder refuses what it does not support.
    """
    known = supported_capabilities()
    if lack := find_missing_kernels(tensorrt().__version__ if known else "", capability, known):
        raise EngineError(lack)


def find_missing_kernels(version: str, capability: str, known: Sequence[str]) -> str:
    """Return why TensorRT-RTX cannot run on a GPU, and what to do; empty where it may.

    A plan is for the newest GPU that it names and later ones, so whether it runs on one that is
    newer still is left to its runtime.

    Args:
        version: Of TensorRT-RTX.
        capability: The GPU's compute capability, `8.7`.
        known: What TensorRT-RTX names, the newest last; empty where it names none.
    """
    if not known or capability in known or pair(capability) > pair(known[-1]):
        return ""
    other = "name another engine, openvino or onnxruntime"
    if pair(capability) >= OLDEST_OF_TENSORRT:
        other = f"pip install tensorrt, or {other}"
    return (
        f"TensorRT-RTX {version} has no kernels for compute capability {capability}, "
        f"only for {', '.join(known)}: {other}"
    )


def pair(capability: str) -> tuple[int, int]:
    """Return (8, 7) of `8.7`."""
    major, _, minor = capability.partition(".")
    return int(major), int(minor)


@functools.cache
def engine_log() -> Any:
    """Return the one TensorRT logger of this process; TensorRT ignores a second."""
    trt = tensorrt()
    base: Any = trt.ILogger

    class EngineLog(base):  # type: ignore[misc]
        """Hands messages to `logging`, and remembers errors and the layer report."""

        def __init__(self) -> None:
            base.__init__(self)
            self.errors: list[str] = []
            self.layers: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            chatter = severity.name in ("VERBOSE", "INFO")  # errors come back as exceptions
            log.log(logging.DEBUG if chatter else logging.INFO, "%s", message)
            if severity.name in ("ERROR", "INTERNAL_ERROR"):
                self.errors.append(message)
            elif report := LAYER_REPORT.match(message):
                lines = message[report.end() :].splitlines()
                self.layers = list(itertools.takewhile(str.strip, lines))  # then I/O tensors

    logger = EngineLog()
    # Before 10, instance norm is a plugin, wanted by the parser and by the runtime.
    if capabilities().plugins and not trt.init_libnvinfer_plugins(logger, ""):
        raise EngineError(
            f"TensorRT cannot load its plugins: {_first(logger.errors)}; install the "
            f"libnvinfer-plugin of {trt.__name__} {trt.__version__}"
        )
    return logger


def require_made(make: Callable[[], Any], what: str) -> Any:
    """Return what TensorRT makes.

    Raises:
        EngineError: it made none: a method says so by None, a class by a TypeError that pybind11
            raises, as `Builder` does where CUDA does not initialise.
    """
    try:
        thing = make()
    except TypeError as e:
        if "nullptr" not in str(e):
            raise
        thing = None
    if thing is None:
        raise EngineError(
            f"TensorRT made no {what}: {last_error()}; 'scnet-edge doctor' says whether GPU and "
            "driver work"
        )
    return thing


def numpy_dtype(tensor: str, dtype: Any) -> np.dtype[Any]:
    """Return the NumPy type of a TensorRT type.

    Raises:
        EngineError: no graph of ours has that type at its borders.
    """
    if dtype.name not in DTYPES:
        raise EngineError(
            f"tensor {tensor!r}: expected one of {', '.join(DTYPES)}, found {dtype.name}; "
            "build the bundle again with 'scnet-edge build'"
        )
    return np.dtype(DTYPES[dtype.name])


def deserialise(plan: bytes, remedy: str) -> Any:
    """Return the engine of a plan; a plan is code, so its hash was checked before this.

    Args:
        plan: Exactly the bytes that were hashed.
        remedy: What to do where TensorRT refuses it.

    Raises:
        EngineError: the plan is not for this GPU and this TensorRT, or there is no GPU.
    """
    engine_log().errors.clear()
    runtime = require_made(lambda: tensorrt().Runtime(engine_log()), "runtime")
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise EngineError(
            f"TensorRT cannot load the plan on this machine: {last_error()}; {remedy}"
        )
    return engine


def last_error() -> str:
    """Return what TensorRT logged first since the log was cleared, on one line."""
    return _first(engine_log().errors)


def _first(errors: Sequence[str]) -> str:
    return one_line(Exception(errors[0])) if errors else "it gave no reason"
