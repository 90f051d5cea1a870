"""Where an engine's time goes, by its own counters."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import openvino as ov

from scnet_edge.bench.operations import FOLDED_BIAS, gflop_of_convolutions
from scnet_edge.bench.schema import Case, EngineProfile, LayerTime
from scnet_edge.bundle.manifest import FUSED
from scnet_edge.engines.openvino.cpu import compile_graph

WARM_UP, TIMED, WORST = 2, 5, 10


def profile_openvino(case: Case, bundle: Path, threads: int | None) -> EngineProfile:
    """Return the layers' times, as OpenVINO fused them, in the quickest of some frames."""
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
