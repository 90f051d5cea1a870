"""Compiled code on disk: a folder that says what it is, checked before an engine sees a byte.

    BUNDLE/device/ENGINE-N/
      compiled.json       this file's `CompiledEngine`
      fused.plan          TensorRT's plan of fused.onnx, and of each other graph of the bundle
      fused.layers.json   what its inspector says of that plan
      timing.cache        what TensorRT measured, for the next build
      *.blob              or what OpenVINO compiled

A plan is code: whoever can write it decides what runs. So its hash is checked before it is
deserialised, and with it everything that it depends on.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np

from scnet_edge.config import read_json
from scnet_edge.engines.tensorrt.plan_layers import PlanSummary
from scnet_edge.errors import EngineError
from scnet_edge.folders import file_sha256
from scnet_edge.machine.description import cpu_identity, jetson_release, system_text
from scnet_edge.types import Parity

SCHEMA = 4
COMPILED, TIMINGS = "compiled.json", "timing.cache"
CODE = {".plan", ".blob"}
Arithmetic: TypeAlias = Literal["fp32", "bf16"]


class CompiledGraph(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One graph in compiled code.

    Attributes:
        graph_sha256: Of the ONNX file.
        tensors: Name -> `1x384x544x3 uint8`; empty where the engine asks the graph itself.
        excluded: Convolutions that the engine could not run in INT8.
        kernels: What became of the convolutions, where the engine tells.
    """

    graph_sha256: str
    tensors: dict[str, str] = {}
    excluded: tuple[str, ...] = ()
    kernels: PlanSummary | None = None


class FallbackPrecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What computes the layers that an INT8 graph leaves in floating point.

    Attributes:
        arithmetic: The quicker one here.
        bf16_time: A frame's time with BF16 over that with FP32, as measured here; None where BF16
            missed the golden frames.
    """

    arithmetic: Arithmetic
    bf16_time: float | None


class PrecisionChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In which precision an INT8 bundle that has FP16 beside it runs.

    Attributes:
        precision: The quicker one here; of two alike FP16, which loses less.
        int8_time: A frame's time in INT8 over that in FP16, as measured here; None where FP16
            failed its trial or could not be compiled.
        refused: Why it failed.
    """

    precision: Literal["int8", "fp16"]
    int8_time: float | None
    refused: str = ""


class CompiledEngine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a folder of compiled code says of itself.

    Attributes:
        engine: A name of `ENGINES`.
        identity: What must be the same where it runs: engine version, GPU, board software, ...
        graphs: Name of the ONNX file -> what was compiled of it.
        files: Name -> SHA-256.
        fallback: None where the engine leaves no choice.
        choice: None where the bundle has but one precision for the engine.
        parity: How it did on the golden frames; None until it was tried.
        created: ISO 8601, UTC.
    """

    schema: int
    engine: str
    identity: dict[str, str]
    graphs: dict[str, CompiledGraph]
    files: dict[str, str]
    fallback: FallbackPrecision | None = None
    choice: PrecisionChoice | None = None
    parity: Parity | None = None
    created: str


def plan_name(graph: Path) -> str:
    """Return the name of the file with the plan of an ONNX file."""
    return f"{graph.stem}.plan"


def layers_name(graph: Path) -> str:
    """Return the name of the file with the inspector's account of that plan."""
    return f"{graph.stem}.layers.json"


def read_compiled(folder: Path) -> CompiledEngine:
    """Return what a folder of compiled code says of itself.

    Raises:
        EngineError: there is no such file, or it is not of this version.
    """
    record = read_json(folder / COMPILED, CompiledEngine, error=EngineError)
    if record.schema != SCHEMA:
        raise EngineError(
            f"{folder}: schema {record.schema}, this version reads {SCHEMA}; {mend(folder)}"
        )
    return record


def check_compiled(folder: Path, graph: Path, found: dict[str, str]) -> CompiledEngine:
    """Return the record of a folder after checking that it is whole, of `graph`, and for us.

    Args:
        folder: Compiled code; nothing of it was parsed before.
        graph: The ONNX file it was compiled from, whose hash the caller has checked.
        found: What is known of this machine, of the keys of `CompiledEngine.identity`.

    Raises:
        EngineError: a file is missing, foreign or altered, or was compiled from another graph or
            for another machine; the message has the command that mends it.
    """
    record = read_compiled(folder)
    for name, expected in record.files.items():
        _check_file(folder, name, expected)
    for path in folder.iterdir():  # OpenVINO picks its code by name, so what lies there counts
        if path.suffix in CODE and path.name not in record.files:
            raise EngineError(
                f"{path}: code that {COMPILED} does not list, not loaded; {mend(folder)}"
            )
    compiled = record.graphs.get(graph.name)
    if compiled is None or compiled.graph_sha256 != file_sha256(graph):
        raise EngineError(
            f"{folder}: compiled from another graph than {graph.name}; {mend(folder)}"
        )
    check_identity(folder, record, found)
    return record


def read_code(folder: Path, record: CompiledEngine, name: str) -> bytes:
    """Return a file of compiled code whose very bytes have the hash that the record lists.

    Raises:
        EngineError: the record does not list it, or it is missing, foreign or altered.
    """
    path = _find_listed(folder, name)
    code = path.read_bytes()
    _check_sha256(path, hashlib.sha256(code).hexdigest(), record.files.get(name, "nothing"))
    return code


def check_identity(folder: Path, record: CompiledEngine, found: dict[str, str]) -> None:
    """Raise EngineError where what was found differs from what the record was compiled for."""
    for key, value in found.items():
        expected = record.identity.get(key)
        if value != expected:
            raise EngineError(
                f"{folder}: compiled for {key} {expected}, found {value}; {mend(folder)}"
            )


def identity(engine: str) -> dict[str, str]:
    """Return what compiled code of an engine depends on here, as far as no GPU need be asked."""
    if engine == "tensorrt":
        from scnet_edge.engines.tensorrt.library import tensorrt

        trt = tensorrt()
        return {"TensorRT": f"{trt.__name__} {trt.__version__}", "JetPack": jetson_release()}
    openvino = import_module("openvino").__version__
    return {"OpenVINO": openvino, "CPU": cpu_identity(system_text("/proc/cpuinfo"))}


def tensor_text(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """Return `1x384x544x3 uint8`, as `CompiledGraph.tensors` has it."""
    return f"{'x'.join(map(str, shape))} {dtype}"


def mend(folder: Path) -> str:
    """Return the command that makes the compiled code in `BUNDLE/device/ENGINE-N` anew."""
    engine = folder.name.rpartition("-")[0]
    return f"run 'scnet-edge compile {folder.parents[1]} --engine {engine}' on this machine"


def _check_file(folder: Path, name: str, expected: str) -> None:
    _check_sha256(path := _find_listed(folder, name), file_sha256(path), expected)


def _find_listed(folder: Path, name: str) -> Path:
    """Return the path of a file that the record lists; it is a plain file of the folder."""
    path = folder / name
    if Path(name).name != name or path.is_symlink() or not path.is_file():
        raise EngineError(
            f"{path}: expected a file of the compiled code, found none; {mend(folder)}"
        )
    return path


def _check_sha256(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise EngineError(
            f"{path}: SHA-256 is {found[:12]}..., {COMPILED} says {expected[:12]}...: altered or "
            f"damaged, not loaded; {mend(path.parent)}"
        )
