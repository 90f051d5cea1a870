"""What is changed in a graph while OpenVINO loads it: the same function in other layers."""

from __future__ import annotations

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from openvino.passes import AnyInput, Manager, Matcher, MatcherPass, WrapType


def hold_quantisation_below_concat(model: ov.Model) -> None:
    """Part each Concat from the FakeQuantize it feeds by a Maximum that changes nothing.

    Seen in OpenVINO 2026.4: the low-precision pass lifts that FakeQuantize above the Concat,
    one for each branch, and loses the zero point of signed values on the way. SCNet's first
    convolution, which reads image and prior as one, then computes something else altogether.
    A Convert between the two, as in an FP16 graph, does not keep it from that.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() == "FakeQuantize":
            source = node.input_value(0)
            before = source.get_node()
            if before.get_type_name() == "Convert":
                before = before.input_value(0).get_node()
            if before.get_type_name() == "Concat":
                node.input(0).replace_source_output(_held(source).output(0))


def join_instance_norms(model: ov.Model) -> None:
    """Make each instance norm, which a bundle's graph spells out in ten nodes, one MVN.

    The pattern is what `SinglePassInstanceNorm` computes:
    (x - mean(x)) / sqrt(relu(mean(x * x) - mean(x)^2) + eps).

    Seen in OpenVINO 2026.4: behind an INT8 convolution the low-precision pass moves the scale past
    the MVN and leaves eps as it is, so the noise of a quiet channel is blown up. The MVN is held.
    """
    x, axes, eps = AnyInput(), AnyInput(), _any("Constant")
    mean = _any("ReduceMean", x, axes)
    mean_of_squares = _any("ReduceMean", _any("Multiply", x, x), AnyInput())
    difference = _any("Subtract", mean_of_squares, _any("Multiply", mean, mean))
    variance = _any("Add", _any("Relu", difference), eps)
    scale = _any("Divide", AnyInput(), _any("Sqrt", variance))
    normed = _any("Multiply", _any("Subtract", x, mean), scale)

    def join(match: Matcher) -> bool:
        found = match.get_pattern_value_map()
        least = float(found[eps].get_node().get_data())
        joined = ops.mvn(_held(found[x]), found[axes], True, least, "inside_sqrt")
        ov.utils.replace_node(match.get_match_root(), joined)
        return True

    manager = Manager()
    manager.register_pass(MatcherPass(Matcher(normed, "JoinInstanceNorm"), join))
    manager.run_passes(model)


def _held(value: ov.Output) -> ov.Node:
    """Return a value behind a Maximum that changes nothing and that no scale is moved past."""
    return ops.maximum(value, ops.constant(np.finfo(np.float32).min, np.float32))


def _any(kind: str, *inputs: AnyInput | WrapType) -> WrapType:
    return WrapType(f"opset13.{kind}", list(inputs))
