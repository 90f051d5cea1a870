"""Operations of a graph's convolutions, counted by the reader that is installed."""

from __future__ import annotations

from importlib.util import find_spec
from math import prod
from pathlib import Path

FOLDED_BIAS = "/WithoutBiases"  # OpenVINO's name for a convolution whose bias became its own
READERS = ("openvino", "onnx")


def can_count() -> bool:
    """Return whether a graph can be read here at all."""
    return any(find_spec(reader) for reader in READERS)


def gflop_of_convolutions(graph: Path) -> dict[str, float]:
    """Return 1e9 operations by convolution, two a multiply-accumulate, of a static ONNX graph."""
    macs = _macs_by_openvino if find_spec("openvino") else _macs_by_onnx
    return {name: 2e-9 * count for name, count in macs(graph).items()}


def _macs_by_openvino(graph: Path) -> dict[str, int]:
    import openvino as ov

    found = {}
    for node in ov.Core().read_model(graph).get_ordered_ops():
        if node.get_type_name() in ("Convolution", "GroupConvolution"):
            weight = list(node.input(1).get_shape())  # (O, I, k, k), grouped (G, O, I, k, k)
            name = node.get_friendly_name().removesuffix(FOLDED_BIAS)
            found[name] = prod(node.output(0).get_shape()) * prod(weight[-3:])
    return found


def _macs_by_onnx(graph: Path) -> dict[str, int]:
    import onnx

    read = onnx.shape_inference.infer_shapes(onnx.load(graph), data_prop=True).graph
    shapes = {weight.name: list(weight.dims) for weight in read.initializer}
    for value in (*read.value_info, *read.output):
        shapes[value.name] = [d.dim_value for d in value.type.tensor_type.shape.dim]
    return {
        node.name: prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][-3:])
        for node in read.node
        if node.op_type == "Conv"
    }
