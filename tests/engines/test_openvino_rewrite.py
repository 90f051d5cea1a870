"""What OpenVINO is given in place of a bundle's nodes. `test_cpu_engines` holds both to PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino as ov
import pytest
import torch
from openvino import opset13 as ops

from scnet_edge.engines.openvino.cpu import compile_graph
from scnet_edge.engines.openvino.graph_passes import (
    fold_side_maps,
    hold_quantisation_below_concat,
    quantise_interleaved,
)
from scnet_edge.models.chain import Chain
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.onnx_export.trace import trace_chain

FP32 = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


def kinds(model: ov.Model) -> list[str]:
    return [node.get_type_name() for node in model.get_ordered_ops()]


def outputs(model: ov.Model, *inputs: np.ndarray) -> list[np.ndarray]:
    compiled = ov.Core().compile_model(model, "CPU", FP32)
    return [np.array(value) for value in compiled(list(inputs)).values()]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_each_instance_norm_is_one_layer(precision: str, cases: Callable[[str], Any]) -> None:
    path = cases("instance").graphs[precision]
    means = sum(node.op_type == "ReduceMean" for node in onnx.load(path).graph.node)
    compiled = compile_graph(path, threads=1, cache=None)
    layers = [
        node.get_rt_info()["layerType"] for node in compiled.get_runtime_model().get_ordered_ops()
    ]
    assert means == 2 * layers.count("MVN") > 0
    assert "Reduce" not in layers


@pytest.mark.parametrize("network", ["batch", "instance"])
def test_a_frame_stays_interleaved_until_it_is_quantised(
    network: str, cases: Callable[[str], Any]
) -> None:
    """To the bit: every number is quantised as before, the first layer's channels are reversed."""
    case = cases(network)
    before, after = (ov.Core().read_model(case.graphs["int8"]) for _ in range(2))
    quantise_interleaved(after)
    assert kinds(before).count("Slice") == kinds(after).count("Slice") + 1
    (frame,) = after.get_parameters()
    node, path = frame, []
    while node.get_type_name() != "FakeQuantize":
        (user,) = node.output(0).get_target_inputs()
        node = user.get_node()
        path.append(node.get_type_name())
    assert path == ["Convert", "Divide", "Subtract", "Transpose", "FakeQuantize"]
    for old, new in zip(outputs(before, case.frame), outputs(after, case.frame), strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_frame_beside_a_prior_is_left_alone(precision: str, cases: Callable[[str], Any]) -> None:
    model = ov.Core().read_model(cases("chain").graphs[precision])
    before = kinds(model)
    quantise_interleaved(model)
    assert kinds(model) == before


@pytest.mark.parametrize("network", ["batch", "instance", "chain"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_each_side_map_is_two_convolutions_of_planes(
    precision: str, network: str, cases: Callable[[str], Any]
) -> None:
    case = cases(network)
    before, after = (ov.Core().read_model(case.graphs[precision]) for _ in range(2))
    for model in (before, after):
        hold_quantisation_below_concat(model)
    fold_side_maps(after)
    assert kinds(after).count("VariadicSplit") == 3  # the levels of the net
    assert kinds(after).count("Slice") == kinds(before).count("Slice") - 6
    for old, new in zip(outputs(before, case.frame), outputs(after, case.frame), strict=True):
        np.testing.assert_allclose(new, old, rtol=0, atol=1e-5)


def test_side_maps_of_the_edge_family(tmp_path: Path) -> None:
    """Four refined maps a scale, and four pixels a side logit."""
    torch.manual_seed(0)
    config = SCNetConfig(
        levels=3, width=1 / 16, norm="batch", edges=False, refined_channels=4, stem="half",
        decoder="skip",
    )  # fmt: skip
    chain = Chain(SCNet(config), None, frame_hw=(64, 96), size_hw=(64, 96)).eval()
    for parameter in chain.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    frame = torch.randint(0, 256, (1, 64, 96, 3), dtype=torch.uint8)
    with torch.inference_mode():
        (expected,) = chain(frame)
    onnx.save(trace_chain(exportable(chain)), tmp_path / "edge.onnx")
    model = ov.Core().read_model(tmp_path / "edge.onnx")
    fold_side_maps(model)
    assert kinds(model).count("VariadicSplit") == 3
    assert float(expected.max() - expected.min()) > 0.1
    np.testing.assert_allclose(outputs(model, frame.numpy())[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("gate_at", [0, 2])
def test_a_gate_elsewhere_is_not_taken_for_one(gate_at: int) -> None:
    rng = np.random.default_rng(0)

    def values(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    def convolved(x: ov.Node, channels: int) -> ov.Node:
        kernel = values(channels, x.output(0).shape[1], 1, 1)
        added = ops.convolution(x, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
        return ops.add(added, ops.reshape(values(channels), [1, channels, 1, 1], False))

    def channels(x: ov.Node, start: int, stop: int) -> ov.Node:
        return ops.slice(x, *(np.array([i], np.int64) for i in (start, stop, 1, 1)))

    features = ops.parameter([1, 5, 6, 8], np.float32)
    joint = convolved(features, 3)
    gate = ops.sigmoid(channels(joint, gate_at, gate_at + 1))
    refined = ops.multiply(gate, channels(joint, 1 - gate_at // 2, 3 - gate_at // 2))
    offset = ops.add(refined, values(1, 2, 1, 1))
    side = convolved(ops.concat([ops.relu(features), offset], 1), 4)
    model = ov.Model([side], [features], "sides")
    x = values(1, 5, 6, 8)
    (before,) = outputs(model, x)
    fold_side_maps(model)
    assert ("VariadicSplit" in kinds(model)) == (gate_at == 0)
    np.testing.assert_allclose(outputs(model, x)[0], before, rtol=0, atol=1e-5)


def test_an_engine_of_fewer_threads_is_pinned_to_no_core(cases: Callable[[str], Any]) -> None:
    """OpenVINO would pin it to the first cores, and so all processes to the same ones."""
    compiled = compile_graph(cases("batch").graphs["fp32"], threads=1, cache=None)
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
