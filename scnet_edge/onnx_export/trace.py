"""From the rewritten chain to ONNX graphs with static shapes and readable node names."""

from __future__ import annotations

import logging
import tempfile
import warnings

import numpy as np
import numpy.typing as npt
import onnx
import onnx.utils
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from scnet_edge.errors import GraphError
from scnet_edge.models.chain import Chain

OPSET = 17  # the highest that TensorRT 8.5 reads
Floats = npt.NDArray[np.float32]


def trace_chain(chain: Chain, *, batch: int = 1) -> onnx.ModelProto:
    """Return the fused graph of a rewritten chain: frame -> probability and, with a prior, edges.

    It takes `batch` frames at once, and its nodes have the same names for any batch.

    Each convolution node is named after its module, `hed.blocks.0.2` or `scnet.sides.1`, and the
    prior between the two networks is the tensor `prior`, where `split_graphs` cuts.
    """
    frame = torch.zeros((batch, *chain.frame_hw, 3), dtype=torch.uint8)
    outputs = ["probability"] if chain.hed is None else ["probability", "edges", "prior"]
    model = _export(chain, frame, outputs)
    if chain.hed is not None:
        del model.graph.output[2]  # it stays a tensor
    _name_nodes_after_modules(model.graph)
    shapes = static_shapes(model)
    fold_upsampling(model, shapes)
    _fix_resize_sizes(model, shapes)
    model.producer_name = model.graph.name = "scnet-edge"
    onnx.checker.check_model(model, full_check=True)
    return model


def split_graphs(fused: onnx.ModelProto) -> dict[str, onnx.ModelProto]:
    """Cut a fused FP32 graph, quantised or not, at the prior into `hed` and `scnet`."""
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(fused))
    return {
        "hed": extractor.extract_model(["frame"], ["prior", "edges"]),
        "scnet": extractor.extract_model(["frame", "prior"], ["probability"]),
    }


def _export(module: nn.Module, frame: Tensor, outputs: list[str]) -> onnx.ModelProto:
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Only the tracing exporter writes opset 17, so its deprecation note is for us alone;
        # its tracer warnings are about shapes, which are static here on purpose.
        warnings.simplefilter("ignore")
        path = f"{folder}/traced.onnx"
        torch.onnx.export(
            module.eval(),
            (frame,),
            path,
            opset_version=OPSET,
            input_names=["frame"],
            output_names=outputs,
            dynamo=False,
        )
        exporter.setLevel(level)
        return onnx.load(path)


def _name_nodes_after_modules(graph: onnx.GraphProto) -> None:
    """Turn `/chain/hed/blocks.0/blocks.0.2/Conv` into `hed.blocks.0.2` for convolutions."""
    for node in graph.node:
        if node.op_type == "Conv":
            path: list[str] = []
            for scope in node.name.split("/")[1:-1]:
                if path and scope.startswith(f"{path[-1]}."):
                    path.pop()  # a Sequential in a ModuleList repeats its own name
                path.append(scope)
            node.name = ".".join(path[1:] if path[0] == "chain" else path)


def _fix_resize_sizes(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]]) -> None:
    """Give every Resize its static output size as a constant and drop what computed it."""
    for node in model.graph.node:
        if node.op_type == "Resize":
            sizes = f"{node.output[0]}_sizes"
            model.graph.initializer.append(
                onnx.numpy_helper.from_array(np.array(shapes[node.output[0]], np.int64), sizes)
            )
            node.input[:] = [node.input[0], "", "", sizes]
    drop_dead_nodes(model.graph)


def static_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor that ONNX shape inference can name."""
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return {
        v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim)
        for v in [*graph.value_info, *graph.input, *graph.output]
    }


def drop_dead_nodes(graph: onnx.GraphProto) -> None:
    """Remove, in place, the nodes and initializers that no output depends on."""
    needed = {o.name for o in graph.output}
    alive = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            alive.append(node)
    kept = [i for i in graph.initializer if i.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(alive))
    graph.initializer.extend(kept)


def fold_upsampling(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]]) -> None:
    """Replace, in place, each 1x1 convolution over upsampled single-channel maps by matrices.

    Engines resize single-channel maps slowly, and write each at full size only to read it back for
    a 1x1 convolution. But that sum is linear and bilinear interpolation is separable:

        sum_i w_i (R_i S_i C_i)  =  [R_1 w_1 S_1 | R_2 w_2 S_2 | ...] [C_1; C_2; ...]

    with constant R_i (H, h_i) and C_i (w_i, W), so one matrix product writes the full size once.

    Args:
        model: An FP32 graph of static shapes; dead nodes are left for the caller to drop.
        shapes: The shape of every tensor.
    """
    graph = model.graph
    makers = {o: n for n in graph.node for o in n.output}
    weights = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        maps = _side_maps(node, makers, shapes)
        if maps and any(makers[m].op_type == "Resize" for m in maps):
            bias = weights[node.input[2]] if len(node.input) > 2 else np.zeros(1, np.float32)
            tail = _Tail(graph, node.name, shapes)
            nodes += tail.weigh(maps, weights[node.input[1]].ravel(), bias, makers, node.output[0])
        else:
            nodes.append(node)
    copies = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def bilinear_matrix(size: int, out: int) -> Floats:
    """Return the (out, size) matrix of linear interpolation with half-pixel centres, as PyTorch's.

    Each row holds at most two numbers and sums to 1.
    """
    at = np.clip((np.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, size - 1)
    matrix = np.zeros((out, size), np.float32)
    np.add.at(matrix, (np.arange(out), low), 1 - (at - low))
    np.add.at(matrix, (np.arange(out), high), at - low)
    return matrix


def _side_maps(
    node: onnx.NodeProto, makers: dict[str, onnx.NodeProto], shapes: dict[str, tuple[int, ...]]
) -> list[str]:
    """Return the (1, 1, H, W) maps that a convolution weighs into one; none for any other."""
    concat = makers.get(node.input[0]) if node.op_type == "Conv" else None
    if concat is None or concat.op_type != "Concat" or shapes[node.output[0]][1] != 1:
        return []
    full = shapes[node.output[0]]
    maps = list(concat.input)
    return maps if all(m in makers and shapes[m] == full for m in maps) else []


class _Tail:
    """Nodes and constants of one tail, named after the convolution it replaces."""

    def __init__(
        self, graph: onnx.GraphProto, name: str, shapes: dict[str, tuple[int, ...]]
    ) -> None:
        self._graph, self._name, self._shapes = graph, name, shapes
        self._nodes: list[onnx.NodeProto] = []

    def weigh(
        self,
        maps: list[str],
        weights: Floats,
        bias: Floats,
        makers: dict[str, onnx.NodeProto],
        output: str,
    ) -> list[onnx.NodeProto]:
        """Return the nodes that make `output`, the weighed sum of the maps plus the bias."""
        rows, columns, terms = [], [], []
        for i, (name, weight) in enumerate(zip(maps, weights, strict=True)):
            source = self._source(makers[name])
            height, width = self._shapes[name][2:]
            scaled = self._node(
                "Mul", f"scaled.{i}", [source or name, self._constant(f"weight.{i}", weight)]
            )
            if source is None:
                terms.append(scaled)
                continue
            h, w = self._shapes[source][2:]
            tall = self._constant(f"rows.{i}", bilinear_matrix(h, height))
            rows.append(self._node("MatMul", f"tall.{i}", [tall, scaled]))  # (1, 1, H, w)
            columns.append(bilinear_matrix(w, width).T)
        stacked = self._node("Concat", "tall", rows)  # (1, 1, H, sum of w)
        self._nodes[-1].attribute.append(helper.make_attribute("axis", 3))
        wide = self._constant("columns", np.concatenate(columns))  # (sum of w, W)
        terms.append(self._node("MatMul", "wide", [stacked, wide]))  # (1, 1, H, W)
        total = self._constant("offset", bias[0])
        for i, term in enumerate(terms):
            total = self._node("Add", f"sum.{i}", [term, total])
        self._nodes[-1].output[0] = output
        return self._nodes

    def _source(self, resize: onnx.NodeProto) -> str | None:
        """Return what a bilinear Resize enlarges; None for a map that is at full size already."""
        if resize.op_type != "Resize":
            return None
        attributes = {a.name: helper.get_attribute_value(a) for a in resize.attribute}
        how = (
            attributes.get("mode"),
            attributes.get("coordinate_transformation_mode", b"half_pixel"),
        )
        if how not in ((b"linear", b"half_pixel"), (b"linear", b"pytorch_half_pixel")):
            raise GraphError(f"{resize.name}: expected a bilinear half-pixel Resize, found {how}")
        return str(resize.input[0])

    def _constant(self, label: str, value: npt.ArrayLike) -> str:
        name = f"{self._name}.{label}"
        array = np.ascontiguousarray(np.asarray(value, np.float32))
        self._graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def _node(self, op: str, label: str, inputs: list[str]) -> str:
        name = f"{self._name}.{label}"
        self._nodes.append(helper.make_node(op, inputs, [name], name=name))
        return name
