"""Fault 20: ONNX with external data, a foreign operator, a monstrous tensor; a link; nothing.

Expected: refused with the reason before an engine's parser reads it; the canary stays unread.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from scnet_edge.engines.base import list_engines, open_backend
from scnet_edge.errors import EngineError

CANARY = np.full((4, 3, 3, 3), 7, np.float32)
ENGINES = [e for e in ("openvino", "onnxruntime") if e in list_engines()]


def model(operator: str = "Conv", domain: str = "") -> onnx.ModelProto:
    node = helper.make_node(operator, ["x", "w"], ["y"], name="n", domain=domain)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 6, 6])],
        [numpy_helper.from_array(CANARY, "w")],
    )
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def external(folder: Path) -> bytes:
    (folder / "canary.bin").write_bytes(CANARY.tobytes())
    reaching = model()
    weight = reaching.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../canary.bin")
    return reaching.SerializeToString()


def monstrous(folder: Path) -> bytes:
    huge = model()
    huge.graph.initializer[0].dims[0] = 2**31
    return huge.SerializeToString()


def cubic(folder: Path) -> bytes:
    huge = model()
    huge.graph.initializer[0].dims[:] = [2**20, 2**20, 2**20]
    return huge.SerializeToString()


def endless(folder: Path) -> bytes:
    """Return a graph of a million empty nodes, two bytes each."""
    nodes = b"\x0a\x00" * 1_000_001
    return b"\x3a" + varint(len(nodes)) + nodes


def varint(value: int) -> bytes:
    head = [value >> shift & 127 | 128 for shift in range(0, 28, 7)]
    return bytes([*head, value >> 28])


def nested(folder: Path) -> bytes:
    looping = model()
    body = helper.make_graph([], "body", [], [])
    looping.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=body))
    return looping.SerializeToString()


BAD: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "external data": (external, "found 'w' in a file beside it"),
    "foreign operator": (lambda f: model("Run", "evil.corp").SerializeToString(), "evil.corp"),
    "unknown operator": (lambda f: model("Frobnicate").SerializeToString(), "Frobnicate"),
    "2^31 rows": (monstrous, "2147483648"),
    "2^60 values": (cubic, "1152921504606846976 values"),
    "a million nodes": (endless, "fields, more than any graph has"),
    "graph in a node": (nested, "graph within a node"),
    "nothing": (lambda f: b"", "empty file"),
    "half a file": (lambda f: model().SerializeToString()[:150], "cut short"),
    "a picture": (lambda f: b"\x89PNG\r\n\x1a\n" * 20, "expected an ONNX"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("what", BAD)
def test_refused_with_the_reason(what: str, engine: str, tmp_path: Path) -> None:
    make, message = BAD[what]
    graph = tmp_path / "bundle" / "fused.onnx"
    graph.parent.mkdir()
    graph.write_bytes(make(tmp_path))
    with pytest.raises(EngineError, match=message) as refused:
        open_backend(engine, graph)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_link_is_refused_and_the_file_itself_runs(engine: str, tmp_path: Path) -> None:
    real, link = tmp_path / "real.onnx", tmp_path / "link.onnx"
    real.write_bytes(model().SerializeToString())
    link.symlink_to(real)
    with pytest.raises(EngineError, match="found a link"):
        open_backend(engine, link)
    backend = open_backend(engine, real)
    x = np.ones((1, 3, 8, 8), np.float32)
    assert backend.run({"x": x})["y"] == pytest.approx(7 * 27)
    backend.close()
