"""SCNet's side maps in OpenVINO: the decoder's refined map is never written, and planes stay whole.

A side map is Eq. 2's 1x1 convolution over the enhanced map E and the refined map g * (R F + r) + b
of the decoder (Eq. 1), whose gate g is one number a pixel. With the weights W parted alike it is

    W [E; g * (R F + r) + b] + c  =  W_E E + g * (W_R R F + W_R r) + (c + W_R b)

OpenVINO keeps the few channels of such maps interleaved, slices and concatenates them by reference
code and multiplies them in short vectors. As (N, C, H * W) they are planes, and slices are views.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops
from openvino.passes import AnyInput, Matcher, WrapType

from scnet_edge.engines.openvino.graph_passes import pattern, run_pass

Floats = npt.NDArray[np.floating]


def fold_side_maps(model: ov.Model) -> None:
    """Compute each side map where the decoder's attention reads its features, in place."""
    features, r_weights, r_bias, b = AnyInput(), _constant(), _constant(), _constant()
    first, second = _constant(), _constant()
    joint = _convolved(features, r_weights, r_bias)
    gate = pattern("Sigmoid", _sliced(joint, first))
    refined = pattern("Add", pattern("Multiply", gate, _sliced(joint, second)), b)
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

    run_pass(model, "FoldSideMap", _convolved(maps, w, c), fold)


def _planes(x: ov.Output, weights: Floats, bias: Floats) -> ov.Node:
    """Return a 1x1 convolution of (N, C, H, W) by weights (C', C) as (N, C', H * W)."""
    kind = x.get_element_type().to_dtype()
    kernel = ops.constant(weights[:, :, None, None].astype(kind))
    nothing, one = [0, 0], [1, 1]
    convolved = ops.convolution(x, kernel, one, nothing, nothing, one)
    added = ops.add(convolved, ops.constant(bias.reshape(1, -1, 1, 1).astype(kind)))
    return ops.reshape(added, ops.constant([x.get_shape()[0], len(weights), -1]), False)


def _convolved(x: AnyInput | WrapType, weights: WrapType, bias: WrapType) -> WrapType:
    return pattern("Add", pattern("Convolution", x, weights), pattern("Reshape", bias, AnyInput()))


def _sliced(x: WrapType, start: WrapType) -> WrapType:
    return pattern("Slice", x, start, AnyInput(), AnyInput(), AnyInput())


def _constant() -> WrapType:
    return pattern("Constant")


def _data(value: ov.Output) -> Floats:
    return np.asarray(value.get_node().get_data(), np.float32)
