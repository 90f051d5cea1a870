"""From the FP32 graph to the precision that ships, and what wins accuracy of INT8 back.

Cross-layer equalisation before (Nagel et al., ICCV 2019): channels of like weight range, same
function. Bias correction after: what quantising shifts the mean output of a convolution by, taken
off its bias.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from scnet_edge.bundle.manifest import FP16, FUSED, TYPED
from scnet_edge.errors import ConfigError, GraphError
from scnet_edge.models.chain import Chain
from scnet_edge.onnx_export.fp16 import cast_layers_to_fp16, to_fp16
from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.onnx_export.trace import split_graphs, trace_chain
from scnet_edge.quantization.histograms import Load
from scnet_edge.quantization.qdq import quantisable, quantise
from scnet_edge.quantization.ranges import CalibrationFile
from scnet_edge.types import Frame, Ranges

Shifts = Mapping[str, Sequence[float]]  # convolution -> mean shift of each output channel


def fp32_graph(
    chain: Chain, calibration: CalibrationFile | None = None, *, batch: int = 1
) -> onnx.ModelProto:
    """Return the FP32 graph of `batch` frames, its layers equalised where the calibration was.

    Raises:
        GraphError: the ranges are not exactly those of the graph's quantisable convolutions.
    """
    rewritten = exportable(chain)
    if calibration is not None and calibration.equalised:
        equalise(rewritten)
    fused = trace_chain(rewritten, batch=batch)
    if calibration is not None and set(calibration.ranges) != set(quantisable(fused)):
        odd = sorted(set(calibration.ranges) ^ set(quantisable(fused)))
        raise GraphError(
            f"the ranges are of another graph ({odd[0]} is in one of them only); "
            "run 'scnet-edge calibrate' again"
        )
    return fused


def int8_graph(
    fused: onnx.ModelProto, calibration: CalibrationFile, exclude: Collection[str] = ()
) -> onnx.ModelProto:
    """Return the graph with Q/DQ around all convolutions but those excluded, biases corrected."""
    shifts = {k: v for k, v in calibration.bias_shifts.items() if k not in exclude}
    return quantise(correct_biases(fused, shifts), calibration.ranges, exclude=exclude)


def quantised_layers(calibration: CalibrationFile, exclude: Collection[str]) -> list[str]:
    """Return the convolutions that INT8 quantises.

    Raises:
        ConfigError: all of them are excluded.
    """
    layers = [name for name in calibration.ranges if name not in exclude]
    if not layers:
        raise ConfigError(
            f"exclude: names all {len(calibration.ranges)} convolutions, expected one at least "
            "that is left to INT8; take some out, or build in FP16"
        )
    return layers


def lower(
    fused: onnx.ModelProto,
    precision: Literal["fp32", "fp16", "int8"],
    calibration: CalibrationFile | None,
    *,
    exclude: Collection[str] = (),
    fp16_layers: Collection[str] = (),
) -> onnx.ModelProto:
    """Return the graph in a precision.

    Args:
        fused: The FP32 graph.
        precision: What it shall compute in.
        calibration: Ranges; INT8 needs them.
        exclude: Convolutions that INT8 leaves in FP32.
        fp16_layers: Convolutions that INT8 leaves in FP16.

    Raises:
        GraphError: INT8 without ranges, or a weight beyond FP16.
    """
    if precision == "fp16":
        return to_fp16(fused)
    if precision == "fp32":
        return fused
    if calibration is None:
        raise GraphError("INT8 needs ranges; run 'scnet-edge calibrate'")
    return cast_layers_to_fp16(
        int8_graph(fused, calibration, {*exclude, *fp16_layers}), fp16_layers
    )


def bundle_graphs(
    fused: onnx.ModelProto,
    precision: Literal["fp32", "fp16", "int8"],
    calibration: CalibrationFile | None,
    *,
    exclude: Collection[str] = (),
    fp16_layers: Collection[str] = (),
    split: bool = False,
    spare_fp16: bool = False,
) -> dict[str, onnx.ModelProto]:
    """Return the graphs of a bundle, by file name.

    Args:
        fused: The FP32 graph.
        precision: What ships.
        calibration: Ranges; INT8 needs them.
        exclude: Convolutions that INT8 leaves in FP32.
        fp16_layers: Convolutions that INT8 leaves in FP16.
        split: HED and SCNet apart as well.
        spare_fp16: FP16 beside INT8, for a device on which INT8 is not quicker.
    """
    # FP16 is cut before it is cast, so that HED and SCNet keep FP32 at their borders.
    whole = "fp32" if precision == "fp16" else precision
    graphs = _cut(lower(fused, whole, calibration, exclude=exclude, fp16_layers=fp16_layers), split)
    if precision == "fp16":
        return {name: to_fp16(graph) for name, graph in graphs.items()}
    if precision == "int8":
        # A strongly typed TensorRT does what types say: FP16 for it where a CPU is left with FP32.
        kept = {*exclude, *fp16_layers}
        exact = _cut(lower(fused, "int8", calibration, exclude=kept), split)
        graphs |= {TYPED[name]: to_fp16(graph) for name, graph in exact.items()}
        if spare_fp16:
            graphs |= {FP16[name]: to_fp16(graph) for name, graph in _cut(fused, split).items()}
    return graphs


def _cut(fused: onnx.ModelProto, split: bool) -> dict[str, onnx.ModelProto]:
    """Return a graph and, where that is asked for, HED and SCNet apart, by file name."""
    parts = split_graphs(fused) if split else {}
    return {FUSED: fused} | {f"{name}.onnx": part for name, part in parts.items()}


def bias_shifts(
    model: onnx.ModelProto, ranges: Ranges, frames: Iterable[Frame], load: Load
) -> dict[str, list[float]]:
    """Return how far INT8 moves the mean of each output channel that has a bias.

    Every convolution is fed what it meets in FP32, so that a layer answers for its own error only.
    """
    beside, names = _beside(model, ranges)
    run = load(beside)
    shifts: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in names}
    for frame in frames:
        outputs = run({"frame": frame[None]})
        for name in names:
            shifts[name].append(outputs[f"{name}.shift"].ravel())
    return {name: np.mean(means, axis=0).tolist() for name, means in shifts.items()}


def correct_biases(model: onnx.ModelProto, shifts: Shifts) -> onnx.ModelProto:
    """Return a copy of an FP32 graph with the shifts subtracted from the biases."""
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    biases = {n.input[2]: n.name for n in moved.graph.node if n.name in shifts}
    for tensor in moved.graph.initializer:
        if tensor.name in biases:
            shift = np.asarray(shifts[biases[tensor.name]], np.float32)
            values = numpy_helper.to_array(tensor) - shift
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return moved


def _beside(model: onnx.ModelProto, ranges: Ranges) -> tuple[onnx.ModelProto, list[str]]:
    """Return the FP32 graph with each convolution's INT8 twin beside it, and who has a bias."""
    quantised = quantise(model, ranges)
    beside = onnx.ModelProto()
    beside.CopyFrom(model)
    graph = beside.graph
    known = {i.name for i in graph.initializer}
    graph.initializer.extend(i for i in quantised.graph.initializer if i.name not in known)
    exact = {n.name: n.output[0] for n in graph.node if n.op_type == "Conv"}
    kinds = ("QuantizeLinear", "DequantizeLinear")
    graph.node.extend(n for n in quantised.graph.node if n.op_type in kinds)
    del graph.output[:]
    twins = [n for n in quantised.graph.node if n.name in ranges and len(n.input) == 3]
    for node in twins:
        twin = onnx.NodeProto.FromString(node.SerializeToString())
        twin.name, twin.output[0] = f"{node.name}.twin", f"{node.name}.twin"
        difference, shift = f"{node.name}.difference", f"{node.name}.shift"
        graph.node.append(twin)
        inputs = [twin.output[0], exact[node.name]]
        graph.node.append(helper.make_node("Sub", inputs, [difference], name=difference))
        mean = helper.make_node("ReduceMean", [difference], [shift], name=shift, axes=[0, 2, 3])
        graph.node.append(mean)
        graph.output.append(helper.make_tensor_value_info(shift, TensorProto.FLOAT, None))
    return beside, [node.name for node in twins]


def equalise(chain: Chain) -> None:
    """Equalise every such pair of a chain whose batch norms are folded, in place."""
    for parent in [m for m in chain.modules() if isinstance(m, nn.Sequential)]:
        layers = [m for m in parent.children() if not isinstance(m, nn.Identity)]
        for first, between, second in zip(layers, layers[1:], layers[2:], strict=False):
            if isinstance(between, nn.ReLU):
                _equalise_pair(first, second)


def _equalise_pair(first: nn.Module, second: nn.Module) -> None:
    if not (isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d)):
        return
    with torch.no_grad():
        down = first.weight.abs().amax((1, 2, 3))  # (C,)
        up = second.weight.abs().amax((0, 2, 3))  # (C,)
        alive = (down > 0) & (up > 0)
        scale = torch.where(alive, torch.sqrt(down / up.clamp(min=1e-12)), torch.ones_like(down))
        first.weight /= scale[:, None, None, None]
        if first.bias is not None:
            first.bias /= scale
        second.weight *= scale[None, :, None, None]
