"""On the robot: graphs become compiled code in a folder, which is tried in a process of its own.

Which code is active is not decided here; see `scnet_edge.bundle.activate`.
"""

from __future__ import annotations

import dataclasses
import datetime
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from scnet_edge.bundle.device import graph_for, graph_of, graphs_for
from scnet_edge.bundle.manifest import FUSED, GOLDEN, HED, SCNET, Manifest
from scnet_edge.bundle.verify import Golden, read_golden, require_parts
from scnet_edge.config import write_json
from scnet_edge.engines.base import Backend, quickest_ms
from scnet_edge.engines.compiled import (
    COMPILED,
    SCHEMA,
    Arithmetic,
    CompiledEngine,
    CompiledGraph,
    FallbackPrecision,
    PrecisionChoice,
    identity,
    layers_name,
)
from scnet_edge.engines.isolated.parent import IsolatedBackend
from scnet_edge.engines.isolated.worker import Opening
from scnet_edge.engines.tensorrt.build_progress import BuildProgress
from scnet_edge.engines.tensorrt.builder import Built
from scnet_edge.engines.tensorrt.plans import compile_plans, write_layers
from scnet_edge.errors import BuildCancelled, BundleError, EngineError, GraphError
from scnet_edge.folders import file_sha256
from scnet_edge.types import Parity

COMPILING = ("tensorrt", "openvino")
WORTH = 0.97  # of the time: less of a gain is noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Compiled code that held the golden frames.

    Attributes:
        plans: TensorRT's builds, by name of the graph.
        open_s: Seconds that a process took from its start to an opened engine.
    """

    folder: Path
    record: CompiledEngine
    plans: dict[str, Built]
    parity: Parity
    open_s: float


def precisions_of(bundle: Path, manifest: Manifest, engine: str) -> list[list[Path]]:
    """Return the graphs that an engine compiles, the bundle's own and then those of FP16, if any.

    Of each the fused one and, where there are, HED and SCNet apart.
    """
    parts = [part for part in (FUSED, HED, SCNET) if part in manifest.files]
    choices = [graphs_for(bundle, manifest, engine, part) for part in parts]
    return [list(graphs) for graphs in zip(*choices, strict=True)]


def compile_graphs(
    folder: Path,
    graphs: Sequence[Path],
    engine: str,
    *,
    threads: int | None = None,
    fallback: FallbackPrecision | None = None,
    measured: Path | None = None,
    progress: Callable[[BuildProgress], bool] | None = None,
) -> tuple[CompiledEngine, dict[str, Built]]:
    """Compile graphs into a folder; return its record, written there, not tried yet, and the plans.

    Args:
        folder: An empty folder.
        graphs: ONNX files whose hashes the caller has checked.
        engine: One of `COMPILING`.
        threads: CPU threads for the build and for the engine.
        fallback: What computes the layers that an INT8 graph leaves in floating point.
        measured: An earlier build, whose timing cache shortens this one.
        progress: Told how far TensorRT's builder is; False cancels.

    Raises:
        EngineError: the engine is missing, cannot compile a graph or keep its code, or its process
            crashes.
        GraphError: TensorRT's parser refuses a node.
    """
    found, plans = identity(engine), dict[str, Built]()
    if engine == "tensorrt":
        plans, gpu = compile_plans(
            folder, graphs, threads=threads, measured=measured, progress=progress
        )
        found |= gpu
    else:
        for kept, graph in enumerate(graphs, start=1):
            opening = _opening(engine, graph, folder, threads)
            open_in_child(
                msgspec.structs.replace(
                    opening, arithmetic=fallback.arithmetic if fallback else None
                )
            ).close()
            if len(_hashes(folder)) < kept:  # OpenVINO does not say that it could not write
                raise EngineError(
                    f"{folder}: {engine} kept no compiled code of {graph.name}; "
                    "free some space on the disk and build again"
                )
    record = CompiledEngine(
        schema=SCHEMA,
        engine=engine,
        identity=found,
        graphs={graph.name: _record_graph(graph, plans.get(graph.name)) for graph in graphs},
        files=_hashes(folder),
        fallback=fallback,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    )
    write_json(folder / COMPILED, record)
    return record, plans


def try_compiled(
    bundle: Path, manifest: Manifest, folder: Path, record: CompiledEngine, threads: int | None
) -> tuple[Parity, float]:
    """Return the parity of compiled code with the reference and how long opening it took, seconds.

    It runs in a child process: code that aborts when it is loaded takes that process and no more.

    Raises:
        BundleError: it is further from the reference than the bundle promises.
        EngineError: it is damaged, not for this machine, or its process crashes.
    """
    golden = read_golden(bundle / GOLDEN, batch=manifest.input.batch)

    def open_part(part: str) -> Backend:
        return open_code(bundle, manifest, folder, record.engine, part, threads=threads)

    start_s = time.perf_counter()
    with closing(open_part(FUSED)) as fused:
        open_s = time.perf_counter() - start_s
        return require_parts(fused, open_part, manifest, golden), open_s


def open_code(
    bundle: Path,
    manifest: Manifest,
    folder: Path,
    engine: str,
    part: str = FUSED,
    *,
    threads: int | None,
) -> Backend:
    """Open in a child process what a folder holds of a part of the bundle."""
    graph = graph_of(folder, graphs_for(bundle, manifest, engine, part))
    return open_in_child(_opening(engine, graph, folder, threads))


def inspect_plans(folder: Path, record: CompiledEngine, plans: dict[str, Built]) -> CompiledEngine:
    """Return the record with what TensorRT's inspector says of each plan, written beside it."""
    told, files = dict(record.graphs), dict(record.files)  # hashed before the trial
    for name, built in plans.items():
        kernels = write_layers(folder, record, Path(name), built.convolutions)
        told[name] = msgspec.structs.replace(told[name], kernels=kernels)
        if (layers := folder / layers_name(Path(name))).is_file():
            files[layers.name] = file_sha256(layers)
    return msgspec.structs.replace(record, graphs=told, files=files)


def open_in_child(opening: Opening) -> IsolatedBackend:
    """Open an engine in a child process that is given one chance."""
    return IsolatedBackend([opening], max_restarts=0)


def _opening(engine: str, graph: Path, folder: Path, threads: int | None) -> Opening:
    return Opening(engine=engine, graph=str(graph), threads=threads, cache=str(folder))


def _record_graph(graph: Path, built: Built | None) -> CompiledGraph:
    sha256 = file_sha256(graph)
    if built is None:
        return CompiledGraph(graph_sha256=sha256)
    return CompiledGraph(graph_sha256=sha256, tensors=built.tensors, excluded=built.excluded)


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: file_sha256(path) for path in sorted(folder.iterdir()) if path.name != COMPILED
    }


def choose_fallback(
    bundle: Path, manifest: Manifest, engine: str, threads: int | None
) -> FallbackPrecision | None:
    """Return what computes what is not INT8 quickest here; None where there is no choice.

    Raises:
        EngineError: the engine cannot open the graph.
    """
    if engine != "openvino" or manifest.precision != "int8":
        return None
    from scnet_edge.engines.openvino import cpu as openvino_cpu

    if not openvino_cpu.has_bf16():
        return None
    golden = read_golden(bundle / GOLDEN, batch=manifest.input.batch)

    def open_part(part: str, arithmetic: Arithmetic) -> Backend:
        graph = graph_for(bundle, manifest, engine, part)
        return open_in_child(
            Opening(engine=engine, graph=str(graph), threads=threads, arithmetic=arithmetic)
        )

    with closing(open_part(FUSED, "bf16")) as bf16:
        try:
            require_parts(bf16, lambda part: open_part(part, "bf16"), manifest, golden)
        except BundleError:
            return FallbackPrecision(arithmetic="fp32", bf16_time=None)
        with closing(open_part(FUSED, "fp32")) as fp32:
            ratio = time_ratio(bf16, fp32, golden)
    return FallbackPrecision(
        arithmetic="bf16" if ratio < WORTH else "fp32", bf16_time=round(ratio, 3)
    )


def choose_precision(
    bundle: Path,
    manifest: Manifest,
    int8: Tried,
    graphs: Sequence[Path],
    *,
    threads: int | None,
    progress: Callable[[BuildProgress], bool] | None,
) -> Tried:
    """Return what runs an INT8 bundle quickest here, in the folder where INT8 was compiled.

    Args:
        bundle: A bundle that carries FP16 beside INT8.
        manifest: What it says of itself.
        int8: What was compiled and tried in INT8.
        graphs: Those of FP16.
        threads: CPU threads for the build and for the engine.
        progress: Told how far TensorRT's builder is; False cancels.

    Raises:
        BuildCancelled: a person stopped it. That FP16 cannot be compiled or fails its trial is no
            error: INT8 stays, and the record says why.
    """
    engine, beside = int8.record.engine, int8.folder.with_name(f"{int8.folder.name}.fp16")
    shutil.rmtree(beside, ignore_errors=True)  # a build that was killed here may have left one
    beside.mkdir()
    try:
        try:
            record, plans = compile_graphs(
                beside, graphs, engine, threads=threads, measured=int8.folder, progress=progress
            )
            parity, open_s = try_compiled(bundle, manifest, beside, record, threads)
            with (
                closing(open_code(bundle, manifest, int8.folder, engine, threads=threads)) as a,
                closing(open_code(bundle, manifest, beside, engine, threads=threads)) as b,
            ):
                ratio = time_ratio(a, b, read_golden(bundle / GOLDEN, batch=manifest.input.batch))
        except BuildCancelled:
            raise
        except (BundleError, EngineError, GraphError) as e:
            return _with_choice(
                int8, PrecisionChoice(precision="int8", int8_time=None, refused=str(e))
            )
        if ratio < WORTH:
            return _with_choice(int8, PrecisionChoice(precision="int8", int8_time=round(ratio, 3)))
        shutil.rmtree(int8.folder)
        beside.rename(int8.folder)
        fp16 = Tried(folder=int8.folder, record=record, plans=plans, parity=parity, open_s=open_s)
        return _with_choice(fp16, PrecisionChoice(precision="fp16", int8_time=round(ratio, 3)))
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _with_choice(tried: Tried, choice: PrecisionChoice) -> Tried:
    return dataclasses.replace(tried, record=msgspec.structs.replace(tried.record, choice=choice))


def time_ratio(one: Backend, other: Backend, golden: Golden) -> float:
    """Return the time of one backend over that of another."""
    ms, other_ms = quickest_ms(one, other, golden.feeds())
    return ms / other_ms
