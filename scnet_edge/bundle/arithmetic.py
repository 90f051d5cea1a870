"""On the robot: whether BF16 pays for the layers that an INT8 graph leaves in floating point.

That is the CPU's to say: one gains by half the bytes, another loses more by the conversions. So
both are run here, in turns, and BF16 must hold the golden frames as FP32 does.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from statistics import median

from scnet_edge.backends.base import Array, Backend
from scnet_edge.backends.slots import Arithmetic, Rest
from scnet_edge.backends.worker import Opening
from scnet_edge.bundle.compile import opened
from scnet_edge.bundle.device import graph_for
from scnet_edge.bundle.manifest import FUSED, GOLDEN, Manifest
from scnet_edge.bundle.verify import Golden, read_golden, require_parts
from scnet_edge.errors import BundleError

WARM_UP, MIN_ROUNDS, TIMED_S = 3, 5, 2.0
WORTH = 0.97  # of the time: less of a gain is noise


def choose_rest(bundle: Path, manifest: Manifest, engine: str, threads: int | None) -> Rest | None:
    """Return what computes the rest of an INT8 graph quickest here; None where there is no choice.

    Raises:
        EngineError: the engine cannot open the graph.
    """
    if engine != "openvino" or manifest.precision != "int8":
        return None
    from scnet_edge.backends import openvino_cpu

    if not openvino_cpu.has_bf16():
        return None
    golden = read_golden(bundle / GOLDEN)

    def open_part(part: str, arithmetic: Arithmetic) -> Backend:
        graph = graph_for(bundle, manifest, engine, part)
        return opened(
            Opening(engine=engine, graph=str(graph), threads=threads, arithmetic=arithmetic)
        )

    with closing(open_part(FUSED, "bf16")) as bf16:
        try:
            require_parts(bf16, lambda part: open_part(part, "bf16"), manifest, golden)
        except BundleError:
            return Rest(arithmetic="fp32", bf16_time=None)
        with closing(open_part(FUSED, "fp32")) as fp32:
            ratio = time_ratio(bf16, fp32, golden)
    return Rest(arithmetic="bf16" if ratio < WORTH else "fp32", bf16_time=round(ratio, 3))


def time_ratio(one: Backend, other: Backend, golden: Golden) -> float:
    """Return the time of one backend over that of another, the median of turns."""
    ratios: list[float] = []
    start_s = time.perf_counter()
    while len(ratios) < WARM_UP + MIN_ROUNDS or time.perf_counter() - start_s < TIMED_S:
        feeds = {"frame": golden.frames[len(ratios) % len(golden.frames)][None]}
        ratios.append(_seconds(one, feeds) / _seconds(other, feeds))
    return median(ratios[WARM_UP:])


def _seconds(backend: Backend, feeds: dict[str, Array]) -> float:
    start_s = time.perf_counter()
    backend.run(feeds)
    return time.perf_counter() - start_s
