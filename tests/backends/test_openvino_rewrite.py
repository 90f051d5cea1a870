"""What OpenVINO is given in place of a bundle's nodes. `test_cpu_engines` holds both to PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import pytest

from scnet_edge.backends.openvino_cpu import compile_graph


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_each_instance_norm_is_one_layer(precision: str, cases: Callable[[str], Any]) -> None:
    path = cases("instance").graphs[precision]
    means = sum(node.op_type == "ReduceMean" for node in onnx.load(path).graph.node)
    compiled = compile_graph(path, threads=1, cache=None)
    kinds = [
        node.get_rt_info()["layerType"] for node in compiled.get_runtime_model().get_ordered_ops()
    ]
    assert means == 2 * kinds.count("MVN") > 0
    assert "Reduce" not in kinds
