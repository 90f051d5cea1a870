"""From graphs to a folder with their plans, on the GPU that will run them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from scnet_edge.engines.compiled import (
    TIMINGS,
    CompiledEngine,
    layers_name,
    mend,
    plan_name,
    read_code,
    read_compiled,
)
from scnet_edge.engines.tensorrt.build_progress import BuildProgress
from scnet_edge.engines.tensorrt.builder import BuildSettings, Built, build_plan, inspect_plan
from scnet_edge.engines.tensorrt.cuda import open_device
from scnet_edge.engines.tensorrt.execution import gpu_identity
from scnet_edge.engines.tensorrt.library import require_kernels
from scnet_edge.engines.tensorrt.plan_layers import PlanSummary, layers_from_json, summarise
from scnet_edge.errors import EngineError
from scnet_edge.files import write_file
from scnet_edge.folders import file_sha256

log = logging.getLogger(__name__)


def compile_plans(
    folder: Path,
    graphs: Sequence[Path],
    *,
    threads: int | None,
    measured: Path | None,
    progress: Callable[[BuildProgress], bool] | None,
) -> tuple[dict[str, Built], dict[str, str]]:
    """Write plans and timing cache into a folder; return the builds and what they depend on.

    No plan is loaded here: its first load is for a process that may crash.

    Args:
        folder: An empty folder.
        graphs: ONNX files whose hashes the caller has checked.
        threads: CPU threads for the builder.
        measured: The folder of an earlier build, whose timing cache shortens this one.
        progress: Told how far the builder is; False cancels.

    Raises:
        EngineError: no CUDA GPU, none that this TensorRT supports, or it cannot build a plan.
        GraphError: TensorRT's parser refuses a node.
    """
    made: dict[str, Built] = {}
    timings = _timings(measured)
    device = open_device()
    try:
        found = gpu_identity(device)
        require_kernels(device.capability)
        for graph in graphs:
            settings = BuildSettings(
                threads=threads,
                free_bytes=device.free_bytes(),
                timing_cache=timings,
                progress=progress,
            )
            made[graph.name] = build_plan(graph, settings)
            write_file(folder / plan_name(graph), made[graph.name].plan)
            timings = made[graph.name].timing_cache or timings
    finally:
        device.close()
    if timings:
        write_file(folder / TIMINGS, timings)
    return made, found


def write_layers(
    folder: Path, record: CompiledEngine, graph: Path, convolutions: Collection[str]
) -> PlanSummary | None:
    """Write the inspector's account of a plan that another process has loaded before.

    The plan runs whether there is an account of it or not.

    Returns:
        What became of the named convolutions; None, which is logged, where there is no account or
        it is no JSON.

    Raises:
        EngineError: the plan was altered since.
    """
    plan = read_code(folder, record, plan_name(graph))
    device = open_device()
    try:
        report = inspect_plan(plan, mend(folder))
    except EngineError as e:
        log.warning("%s: no account of its kernels: %s", folder / plan_name(graph), e)
        return None
    finally:
        device.close()
    write_file(folder / layers_name(graph), report.encode())
    try:
        return summarise(layers_from_json(report), convolutions)
    except ValueError as e:
        log.warning("%s: expected the inspector's JSON, found %s", folder / layers_name(graph), e)
        return None


def _timings(folder: Path | None) -> bytes:
    """Return what an earlier build measured; nothing where that build cannot be relied on."""
    if folder is None or not (folder / TIMINGS).is_file():
        return b""
    try:
        expected = read_compiled(folder).files.get(TIMINGS)
    except EngineError as e:
        log.info("the timing cache of the build before is left out: %s", e)
        return b""
    intact = expected == file_sha256(folder / TIMINGS)
    return (folder / TIMINGS).read_bytes() if intact else b""
