"""What is changed in a graph while OpenVINO loads it: the same function in other layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
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
                node.input(0).replace_source_output(_hold_scale(source).output(0))


def join_instance_norms(model: ov.Model) -> None:
    """Make each instance norm, which a bundle's graph spells out in ten nodes, one MVN.

    What matches is what `SinglePassInstanceNorm` computes:
    (x - mean(x)) / sqrt(relu(mean(x * x) - mean(x)^2) + eps).

    Seen in OpenVINO 2026.4: behind an INT8 convolution the low-precision pass moves the scale past
    the MVN and leaves eps as it is, so the noise of a quiet channel is blown up. The MVN is held.
    """
    x, axes, eps = AnyInput(), AnyInput(), pattern("Constant")
    mean = pattern("ReduceMean", x, axes)
    mean_of_squares = pattern("ReduceMean", pattern("Multiply", x, x), AnyInput())
    difference = pattern("Subtract", mean_of_squares, pattern("Multiply", mean, mean))
    variance = pattern("Add", pattern("Relu", difference), eps)
    scale = pattern("Divide", AnyInput(), pattern("Sqrt", variance))
    normed = pattern("Multiply", pattern("Subtract", x, mean), scale)

    def join(match: Matcher) -> bool:
        found = match.get_pattern_value_map()
        least = float(found[eps].get_node().get_data())
        joined = ops.mvn(_hold_scale(found[x]), found[axes], True, least, "inside_sqrt")
        ov.utils.replace_node(match.get_match_root(), joined)
        return True

    run_pass(model, "JoinInstanceNorm", normed, join)


def quantise_interleaved(model: ov.Model) -> None:
    """Let a frame stay (1, H, W, 3) until it is quantised, in place.

    OpenVINO then reads it once, where it would transpose it, flip BGR to RGB, normalise it and
    interleave it again. Its colours are flipped in the weights of the first convolution.
    """
    weights, order = pattern("Constant"), pattern("Constant")
    start, step, axes = pattern("Constant"), pattern("Constant"), pattern("Constant")
    cast = pattern("Convert", pattern("Parameter"))
    rgb = pattern("Slice", pattern("Transpose", cast, order), start, AnyInput(), step, axes)
    divisor, offset = pattern("Constant"), pattern("Constant")
    image = pattern("Subtract", pattern("Divide", rgb, divisor), offset)
    frame = _quantise(image)
    convolution = pattern("Convolution", _dequantise(frame), _dequantise(_quantise(weights)))

    def move(match: Matcher) -> bool:
        found = match.get_pattern_value_map()
        flip = [found[at].get_node().get_data().tolist() for at in (start, step, axes)]
        if flip != [[-1], [-1], [1]] or found[divisor].get_shape() or found[offset].get_shape():
            return False
        if any(len(found[at].get_target_inputs()) > 1 for at in (frame, weights)):
            return False  # another reader would get its colours in the wrong order
        bgr = ops.subtract(ops.divide(found[cast], found[divisor]), found[offset])
        planes = ops.transpose(bgr, found[order])
        found[frame].get_node().input(0).replace_source_output(planes.output(0))
        old = found[weights].get_node()
        flipped = np.ascontiguousarray(old.get_data()[:, ::-1])  # (C', 3, k, k)
        ov.utils.replace_node(old, ops.constant(flipped))
        return True

    run_pass(model, "QuantiseInterleaved", convolution, move)


def pattern(kind: str, *inputs: AnyInput | WrapType) -> WrapType:
    """Return what matches an operation by its name; without inputs, any of that name."""
    return WrapType(f"opset13.{kind}", list(inputs))


def run_pass(model: ov.Model, name: str, root: WrapType, change: Callable[[Matcher], bool]) -> None:
    """Call `change`, which returns whether it changed anything, wherever the pattern matches."""
    manager = Manager()
    manager.register_pass(MatcherPass(Matcher(root, name), change))
    manager.run_passes(model)


def _quantise(x: WrapType) -> WrapType:
    return pattern("FakeQuantize", x, *(AnyInput() for _ in range(4)))


def _dequantise(x: WrapType) -> WrapType:
    stored = pattern("Convert", pattern("Convert", x))
    return pattern("Multiply", pattern("Subtract", stored, AnyInput()), AnyInput())


def _hold_scale(value: ov.Output) -> ov.Node:
    """Return a value behind a Maximum that changes nothing and that no scale is moved past."""
    return ops.maximum(value, ops.constant(np.finfo(np.float32).min, np.float32))


Floats = npt.NDArray[np.floating]


def fold_side_maps(model: ov.Model) -> None:
    """Compute each side map where the decoder's attention reads its features, in place."""
    features, r_weights, r_bias, b = AnyInput(), _constant(), _constant(), _constant()
    first, second = _constant(), _constant()
    joint = _convolve(features, r_weights, r_bias)
    gate = pattern("Sigmoid", _slice(joint, first))
    refined = pattern("Add", pattern("Multiply", gate, _slice(joint, second)), b)
    maps, w, c = pattern("Concat"), _constant(), _constant()

    def fold(match: Matcher) -> bool:
        side = match.get_pattern_value_map()
        *others, last = side[maps].get_node().input_values()
        attention = Matcher(refined, "RefinedMap")
        if not others or not attention.match(last):
            return False
        found = attention.get_pattern_value_map()
        if [_data(found[start]).item() for start in (first, second)] != [0, 1]:
            return False
        r = _data(found[r_weights])[:, :, 0, 0]  # (1 + C', C)
        bias = _data(found[r_bias])  # (1 + C',)
        w_e, w_r = np.split(_data(side[w])[:, :, 0, 0], [1 - len(r)], axis=1)
        joined = np.vstack([r[:1], w_r @ r[1:]]), np.append(bias[:1], w_r @ bias[1:])
        rest = w_e, _data(side[c]) + w_r @ _data(found[b]).ravel()
        enhanced = others[0] if len(others) == 1 else ops.concat(others, 1).output(0)
        parts = ops.variadic_split(_planes(found[features], *joined), 1, [1, len(w_e)])
        opened = ops.sigmoid(parts.output(0))
        total = ops.add(ops.multiply(opened, parts.output(1)), _planes(enhanced, *rest))
        for old, new in ((found[gate], opened), (match.get_match_value(), total)):
            shape = ops.constant(list(old.get_shape()))
            ov.utils.replace_node(old.get_node(), ops.reshape(new, shape, False))
        return True

    run_pass(model, "FoldSideMap", _convolve(maps, w, c), fold)


def _planes(x: ov.Output, weights: Floats, bias: Floats) -> ov.Node:
    """Return a 1x1 convolution of (N, C, H, W) by weights (C', C) as (N, C', H * W)."""
    kind = x.get_element_type().to_dtype()
    kernel = ops.constant(weights[:, :, None, None].astype(kind))
    nothing, one = [0, 0], [1, 1]
    convolved = ops.convolution(x, kernel, one, nothing, nothing, one)
    added = ops.add(convolved, ops.constant(bias.reshape(1, -1, 1, 1).astype(kind)))
    return ops.reshape(added, ops.constant([x.get_shape()[0], len(weights), -1]), False)


def _convolve(x: AnyInput | WrapType, weights: WrapType, bias: WrapType) -> WrapType:
    return pattern("Add", pattern("Convolution", x, weights), pattern("Reshape", bias, AnyInput()))


def _slice(x: WrapType, start: WrapType) -> WrapType:
    return pattern("Slice", x, start, AnyInput(), AnyInput(), AnyInput())


def _constant() -> WrapType:
    return pattern("Constant")


def _data(value: ov.Output) -> Floats:
    return np.asarray(value.get_node().get_data(), np.float32)
