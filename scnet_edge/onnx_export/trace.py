"""From the rewritten chain to ONNX graphs with static shapes and readable node names."""

from __future__ import annotations

import logging
import tempfile
import warnings

import numpy as np
import onnx
import onnx.utils
import torch
from torch import Tensor, nn

from scnet_edge.models.chain import Chain
from scnet_edge.onnx_export.upsample import fold_upsampling

OPSET = 17  # the highest that TensorRT 8.5 reads


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
