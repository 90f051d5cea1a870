"""INT8 as explicit Q/DQ nodes, the one form that TensorRT 8 to 11, OpenVINO and ONNX Runtime share.

Placement follows NVIDIA's rules: every input of a quantised convolution passes a
QuantizeLinear/DequantizeLinear pair (activations per tensor, weights per output channel, symmetric,
zero point 0), biases stay FP32, and nothing comes between a convolution and its ReLU.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from scnet_edge.errors import GraphError
from scnet_edge.types import INT8_MAX, Ranges

Floats = npt.NDArray[np.float32]

SMALLEST_SCALE = 2.0**-24


def quantisable(model: onnx.ModelProto) -> list[str]:
    """Return the convolutions worth INT8, in graph order: those of the blocks, 3x3.

    Side outputs, attention and heads are 1x1 and make a map or two: they cost little, and the
    attention gates and logits they compute are what an error would hurt most.
    """
    weights = {i.name: i for i in model.graph.initializer}
    return [
        n.name
        for n in model.graph.node
        if n.op_type == "Conv" and n.input[1] in weights and max(weights[n.input[1]].dims[2:]) > 1
    ]


def quantise(
    model: onnx.ModelProto, ranges: Ranges, *, exclude: Collection[str] = ()
) -> onnx.ModelProto:
    """Return a copy with Q/DQ around every convolution that has a range and is not excluded.

    Args:
        model: An FP32 graph with named convolutions.
        ranges: Convolution name -> largest magnitude of its input.
        exclude: Convolution names to leave in floating point.

    Raises:
        GraphError: a range or an exclusion names no convolution, or a range is not positive.
    """
    _check_names(model, ranges, exclude)
    quantised = onnx.ModelProto()
    quantised.CopyFrom(model)
    graph = quantised.graph
    weights = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    pairs: dict[tuple[str, float], str] = {}  # convolutions that share an input share its Q/DQ
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.name in ranges and node.name not in exclude:
            scale = max(ranges[node.name] / INT8_MAX, SMALLEST_SCALE)
            key = (node.input[0], scale)
            if key not in pairs:
                pairs[key] = _append_pair(graph, nodes, node.input[0], node.name, np.float32(scale))
            node.input[0] = pairs[key]
            per_channel = weight_scales(weights[node.input[1]])
            node.input[1] = _append_pair(
                graph, nodes, node.input[1], f"{node.name}.weight", per_channel
            )
        nodes.append(node)
    copies = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    onnx.checker.check_model(quantised, full_check=True)
    return quantised


def weight_scales(weight: Floats) -> Floats:
    """Return one float32 scale per output channel of a (O, I, kH, kW) weight."""
    peak = np.abs(weight).reshape(len(weight), -1).max(1)
    return np.asarray(np.maximum(peak / INT8_MAX, SMALLEST_SCALE), np.float32)


def count_quantised(model: onnx.ModelProto) -> int:
    """Return how many convolutions of a graph compute in INT8."""
    return sum(n.op_type == "Conv" and n.input[1].endswith(".dq") for n in model.graph.node)


def _check_names(model: onnx.ModelProto, ranges: Ranges, exclude: Collection[str]) -> None:
    convolutions = {n.name for n in model.graph.node if n.op_type == "Conv"}
    if unknown := sorted(set(exclude) - convolutions):
        raise GraphError(
            f"exclude: no convolution is named {', '.join(unknown[:3])}; "
            "'scnet-edge sensitivity' lists their names"
        )
    if unknown := sorted(set(ranges) - convolutions):
        raise GraphError(
            f"no convolution is named {', '.join(unknown[:3])}; the ranges are of another model"
        )
    for name, peak in ranges.items():
        if not (np.isfinite(peak) and peak > 0):
            raise GraphError(
                f"range of {name} is {peak}, expected a positive number; calibrate again"
            )


def _append_pair(
    graph: onnx.GraphProto,
    nodes: list[onnx.NodeProto],
    tensor: str,
    label: str,
    scale: Floats | np.float32,
) -> str:
    """Append QuantizeLinear and DequantizeLinear after `tensor`; return the name of the result."""
    scale_name, zero_name = f"{label}.scale", f"{label}.zero_point"
    zeros = np.zeros(np.shape(scale), np.int8)
    graph.initializer.append(numpy_helper.from_array(np.asarray(scale), scale_name))
    graph.initializer.append(numpy_helper.from_array(zeros, zero_name))
    quantised, restored = f"{label}.q", f"{label}.dq"
    for op, source, target in (
        ("QuantizeLinear", tensor, quantised),
        ("DequantizeLinear", quantised, restored),
    ):
        node = helper.make_node(op, [source, scale_name, zero_name], [target], name=target)
        if np.ndim(scale):
            node.attribute.append(helper.make_attribute("axis", 0))
        nodes.append(node)
    return restored
