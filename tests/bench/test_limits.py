"""The convolutions that measure the limits are what they claim to be."""

from __future__ import annotations

from pathlib import Path

import onnx
import openvino as ov
import pytest
from onnx import TensorProto, helper

from scnet_edge.bench import limits, profile
from scnet_edge.bench.bundles import gflop
from scnet_edge.bench.limits import DEPTH, HINTS, _chain, measure_limits
from scnet_edge.bench.profile import gflop_of_convolutions
from scnet_edge.bench.schema import Case, Schedule
from scnet_edge.models.cards import find_card


def text(value: object) -> str:
    """Return a string that OpenVINO may have wrapped."""
    return str(getattr(value, "value", value))


@pytest.mark.parametrize(("quantised", "type_name"), [(False, "f32"), (True, "i8")])
def test_the_chain_runs_in_its_arithmetic(quantised: bool, type_name: str) -> None:
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "1"}
    model = ov.Core().compile_model(_chain(16, (16, 16), quantised=quantised), "CPU", config)
    layers = [n.get_rt_info() for n in model.get_runtime_model().get_ordered_ops()]
    kinds = [text(i["primitiveType"]) for i in layers if text(i["layerType"]) == "Convolution"]
    assert len(kinds) == DEPTH
    assert all(kind.lower().endswith(type_name) for kind in kinds)


def test_limits_are_rates_of_every_shape_and_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = ((8, 16, 24), (16, 8, 12))
    monkeypatch.setattr(limits, "SHAPES", shapes)
    monkeypatch.setattr(limits, "SECONDS", 0.01)
    monkeypatch.setattr(limits, "COPY_BYTES", 2**20)
    found = measure_limits(threads=1)
    kinds = [(r.arithmetic, r.channels, r.size_hw) for r in found.rates]
    assert kinds == [(a, (c, c), (h, w)) for c, h, w in shapes for a in HINTS]
    assert all(0 < r.gops < 1e6 for r in found.rates)
    assert found.best_gops("int8") == max(r.gops for r in found.rates if r.arithmetic == "int8")
    assert found.best_gops("fp16") is None
    assert 0 < found.bandwidth_gb_s < 1e4


@pytest.mark.parametrize("reader", profile.READERS)
def test_operations_of_a_graph_are_counted_by_hand(
    tmp_path: Path, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By OpenVINO, and by onnx where OpenVINO is not installed."""
    monkeypatch.setattr(profile, "find_spec", lambda name: name == reader)
    value = helper.make_tensor_value_info
    weights = [
        helper.make_tensor("full", TensorProto.FLOAT, (8, 4, 3, 3), [0.0] * 288),
        helper.make_tensor("deep", TensorProto.FLOAT, (8, 1, 3, 3), [0.0] * 72),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "full"], ["y"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["y", "deep"], ["z"], name="second", pads=[1, 1, 1, 1], group=8),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [value("x", TensorProto.FLOAT, (1, 4, 10, 20))],
        [value("z", TensorProto.FLOAT, (1, 8, 10, 20))],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "two.onnx")
    found = gflop_of_convolutions(tmp_path / "two.onnx")
    assert sorted(found.values()) == pytest.approx([2e-9 * 200 * 8 * 9, 2e-9 * 200 * 8 * 4 * 9])


@pytest.mark.parametrize(("schedule", "share_of_hed"), [("every", 1), ("hed/4", 1 / 4)])
def test_operations_are_those_of_the_frames_mean(schedule: Schedule, share_of_hed: float) -> None:
    case = Case(
        model="scnet", precision="int8", engine="openvino", size_hw=(384, 544), schedule=schedule
    )
    of_scnet, of_hed = (2 * find_card(name).gmac for name in ("scnet", "hed"))
    found = gflop(case, Path("nowhere"))
    assert found == pytest.approx(of_scnet + share_of_hed * of_hed, abs=0.01)
