"""Maps made wider beside the same graph as it was: the numbers are the same to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from scnet_edge.engines.openvino.cpu import compile_graph
from scnet_edge.engines.openvino.graph_passes import join_instance_norms
from scnet_edge.engines.openvino.wider_maps import widen_maps

FP32 = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


def outputs(model: ov.Model, *inputs: np.ndarray) -> list[np.ndarray]:
    compiled = ov.Core().compile_model(model, "CPU", FP32)
    return [np.array(value) for value in compiled(list(inputs)).values()]


def widths(model: ov.Model) -> list[int]:
    """Return the channels that each 3x3 convolution writes."""
    return [
        node.output(0).get_shape()[1]
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Convolution" and node.input_value(1).get_shape()[-1] == 3
    ]


def test_a_net_of_odd_widths_computes_the_same_in_wider_maps(cases: Callable[[str], Any]) -> None:
    case = cases("odd")
    before, after = (ov.Core().read_model(case.graphs["int8"]) for _ in range(2))
    for model in (before, after):
        join_instance_norms(model)
    widen_maps(after)
    assert {12, 24} <= set(widths(before)) <= {12, 24, 48}
    assert set(widths(after)) == {16, 32, 48}
    for old, new in zip(outputs(before, case.frame), outputs(after, case.frame), strict=True):
        assert np.ptp(old) > 0.1
        np.testing.assert_array_equal(new, old)


def test_a_graph_is_compiled_with_wider_maps(cases: Callable[[str], Any]) -> None:
    compiled = compile_graph(cases("odd").graphs["int8"], threads=1, cache=None)
    assert set(widths_at_run_time(compiled)) >= {16, 32, 48}
    assert not {12, 24} & set(widths_at_run_time(compiled))


def widths_at_run_time(compiled: ov.CompiledModel) -> list[int]:
    return [
        node.output(0).get_shape()[1]
        for node in compiled.get_runtime_model().get_ordered_ops()
        if node.get_rt_info()["layerType"] == "MVN"
    ]


@pytest.mark.parametrize(("network", "precision"), [("odd", "fp32"), ("instance", "int8")])
def test_what_gains_nothing_stays_as_it_is(
    network: str, precision: str, cases: Callable[[str], Any]
) -> None:
    model = ov.Core().read_model(cases(network).graphs[precision])
    before = [node.get_name() for node in model.get_ordered_ops()]
    widen_maps(model)
    assert [node.get_name() for node in model.get_ordered_ops()] == before


def convolved(x: ov.Node, channels: int, seed: int) -> ov.Node:
    """Return a convolution in INT8, as a Q/DQ graph has it, with a scale for each channel."""
    rng = np.random.default_rng(seed)
    kernel = rng.integers(-127, 128, (channels, x.output(0).shape[1], 3, 3)).astype(np.int8)
    scale = rng.uniform(0.001, 0.01, (channels, 1, 1, 1)).astype(np.float32)
    weights = ops.multiply(ops.convert(kernel, np.float32), scale)
    return ops.convolution(x, weights, [1, 1], [1, 1], [1, 1], [1, 1])


def bias(channels: int) -> ov.Node:
    return ops.constant(np.arange(channels, dtype=np.float32).reshape(1, channels, 1, 1))


@pytest.mark.parametrize("ending", ["result", "reshape", "narrow"])
def test_a_map_that_something_else_reads_stays_as_it_is(ending: str) -> None:
    """The first convolution is not seen from there, so its map does become wider."""
    frame = ops.parameter([1, 3, 20, 24], np.float32)
    inner = ops.relu(ops.add(convolved(frame, 24, 0), bias(24)))
    last = ops.relu(convolved(inner, 12, 1))
    match ending:
        case "reshape":
            last = ops.reshape(last, [1, 12, 480], False)
        case "narrow":
            last = ops.add(last, ops.concat([frame] * 4, 1))  # that come from no convolution
    model = ov.Model([last], [frame])
    x = np.random.default_rng(2).normal(size=(1, 3, 20, 24)).astype(np.float32)
    (before,) = outputs(model, x)
    widen_maps(model)
    assert widths(model)[:2] == [32, 12]
    np.testing.assert_allclose(outputs(model, x)[0], before, rtol=1e-6, atol=1e-5)
