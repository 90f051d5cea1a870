"""What became of a graph in a plan: one record a kernel, and what they prove of precision.

Two accounts of an engine exist: the lines that the builder logs, which are to be had without a
GPU, and the engine inspector's JSON. Both are read here. The JSON of TensorRT 8.5 names nodes in a
layer's own name alone, later ones in its metadata; 11 parts data type and format.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

ONNX_LAYER = re.compile(r"\[ONNX Layer: ([^\]]+)\]")
# Between the nodes of `a.0.weight + a.0 + PWN(/Relu_3)` and of `{ForeignNode[a.1...b.0]}`.
BETWEEN_NODES = re.compile(r"\.\.\.|[\s+,(){}\[\]]+")
NO_NODES = {"", "PWN", "ForeignNode"}
# The suffixes that quantization.qdq gives to its nodes.
QDQ = (".q", ".dq")
# What a convolution is called: in the log of RTX, and in the inspector from TensorRT 8.5 on.
CONVOLUTIONS = (
    "correlation",
    "runtime_function",
    "runtime_fusion",
    "CaskConvolution",
    "CaskGemmConvolution",
    "gemm",
)
DTYPES = {"Half": "FP16", "Float": "FP32", "Int8": "INT8", "UInt8": "UINT8", "FP16": "FP16"}


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One kernel of an engine.

    Attributes:
        reads: Types of its inputs, constants not included: `INT8`, `FP16`, `FP32`, ...
        onnx: The nodes of the ONNX graph that it computes, or a part of them.
    """

    name: str
    kind: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    onnx: frozenset[str]


class PlanSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The kernels of a plan, counted.

    Attributes:
        kernels: All of them; what only orders streams is not one.
        convolutions: By the type that their input has.
        missing: Convolutions of the graph that no kernel owns up to.
        lone_qdq: Kernels that do nothing but quantise or dequantise.
        requantising: Kernels that take a convolution's sums to INT8, with its bias and ReLU: within
            the convolution, or after it.
        int8_writes: What the convolutions that read INT8 write, by type; INT8 where bias, ReLU and
            requantisation are within.
    """

    kernels: int
    convolutions: dict[str, int]
    missing: tuple[str, ...]
    lone_qdq: tuple[str, ...]
    requantising: int
    int8_writes: dict[str, int]


def layers_from_log(lines: Sequence[str]) -> list[Layer]:
    """Return the kernels of the builder's layer report."""
    return [_from_line(line) for line in lines]


def layers_from_json(report: str) -> list[Layer]:
    """Return the kernels of the engine inspector's JSON, before or after TensorRT 11."""
    layers = json.loads(report).get("Layers", [])
    return [_from_dict(layer) for layer in layers if isinstance(layer, dict)]


def summarise(layers: Sequence[Layer], convolutions: Collection[str]) -> PlanSummary:
    """Count what a plan does with the named convolutions of its graph and with its Q/DQ nodes."""
    kernels = [layer for layer in layers if layer.kind not in ("signal", "wait")]
    owned = {name: _input_type(kernels, name) for name in convolutions}
    types = [dtype for dtype in owned.values() if dtype]
    written = [_type_written(kernels, name) for name, dtype in owned.items() if dtype == "INT8"]
    return PlanSummary(
        kernels=len(kernels),
        convolutions={dtype: types.count(dtype) for dtype in sorted(set(types))},
        missing=tuple(name for name, dtype in owned.items() if not dtype),
        lone_qdq=tuple(layer.name for layer in kernels if _is_lone_qdq(layer)),
        requantising=sum(_requantises(layer) for layer in kernels),
        int8_writes={dtype: written.count(dtype) for dtype in sorted(set(written))},
    )


def _input_type(kernels: Sequence[Layer], name: str) -> str:
    """Return the narrowest type that the kernels of a convolution read; empty when there is none.

    A convolution of few channels may be unrolled into arithmetic, within a kernel of another kind.
    """
    return _narrowest(dtype for kernel in _owners(kernels, name) for dtype in kernel.reads)


def _type_written(kernels: Sequence[Layer], name: str) -> str:
    """Return the narrowest type that the kernels of a convolution in INT8 write."""
    owners = [kernel for kernel in _owners(kernels, name) if "INT8" in kernel.reads]
    return _narrowest(dtype for kernel in owners for dtype in kernel.writes)


def _owners(kernels: Sequence[Layer], name: str) -> list[Layer]:
    owners = [kernel for kernel in kernels if name in kernel.onnx]
    return [kernel for kernel in owners if kernel.kind in CONVOLUTIONS] or owners


def _narrowest(types: Iterable[str]) -> str:
    found = set(types)
    return next((dtype for dtype in ("INT8", "FP16", "FP32") if dtype in found), "")


def _is_lone_qdq(layer: Layer) -> bool:
    """Return whether every node of a kernel is Q or DQ; on activations, for weights are folded."""
    return bool(layer.onnx) and all(name.endswith(QDQ) for name in layer.onnx)


def _requantises(layer: Layer) -> bool:
    quantises = any(name.endswith(".q") for name in layer.onnx)
    return quantises and "INT8" in layer.writes and any("Relu" in name for name in layer.onnx)


def _from_line(line: str) -> Layer:
    """Read `Name: ..., LayerType: ..., Inputs: [...], Constants: [...], Outputs: [...], ...`."""
    name = re.match(r"Name: (.*?), LayerType: (\w+)", line)
    before, _, after = line.partition("Outputs: [")
    inputs = before.partition("Inputs: [")[2].partition("Constants: [")[0]
    outputs = after.partition("TacticName")[0]
    return Layer(
        name=name[1] if name else line[:80],
        kind=name[2] if name else "",
        reads=_types(re.findall(r"Datatype: (\w+)", inputs)),
        writes=_types(re.findall(r"Datatype: (\w+)", outputs)),
        onnx=frozenset(ONNX_LAYER.findall(line)),
    )


def _from_dict(layer: dict[str, Any]) -> Layer:
    name = layer.get("Name", "")
    return Layer(
        name=name,
        kind=layer.get("LayerType", ""),
        reads=_types([_type_of(tensor) for tensor in layer.get("Inputs", [])]),
        writes=_types([_type_of(tensor) for tensor in layer.get("Outputs", [])]),
        onnx=frozenset(ONNX_LAYER.findall(layer.get("Metadata", "")) or _nodes_of(name)),
    )


def _nodes_of(name: str) -> set[str]:
    """Return the nodes in a layer's name; none where it only says between which it copies."""
    return set() if "Reformatting" in name else {*BETWEEN_NODES.split(name)} - NO_NODES


def _type_of(tensor: dict[str, Any]) -> str:
    """Return the type of an inspected tensor, its own key since 11, the tail of the format before.

    Before, the format reads `Row major linear FP32` or `Thirty-two wide channel vectorized row
    major Int8 format`.
    """
    if "DataType" in tensor or "Datatype" in tensor:
        return str(tensor.get("DataType", tensor.get("Datatype")))
    words = str(tensor.get("Format/Datatype", tensor.get("Format", ""))).split()
    return next((word for word in reversed(words) if word in ("FP32", "Int8", *DTYPES)), "")


def _types(found: Sequence[str]) -> tuple[str, ...]:
    return tuple(DTYPES.get(dtype, dtype.upper()) for dtype in found)
