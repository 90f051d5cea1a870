"""Where an engine's time goes, by its own counters, and what a graph's convolutions have to do."""

from __future__ import annotations

from collections import defaultdict
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scnet_edge.bench.schema import Case, EngineProfile, LayerTime
from scnet_edge.bundle.manifest import FUSED

if TYPE_CHECKING:
    import openvino as ov

FOLDED_BIAS = "/WithoutBiases"  # OpenVINO's name for a convolution whose bias became its own
READERS = ("openvino", "onnx")
WARM_UP, TIMED, WORST = 2, 5, 10


def can_count() -> bool:
    """Return whether a graph can be read here at all."""
    return any(find_spec(reader) for reader in READERS)


def gflop_of_convolutions(graph: Path) -> dict[str, float]:
    """Return 1e9 operations by convolution, two a multiply-accumulate, of a static ONNX graph."""
    macs = _macs_by_openvino if find_spec("openvino") else _macs_by_onnx
    return {name: 2e-9 * count for name, count in macs(graph).items()}


def _macs_by_openvino(graph: Path) -> dict[str, int]:
    import openvino as ov

    found = {}
    for node in ov.Core().read_model(graph).get_ordered_ops():
        if node.get_type_name() in ("Convolution", "GroupConvolution"):
            weight = list(node.input(1).get_shape())  # (O, I, k, k), grouped (G, O, I, k, k)
            name = node.get_friendly_name().removesuffix(FOLDED_BIAS)
            found[name] = prod(node.output(0).get_shape()) * prod(weight[-3:])
    return found


def _macs_by_onnx(graph: Path) -> dict[str, int]:
    import onnx

    read = onnx.shape_inference.infer_shapes(onnx.load(graph), data_prop=True).graph
    shapes = {weight.name: list(weight.dims) for weight in read.initializer}
    for value in (*read.value_info, *read.output):
        shapes[value.name] = [d.dim_value for d in value.type.tensor_type.shape.dim]
    return {
        node.name: prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][-3:])
        for node in read.node
        if node.op_type == "Conv"
    }


def profile_openvino(case: Case, bundle: Path, threads: int | None) -> EngineProfile:
    """Return the layers' times, as OpenVINO fused them, in the quickest of some frames."""
    from scnet_edge.engines.openvino.cpu import compile_graph

    bf16 = case.precision == "bf16" or case.mode == "bf16-rest"
    model = compile_graph(
        bundle / FUSED,
        threads=threads,
        cache=None,
        arithmetic="bf16" if bf16 else "fp32",
        counters=True,
    )
    request = model.create_infer_request()
    shape = tuple(model.inputs[0].get_shape())
    frame = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    frames = []
    for _ in range(WARM_UP + TIMED):
        request.infer({0: frame})
        frames.append(_times(request))
    quickest = min(frames[WARM_UP:], key=lambda times: sum(times.values()))
    return _profile(quickest, gflop_of_convolutions(bundle / FUSED))


def _times(request: ov.InferRequest) -> dict[tuple[str, str], float]:
    """Return the milliseconds of each layer that ran in the last frame, by name and kind."""
    return {
        (layer.node_name, f"{layer.node_type} {layer.exec_type}"): ms
        for layer in request.get_profiling_info()
        if (ms := 1e3 * layer.real_time.total_seconds())
    }


def _profile(times: dict[tuple[str, str], float], gflop: dict[str, float]) -> EngineProfile:
    layers = [
        LayerTime(
            name=name.removesuffix(FOLDED_BIAS),
            kind=kind,
            ms=round(ms, 4),
            gflop=gflop.get(name.removesuffix(FOLDED_BIAS)),
        )
        for (name, kind), ms in times.items()
    ]
    layers.sort(key=lambda layer: -layer.ms)
    by_kind: dict[str, float] = defaultdict(float)
    for layer in layers:
        by_kind[layer.kind] += layer.ms
    return EngineProfile(
        total_ms=round(sum(layer.ms for layer in layers), 3),
        by_kind_ms={k: round(v, 3) for k, v in sorted(by_kind.items(), key=lambda item: -item[1])},
        worst=tuple(layers[:WORST]),
    )
