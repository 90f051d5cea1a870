"""Ranges of activations, collected by running the graph on frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from scnet_edge.errors import GraphError
from scnet_edge.graph.qdq import quantisable, quantise
from scnet_edge.types import Frame

Run = Callable[[Mapping[str, npt.NDArray[np.uint8]]], dict[str, npt.NDArray[np.float32]]]
Load = Callable[[onnx.ModelProto], Run]


def calibrate_chain(
    model: onnx.ModelProto, frames: Callable[[], Iterable[Frame]], load: Load
) -> dict[str, float]:
    """Return the min-max range of every quantisable convolution's input.

    A chain is calibrated in two passes, so that SCNet's ranges are those it meets
    behind the edge map of the quantised HED, not of the exact one.

    Args:
        model: The FP32 fused graph.
        frames: Called once a pass; yields (H, W, 3) uint8 BGR of the graph's frame size.
        load: Puts a graph into an engine.
    """
    names = quantisable(model)
    ranges: dict[str, float] = {}
    for network in ("hed.", "scnet."):
        members = [n for n in names if n.startswith(network)]
        if members:
            ranges |= _peaks(quantise(model, ranges), members, frames(), load)
    return ranges


def _peaks(
    model: onnx.ModelProto, convolutions: list[str], frames: Iterable[Frame], load: Load
) -> dict[str, float]:
    """Return the largest magnitude of each named convolution's input over all frames."""
    run = load(with_peak_outputs(model, convolutions))
    peaks = dict.fromkeys(convolutions, 0.0)
    seen = 0
    for frame in frames:
        outputs = run({"frame": frame[None]})
        for name in convolutions:
            peaks[name] = max(peaks[name], float(outputs[_peak_name(name)].max()))
        seen += 1
    if not seen:
        raise GraphError("calibration needs at least one frame, found none")
    return peaks


def with_peak_outputs(model: onnx.ModelProto, convolutions: list[str]) -> onnx.ModelProto:
    """Return a copy whose only outputs are the peak magnitudes of the convolutions' inputs.

    The reduction runs inside the graph, so no activation map ever leaves the engine.
    """
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    graph = observed.graph
    inputs = {n.name: n.input[0] for n in graph.node if n.op_type == "Conv"}
    del graph.output[:]
    for name in convolutions:
        magnitude, peak = f"{name}.magnitude", _peak_name(name)
        graph.node.append(helper.make_node("Abs", [inputs[name]], [magnitude], name=magnitude))
        graph.node.append(helper.make_node("ReduceMax", [magnitude], [peak], name=peak, keepdims=0))
        graph.output.append(helper.make_tensor_value_info(peak, TensorProto.FLOAT, []))
    return observed


def _peak_name(convolution: str) -> str:
    return f"{convolution}.peak"
