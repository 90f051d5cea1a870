"""Print milliseconds per frame of bundles and of PyTorch, interleaved in one run against drift.

scnet-edge build --int8 --out demo/small-int8
scnet-edge build --fp32 --out demo/small-fp32
python benchmarks/latency.py demo/small-int8 demo/small-fp32
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter

import numpy as np

from scnet_edge import Pipeline
from scnet_edge.backends.torch_eager import TorchBackend
from scnet_edge.bundle.recipe import Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.models.cards import find_card
from scnet_edge.simulation.clip import render_clip
from scnet_edge.types import Frame

WARM_UP, TIMED = 3, 20


def main(bundles: list[str]) -> None:
    """Time every bundle on the default engine, and its model in PyTorch."""
    runs: dict[str, Callable[[Frame], object]] = {}
    for bundle in bundles:
        pipeline = Pipeline.open(bundle)
        manifest = pipeline.manifest
        runs[f"{manifest.model.name} {manifest.precision} {pipeline.engine}"] = pipeline
        runs.setdefault(f"{manifest.model.name} fp32 torch", reference(pipeline))
    frames = [frame for frame, _ in render_clip(4, manifest.input.frame_hw, seed=9)]
    times: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(WARM_UP + TIMED):
        for name, run in runs.items():
            start_s = perf_counter()
            run(frames[i % len(frames)])
            if i >= WARM_UP:
                times[name].append(1e3 * (perf_counter() - start_s))
    for name, values_ms in times.items():
        p50, p95 = np.percentile(values_ms, (50, 95))
        print(f"{name:40} p50 {p50:8.1f} ms  p95 {p95:8.1f} ms")


def reference(pipeline: Pipeline) -> Callable[[Frame], object]:
    """Return the eager PyTorch chain of a bundle's model."""
    size_hw = pipeline.manifest.input.size_hw
    chain = open_chain(
        find_card(pipeline.manifest.model.name), Recipe(precision="fp32", size_hw=size_hw)
    )
    backend = TorchBackend(chain)
    return lambda frame: backend.run({"frame": frame[None]})


if __name__ == "__main__":
    main(sys.argv[1:])
