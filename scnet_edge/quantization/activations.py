"""Ranges of activations, collected by running the graph on frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from scnet_edge.errors import GraphError
from scnet_edge.onnx_export.trace import static_shapes
from scnet_edge.quantization.histograms import Histogram, ranges_by
from scnet_edge.quantization.qdq import quantisable, quantise
from scnet_edge.types import Frame

Run = Callable[[Mapping[str, npt.NDArray[np.uint8]]], dict[str, npt.NDArray[np.float32]]]
Load = Callable[[onnx.ModelProto], Run]
Histograms = dict[str, Histogram]
# (network, the ranges before it, its histograms) -> its ranges
Choose = Callable[[str, dict[str, float], Histograms], dict[str, float]]

NETWORKS = ("hed", "scnet")  # in the order a frame meets them
SAMPLED = 65_536  # values of a tensor that are counted in each frame, at most about


def calibrate_chain(
    model: onnx.ModelProto,
    frames: Callable[[], Iterable[Frame]],
    load: Load,
    choose: Choose = lambda network, before, seen: ranges_by("minmax", seen),
) -> dict[str, float]:
    """Return the range of every quantisable convolution's input.

    A chain is calibrated in two passes, so that SCNet's ranges are those it meets
    behind the edge map of the quantised HED, not of the exact one.

    Args:
        model: The FP32 fused graph.
        frames: Called once a pass; yields (H, W, 3) uint8 BGR of the graph's frame size.
        load: Puts a graph into an engine.
        choose: Reads the ranges from the histograms of one network; min-max unless given.
    """
    names = quantisable(model)
    ranges: dict[str, float] = {}
    for network in NETWORKS:
        members = [n for n in names if n.startswith(f"{network}.")]
        if members:
            seen = collect(quantise(model, ranges), members, frames(), load)
            ranges |= choose(network, dict(ranges), seen)
    return ranges


def collect(
    model: onnx.ModelProto, convolutions: list[str], frames: Iterable[Frame], load: Load
) -> Histograms:
    """Return the magnitudes of each named convolution's input over all frames.

    Raises:
        GraphError: there are no frames, or a magnitude is not a number.
    """
    run = load(frame_result(model, convolutions))
    histograms = {name: Histogram() for name in convolutions}
    seen = 0
    for frame in frames:
        outputs = run({"frame": frame[None]})
        for name, histogram in histograms.items():
            peak = float(outputs[f"{name}.peak"].max())
            if not np.isfinite(peak):
                raise GraphError(f"{name}: its input is not finite on a calibration frame")
            histogram.add(outputs[f"{name}.sample"], peak)
        seen += 1
    if not seen:
        raise GraphError("calibration needs at least one frame, found none")
    return histograms


def frame_result(model: onnx.ModelProto, convolutions: list[str]) -> onnx.ModelProto:
    """Return a copy whose outputs are peak and sample of the magnitudes of convolutions' inputs.

    The peak is taken over all values inside the graph. The sample is every nth row and column of
    every channel; n is odd, so that it does not keep step with the 2x2 windows of the pooling.
    """
    shapes = static_shapes(model)
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    graph = watched.graph
    inputs = {n.name: _observable(model, n.input[0]) for n in graph.node if n.op_type == "Conv"}
    del graph.output[:]
    for name in convolutions:
        peak, sample = f"{name}.peak", f"{name}.sample"
        step = int(np.sqrt(np.prod(shapes[inputs[name]]) / SAMPLED)) | 1
        # A slice of step 1 would be another name of the same tensor, which engines drop.
        magnitude = f"{name}.magnitude" if step > 1 else sample
        graph.node.append(helper.make_node("Abs", [inputs[name]], [magnitude], name=magnitude))
        graph.node.append(helper.make_node("ReduceMax", [magnitude], [peak], name=peak, keepdims=0))
        if step > 1:
            _append_slice(graph, magnitude, sample, shapes[inputs[name]], step)
        graph.output.append(helper.make_tensor_value_info(peak, TensorProto.FLOAT, []))
        graph.output.append(helper.make_tensor_value_info(sample, TensorProto.FLOAT, None))
    return watched


def _observable(model: onnx.ModelProto, tensor: str) -> str:
    """Return the tensor before its Q/DQ pair, where it has one."""
    makers = {o: n for n in model.graph.node for o in n.output}
    if tensor in makers and makers[tensor].op_type == "DequantizeLinear":
        return str(makers[makers[tensor].input[0]].input[0])
    return tensor


def _append_slice(
    graph: onnx.GraphProto, source: str, target: str, shape: tuple[int, ...], step: int
) -> None:
    slices = {"starts": [0, 0], "ends": list(shape[2:]), "axes": [2, 3], "steps": [step, step]}
    for part, values in slices.items():
        tensor = numpy_helper.from_array(np.array(values, np.int64), f"{target}.{part}")
        graph.initializer.append(tensor)
    names = [f"{target}.{part}" for part in slices]
    graph.node.append(helper.make_node("Slice", [source, *names], [target], name=target))
