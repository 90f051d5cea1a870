"""What an ONNX file may hold, checked in its bytes before any engine's parser sees it.

An engine reads what a graph points to: `../../etc/passwd` as the data of a weight, a library of
custom operators, a tensor of 2^31 rows. The few protobuf fields that say so are read here, without
the onnx package, which a robot does not have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from scnet_edge.errors import ConfigError, EngineError
from scnet_edge.files import read_file

MAX_DIMENSION = 2**24
MAX_VALUES, MAX_RANK_BYTES = 2**28, 64  # of one tensor
MAX_FIELDS = 1_000_000  # of all messages together; a graph of ours has some ten thousand
MAX_BYTES = 2**30
DOMAINS = {b"", b"ai.onnx"}
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
# Numbers of the fields in onnx.proto: ModelProto, GraphProto, NodeProto, TensorProto.
MODEL_GRAPH, MODEL_FUNCTIONS = 7, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS = 5, 6, 11
TENSOR_DIMENSIONS, TENSOR_NAME, TENSOR_EXTERNAL, TENSOR_LOCATION = 1, 8, 13, 14

Field = tuple[int, int | memoryview]
Budget = Iterator[int]


def check_graph(graph: Path) -> None:
    """Refuse a file that is no plain ONNX graph of standard operators with its weights inside.

    Raises:
        EngineError: a link, no ONNX, external data, another operator domain, a nested graph, or a
            tensor of a size that no network has.
    """
    if graph.is_symlink():
        raise EngineError(f"{graph}: expected an ONNX file, found a link; copy the file itself")
    try:
        _check_model(memoryview(read_file(graph, MAX_BYTES)))
    except ConfigError as e:
        raise EngineError(str(e)) from e
    except _RefusedError as e:
        raise EngineError(f"{graph}: {e}; build the bundle again") from e


class _RefusedError(Exception):
    """What is wrong with a graph, without the name of its file."""


def _check_model(data: memoryview) -> None:
    graphs, budget = 0, iter(range(MAX_FIELDS))
    for number, value in _fields(data, budget):
        if number == MODEL_FUNCTIONS:
            raise _RefusedError("expected standard operators, found functions of its own")
        if number == MODEL_GRAPH:
            _check_graph(_message(value), budget)
            graphs += 1
    if graphs != 1:
        raise _RefusedError(f"expected an ONNX model with one graph, found {graphs}")


def _check_graph(data: memoryview, budget: Budget) -> None:
    for number, value in _fields(data, budget):
        if number == GRAPH_NODE:
            _check_node(_message(value), budget)
        elif number == GRAPH_INITIALIZER:
            _check_tensor(_message(value), budget)
        elif number == GRAPH_SPARSE:
            raise _RefusedError("expected dense weights, found sparse ones")


def _check_node(data: memoryview, budget: Budget) -> None:
    found = list(_fields(data, budget))
    operator = next((bytes(_message(v)) for n, v in found if n == NODE_OPERATOR), b"")
    for number, value in found:
        if number == NODE_DOMAIN and bytes(_message(value)) not in DOMAINS:
            domain = bytes(_message(value)).decode(errors="replace")
            name = operator.decode(errors="replace")
            raise _RefusedError(f"expected standard operators, found {name!r} of {domain!r}")
        if number == NODE_ATTRIBUTE:
            for inner, part in _fields(_message(value), budget):
                if inner == ATTRIBUTE_TENSOR:
                    _check_tensor(_message(part), budget)
                elif inner in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
                    raise _RefusedError("expected one flat graph, found a graph within a node")


def _check_tensor(data: memoryview, budget: Budget) -> None:
    name, external, values = "a tensor", False, 1
    for number, value in _fields(data, budget):
        if number == TENSOR_NAME:
            name = bytes(_message(value)).decode(errors="replace")
        elif number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and value):
            external = True
        elif number == TENSOR_DIMENSIONS:
            sizes = [value] if isinstance(value, int) else _unpack(value)
            if max(sizes, default=0) > MAX_DIMENSION:
                raise _RefusedError(f"{name!r} claims {max(sizes)} rows, more than any weight has")
            values *= math.prod(sizes)
    if values > MAX_VALUES:
        raise _RefusedError(f"{name!r} claims {values} values, more than any weight has")
    if external:
        raise _RefusedError(f"expected every weight inside, found {name!r} in a file beside it")


def _fields(data: memoryview, budget: Budget) -> Iterator[Field]:
    """Yield number and value of each field of a protobuf message, each at the budget's cost."""
    at = 0
    while at < len(data):
        if next(budget, None) is None:
            raise _RefusedError(f"over {MAX_FIELDS} fields, more than any graph has")
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == BYTES:
            size, at = _varint(data, at)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise _RefusedError("expected an ONNX file, found something else")
        if at + size > len(data):
            raise _RefusedError("expected an ONNX file, found one that is cut short, or no ONNX")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise _RefusedError("expected an ONNX file, found one that is cut short, or no ONNX")


def _unpack(data: memoryview) -> list[int]:
    if len(data) > MAX_RANK_BYTES:
        raise _RefusedError("a tensor of more dimensions than any has")
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _RefusedError("expected an ONNX file, found something else")
    return value
