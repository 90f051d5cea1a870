"""What wins accuracy of INT8 back: cross-layer equalisation before, bias correction after.

Bias correction: what quantising shifts a convolution's mean output by, taken off its bias.
Cross-layer equalisation (Nagel et al., ICCV 2019): channels of like weight range, same function.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from scnet_edge.models.chain import Chain
from scnet_edge.quantization.histograms import Load
from scnet_edge.quantization.qdq import quantise
from scnet_edge.types import Frame, Ranges

Shifts = Mapping[str, Sequence[float]]  # convolution -> mean shift of each output channel


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
