"""Maps of 12 or 24 channels made 16 or 32 wide, with zeros, while OpenVINO loads a graph.

A CPU computes 16 channels of interleaved maps at a time. Of 12 it computes the rest one by one, in
a norm or a product that takes longer than 16 do. The added channels are 0 from the weights on, so
the result is the same to the bit. Only what follows convolutions in INT8 is made wider: OpenVINO
widens FP32 maps by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal, TypeAlias

import numpy as np
import openvino as ov
from openvino import opset13 as ops

LANES = 16
MOST = 4 / 3  # times as wide; more would cost the convolutions what it saves
SAME = frozenset({"Convert", "FakeQuantize", "MaxPool", "Maximum", "Relu"})  # channel by channel
TAKES_SIZES = frozenset({"Interpolate", "MVN"})  # beside the maps: sizes or axes
ARITHMETIC = frozenset({"Add", "Multiply", "Subtract"})

Value: TypeAlias = tuple[str, int]  # node and output


@dataclass(slots=True)
class _Traced:
    """Which values become wider, by the convolutions they come from, and which of these cannot."""

    widened: dict[Value, frozenset[str]] = field(default_factory=dict)
    stuck: set[str] = field(default_factory=set)


def widen_maps(model: ov.Model) -> None:
    """Make maps wider where every layer that reads them can take it, in place."""
    blocked: set[str] = set()
    while (traced := _trace(model, blocked)).stuck:
        blocked |= traced.stuck
    for node in model.get_ordered_ops():
        _widen(node, traced.widened)
    model.validate_nodes_and_infer_types()


def _trace(model: ov.Model, blocked: set[str]) -> _Traced:
    traced = _Traced()
    for node in model.get_ordered_ops():
        name, kind = node.get_friendly_name(), node.get_type_name()
        before = [traced.widened.get(_key(value)) for value in node.input_values()]
        of = frozenset[str]().union(*(names for names in before if names))
        if kind == "Convolution":
            traced.stuck |= before[1] or set()
            if name not in blocked and _gains(node):
                traced.widened[_key(node.output(0))] = frozenset({name})
        elif of and (kind in TAKES_SIZES or (kind in SAME | ARITHMETIC and _fits(node, before))):
            traced.widened[_key(node.output(0))] = of
        else:
            traced.stuck |= of
    return traced


def _gains(convolution: ov.Node) -> bool:
    channels = int(convolution.output(0).get_shape()[1])
    in_int8 = convolution.input_value(1).get_node().get_type_name() == "Multiply"
    return bool(in_int8 and channels < _wider(channels) <= MOST * channels)


def _fits(node: ov.Node, before: list[frozenset[str] | None]) -> bool:
    """Return whether what a layer takes beside its maps can become as wide, or needs not."""
    rank = len(node.output(0).get_shape())
    for value, names in zip(node.input_values(), before, strict=True):
        shape = list(value.get_shape())
        one_channel = prod(shape) == 1 or (len(shape) == rank and shape[1] == 1)
        padded = len(shape) == rank and _is_constant(value) and node.get_type_name() in ARITHMETIC
        if not (names or one_channel or padded):
            return False
    return True


def _widen(node: ov.Node, widened: dict[Value, frozenset[str]]) -> None:
    """Make the constants of a node as wide as the maps that it reads and writes."""
    kind, inputs = node.get_type_name(), node.inputs()
    before = [_key(at.get_source_output()) in widened for at in inputs]
    if kind == "Convolution":
        if before[0]:
            _pad(inputs[1], 1, inputs[0].get_shape()[1], "constant")
        if _key(node.output(0)) in widened:
            _pad(inputs[1], 0, node.output(0).get_shape()[1], "constant")
    elif kind == "Interpolate" and before[0]:
        _pad_size(inputs[1], node.output(0).get_shape())
    elif kind in ARITHMETIC and any(before):
        for at in inputs:
            if _is_constant(at.get_source_output()):
                _pad(at, 1, node.output(0).get_shape()[1], "constant")


def _pad(at: ov.Input, axis: int, channels: int, how: Literal["constant", "edge"]) -> None:
    """Make what an input reads wider along an axis, if it has so many channels there.

    What is weighed or added is padded with 0; scales and ranges beside it with the last of them.
    """
    node = at.get_source_output().get_node()
    if node.get_type_name() == "Constant":
        data = np.asarray(node.get_data())
        if data.ndim > axis and data.shape[axis] == channels:
            added = [(0, 0)] * data.ndim
            added[axis] = (0, _wider(channels) - channels)
            padded = np.ascontiguousarray(np.pad(data, added, mode=how))
            at.replace_source_output(ops.constant(padded, node.get_element_type()).output(0))
        return
    first, *others = node.inputs()
    if node.get_type_name() == "Reshape":
        if _pad_size(others[0], node.output(0).get_shape(), axis, channels):
            _pad(first, 0, channels, how)
        return
    _pad(first, axis, channels, how)
    for other in others:
        _pad(other, axis, channels, "edge")


def _pad_size(
    at: ov.Input, shape: Sequence[int], axis: int = 1, channels: int | None = None
) -> bool:
    """Make a size, given as a constant of all axes, wider; return whether it was as expected."""
    size = np.array(at.get_source_output().get_node().get_data())
    if len(size) != len(shape) or size[axis] != (channels or shape[axis]):
        return False
    size[axis] = _wider(int(size[axis]))
    at.replace_source_output(ops.constant(size).output(0))
    return True


def _wider(channels: int) -> int:
    return -(-channels // LANES) * LANES


def _is_constant(value: ov.Output) -> bool:
    node = value.get_node()
    inputs = node.input_values()
    return node.get_type_name() == "Constant" or (bool(inputs) and all(map(_is_constant, inputs)))


def _key(value: ov.Output) -> Value:
    return value.get_node().get_name(), value.get_index()
