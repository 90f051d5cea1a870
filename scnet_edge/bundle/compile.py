"""On the robot: graphs become compiled code in a folder, which is tried in a process of its own.

Which code is active is not decided here; see `scnet_edge.bundle.activate`.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from scnet_edge.bundle.device import compiled_graph, graphs_for
from scnet_edge.bundle.manifest import FUSED, GOLDEN, HED, SCNET, Manifest
from scnet_edge.bundle.verify import read_golden, require_parts
from scnet_edge.config import write_json
from scnet_edge.engines.base import Backend
from scnet_edge.engines.compiled import (
    SCHEMA,
    SLOT,
    Compiled,
    CompiledEngine,
    FallbackPrecision,
    identity,
    layers_of,
)
from scnet_edge.engines.isolated.parent import IsolatedBackend
from scnet_edge.engines.isolated.worker import Opening
from scnet_edge.engines.tensorrt.build_progress import Progress
from scnet_edge.engines.tensorrt.builder import Built
from scnet_edge.engines.tensorrt.plans import compile_plans, write_layers
from scnet_edge.errors import EngineError
from scnet_edge.folders import file_sha256
from scnet_edge.types import Parity

COMPILING = ("tensorrt", "openvino")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Compiled code that held the golden frames.

    Attributes:
        plans: TensorRT's builds, by name of the graph.
        open_s: Seconds that a process took from its start to an opened engine.
    """

    folder: Path
    slot: CompiledEngine
    plans: dict[str, Built]
    parity: Parity
    open_s: float


def precisions_of(bundle: Path, manifest: Manifest, engine: str) -> list[list[Path]]:
    """Return the graphs that an engine compiles, the bundle's own and then those of FP16, if any.

    Of each the fused one and, where there are, the split_graphs.
    """
    parts = [part for part in (FUSED, HED, SCNET) if part in manifest.files]
    choices = [graphs_for(bundle, manifest, engine, part) for part in parts]
    return [list(graphs) for graphs in zip(*choices, strict=True)]


def compile_slot(
    folder: Path,
    graphs: Sequence[Path],
    engine: str,
    *,
    threads: int | None = None,
    rest: FallbackPrecision | None = None,
    measured: Path | None = None,
    progress: Callable[[Progress], bool] | None = None,
) -> tuple[CompiledEngine, dict[str, Built]]:
    """Compile graphs into a folder; return its slot, written there, not tried yet, and the plans.

    Args:
        folder: An empty folder.
        graphs: ONNX files whose hashes the caller has checked.
        engine: One of `COMPILING`.
        threads: CPU threads for the build and for the engine.
        rest: What computes the layers that an INT8 graph leaves in floating point.
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
            opened(replace(opening, arithmetic=rest.arithmetic if rest else None)).close()
            if len(_hashes(folder)) < kept:  # OpenVINO does not say that it could not write
                raise EngineError(
                    f"{folder}: {engine} kept no compiled code of {graph.name}; "
                    "free some space on the disk and build again"
                )
    slot = CompiledEngine(
        schema=SCHEMA,
        engine=engine,
        identity=found,
        graphs={graph.name: _compiled(graph, plans.get(graph.name)) for graph in graphs},
        files=_hashes(folder),
        rest=rest,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    )
    write_json(folder / SLOT, slot)
    return slot, plans


def try_slot(
    bundle: Path, manifest: Manifest, folder: Path, slot: CompiledEngine, threads: int | None
) -> tuple[Parity, float]:
    """Return the parity of compiled code with the reference and how long opening it took, seconds.

    It runs in a child process: code that aborts when it is loaded takes that process and no more.

    Raises:
        BundleError: it is further from the reference than the bundle promises.
        EngineError: it is damaged, not for this machine, or its process crashes.
    """
    golden = read_golden(bundle / GOLDEN, batch=manifest.input.batch)

    def open_part(part: str) -> Backend:
        return open_code(bundle, manifest, folder, slot.engine, part, threads=threads)

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
    graph = compiled_graph(folder, graphs_for(bundle, manifest, engine, part))
    return opened(_opening(engine, graph, folder, threads))


def inspected(folder: Path, slot: CompiledEngine, plans: dict[str, Built]) -> CompiledEngine:
    """Return the slot with what TensorRT's inspector says of each plan, which is written beside."""
    told, files = dict(slot.graphs), dict(slot.files)  # hashed before the trial: what was tried
    for name, built in plans.items():
        kernels = write_layers(folder, slot, Path(name), built.convolutions)
        told[name] = replace(told[name], kernels=kernels)
        if (layers := folder / layers_of(Path(name))).is_file():
            files[layers.name] = file_sha256(layers)
    return replace(slot, graphs=told, files=files)


def opened(opening: Opening) -> IsolatedBackend:
    """Open an engine in a child process that is given one chance."""
    return IsolatedBackend([opening], max_restarts=0)


def _opening(engine: str, graph: Path, folder: Path, threads: int | None) -> Opening:
    return Opening(engine=engine, graph=str(graph), threads=threads, cache=str(folder))


def _compiled(graph: Path, built: Built | None) -> Compiled:
    sha256 = file_sha256(graph)
    if built is None:
        return Compiled(graph_sha256=sha256)
    return Compiled(graph_sha256=sha256, tensors=built.tensors, excluded=built.excluded)


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: file_sha256(path) for path in sorted(folder.iterdir()) if path.name != SLOT}
