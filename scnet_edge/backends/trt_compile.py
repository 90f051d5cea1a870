"""From a graph to a folder with a plan, on the GPU that will run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scnet_edge.backends.cuda import open_device
from scnet_edge.backends.slots import LAYERS, PLAN, TIMINGS, read_slot
from scnet_edge.backends.trt import gpu_identity
from scnet_edge.backends.trt_build import BuildSettings, Built, build_plan, inspect_plan
from scnet_edge.backends.trt_progress import Progress
from scnet_edge.bundle.manifest import file_sha256


def compile_plan(
    folder: Path,
    graph: Path,
    *,
    threads: int | None,
    measured: Path | None,
    progress: Callable[[Progress], bool] | None,
) -> tuple[Built, dict[str, str]]:
    """Write plan and timing cache into a folder; return the build and what it depends on.

    The plan is not loaded here: its first load is for a process that may crash.

    Args:
        folder: An empty folder.
        graph: An ONNX file whose hash the caller has checked.
        threads: CPU threads for the builder.
        measured: The folder of an earlier build, whose timing cache shortens this one.
        progress: Told how far the builder is; False cancels.

    Raises:
        EngineError: no CUDA GPU, or TensorRT cannot build the plan.
        GraphError: TensorRT's parser refuses a node.
    """
    device = open_device()
    try:
        settings = BuildSettings(
            threads=threads,
            free_bytes=device.free_bytes(),
            timing_cache=_timings(measured),
            progress=progress,
        )
        built, found = build_plan(graph, settings), gpu_identity(device)
    finally:
        device.close()
    (folder / PLAN).write_bytes(built.plan)
    if built.timing_cache:
        (folder / TIMINGS).write_bytes(built.timing_cache)
    return built, found


def write_layers(folder: Path) -> None:
    """Write the engine inspector's account of a plan that another process has loaded before."""
    device = open_device()
    try:
        report = inspect_plan((folder / PLAN).read_bytes())
    finally:
        device.close()
    (folder / LAYERS).write_text(report, encoding="utf-8")


def _timings(folder: Path | None) -> bytes:
    """Return what an earlier build measured, where it is as that build left it."""
    if folder is None or not (folder / TIMINGS).is_file():
        return b""
    intact = read_slot(folder).files.get(TIMINGS) == file_sha256(folder / TIMINGS)
    return (folder / TIMINGS).read_bytes() if intact else b""
