"""FP16 as casts: the graph states its precision, so any TensorRT from 8.5 to 11 can follow it.

A graph with Q/DQ computes in FP16 what is not in INT8. Its scales are then FP16 as well, the form
that TensorRT 10 and later fuse, which ONNX has from opset 19 on; TensorRT 8 reads opset 17 at most
and takes the FP32 graph with Q/DQ instead, with FP16 permitted to its builder.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
import onnx.version_converter
from onnx import TensorProto, helper, numpy_helper

from scnet_edge.errors import GraphError
from scnet_edge.onnx_export.trace import drop_dead_nodes
from scnet_edge.types import INT8_MAX

FP16_MAX = 65504.0
# Instance-norm statistics are sums over a plane; in FP16 they lose the variance of a quiet channel.
FP32_SCOPE = "/statistics/"
OPSET_OF_HALF_SCALES = 19


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that computes in FP16, with its inputs and outputs as they were.

    Weights become FP16, each Cast to FP32 becomes a Cast to FP16, instance-norm statistics
    stay FP32 between two casts, and FP32 outputs are cast back at the end. What Q/DQ nodes
    hold in INT8 stays there: quantised weights are stored as INT8, and the copy has opset 19.

    Raises:
        GraphError: a weight or a scale is beyond the FP16 range.
    """
    cast = onnx.ModelProto()
    cast.CopyFrom(model)
    if any(node.op_type == "QuantizeLinear" for node in cast.graph.node):
        cast = onnx.version_converter.convert_version(cast, OPSET_OF_HALF_SCALES)
        _halve_scales(cast.graph)
        _store_quantised_weights(cast.graph)
    graph = cast.graph
    kept = _fp32_constants(graph)
    for initializer in graph.initializer:
        if initializer.data_type == TensorProto.FLOAT and initializer.name not in kept:
            initializer.CopyFrom(_half_tensor(initializer, initializer.name))
    for node in graph.node:
        _halve_attributes(node, kept)
    _island_fp32_scopes(graph)
    _cast_inputs(graph)
    _cast_outputs(graph)
    del graph.value_info[:]  # they name the old types
    onnx.checker.check_model(cast, full_check=True)
    return cast


def cast_layers_to_fp16(model: onnx.ModelProto, names: Collection[str]) -> onnx.ModelProto:
    """Return a copy of an FP32 or INT8 graph whose named convolutions compute in FP16, cast around.

    Raises:
        GraphError: a weight is beyond the FP16 range.
    """
    mixed = onnx.ModelProto()
    mixed.CopyFrom(model)
    graph = mixed.graph
    weights = {i.name: i for i in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.name not in names:
            nodes.append(node)
            continue
        outer, inner = node.output[0], f"{node.name}.half"
        nodes.append(_cast(node.input[0], f"{node.name}.input_fp16", TensorProto.FLOAT16))
        node.input[0], node.output[0] = f"{node.name}.input_fp16", inner
        for i, name in enumerate(node.input[1:], 1):
            graph.initializer.append(_half_tensor(weights[name], f"{name}.fp16"))
            node.input[i] = f"{name}.fp16"
        nodes += [node, _cast(inner, outer, TensorProto.FLOAT)]
    _replace_nodes(graph, nodes)
    del graph.value_info[:]
    onnx.checker.check_model(mixed, full_check=True)
    return mixed


def _fp32_constants(graph: onnx.GraphProto) -> set[str]:
    """Return the tensors that stay FP32: Resize's scales and what feeds the statistics."""
    kept: set[str] = set()
    for node in graph.node:
        if node.op_type == "Resize":
            kept.update(node.input[1:])
        elif FP32_SCOPE in node.name:
            kept.update(node.input)
    return kept


def _halve_scales(graph: onnx.GraphProto) -> None:
    """Make every scale FP16, rounded up: rounded down, the largest values would saturate."""
    scales = {n.input[1] for n in graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")}
    for initializer in [i for i in graph.initializer if i.name in scales]:
        exact = numpy_helper.to_array(initializer)
        if float(exact.max()) > FP16_MAX:
            raise GraphError(f"{initializer.name}: beyond {FP16_MAX:.0f}; calibrate again")
        nearest = exact.astype(np.float16)
        above = np.where(nearest < exact, np.nextafter(nearest, np.float16(np.inf)), nearest)
        initializer.CopyFrom(numpy_helper.from_array(above.astype(np.float16), initializer.name))


def _store_quantised_weights(graph: onnx.GraphProto) -> None:
    """Replace each weight and its QuantizeLinear by the INT8 values that it gives."""
    constants = {i.name: i for i in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] in constants:
            weight = numpy_helper.to_array(constants[node.input[0]])
            scale = numpy_helper.to_array(constants[node.input[1]]).astype(np.float32)
            scale = scale.reshape(-1, *(1,) * (weight.ndim - 1))  # per output channel
            values = np.clip(np.rint(weight / scale), -INT8_MAX, INT8_MAX).astype(np.int8)
            graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        else:
            nodes.append(node)
    _replace_nodes(graph, nodes)
    drop_dead_nodes(graph)


def _half_tensor(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    values = numpy_helper.to_array(tensor)
    if values.size and float(np.abs(values).max()) > FP16_MAX:
        raise GraphError(
            f"{name}: holds values beyond {FP16_MAX:.0f}, which FP16 cannot; build fp32"
        )
    return numpy_helper.from_array(values.astype(np.float16), name)


def _halve_attributes(node: onnx.NodeProto, kept: set[str]) -> None:
    """Turn FP32 constants and casts to FP32 into FP16."""
    if FP32_SCOPE in node.name or kept.intersection(node.output):
        return
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16
        elif attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT:
            attribute.t.CopyFrom(_half_tensor(attribute.t, attribute.t.name))


def _island_fp32_scopes(graph: onnx.GraphProto) -> None:
    """Cast what enters the statistics to FP32 and what leaves them back to FP16."""
    inside = {o for n in graph.node if FP32_SCOPE in n.name for o in n.output}
    constants = {i.name for i in graph.initializer}
    constants |= {n.output[0] for n in graph.node if n.op_type == "Constant"}
    nodes: list[onnx.NodeProto] = []
    entered: set[str] = set()
    left: set[str] = set()
    for node in graph.node:
        within = FP32_SCOPE in node.name
        for i, name in enumerate(node.input):
            if within and name not in inside and name not in constants:
                if name not in entered:
                    nodes.append(_cast(name, f"{name}_fp32", TensorProto.FLOAT))
                    entered.add(name)
                node.input[i] = f"{name}_fp32"
            elif not within and name in inside:
                if name not in left:
                    nodes.append(_cast(name, f"{name}_fp16", TensorProto.FLOAT16))
                    left.add(name)
                node.input[i] = f"{name}_fp16"
        nodes.append(node)
    _replace_nodes(graph, nodes)


def _cast_inputs(graph: onnx.GraphProto) -> None:
    """Cast FP32 graph inputs, such as the prior of SCNet alone, to FP16."""
    casts = []
    for value in graph.input:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            inner = f"{value.name}_fp16"
            for node in graph.node:
                node.input[:] = [inner if name == value.name else name for name in node.input]
            casts.append(_cast(value.name, inner, TensorProto.FLOAT16))
    _replace_nodes(graph, [*casts, *graph.node])


def _cast_outputs(graph: onnx.GraphProto) -> None:
    """Cast the FP16 outputs back to the FP32 the caller was promised."""
    casts = []
    for value in graph.output:
        inner = f"{value.name}_fp16"
        for node in graph.node:
            node.input[:] = [inner if name == value.name else name for name in node.input]
            node.output[:] = [inner if name == value.name else name for name in node.output]
        casts.append(_cast(inner, value.name, TensorProto.FLOAT))
    _replace_nodes(graph, [*graph.node, *casts])


def _cast(source: str, target: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast.{target}", to=to)


def _replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
