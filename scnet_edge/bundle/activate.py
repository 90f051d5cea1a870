"""On the robot: compile a bundle's graph for this machine, try it, and only then make it active.

    compile -> hash -> load in a child process -> golden frames -> compare -> activate

What ran before is kept, for `roll_back`; each engine has an active and a previous one of its own.
Whatever fails leaves them as they were.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from scnet_edge.bundle.compile import (
    COMPILING,
    Tried,
    choose_fallback,
    choose_precision,
    compile_graphs,
    inspect_plans,
    precisions_of,
    try_compiled,
)
from scnet_edge.bundle.device import (
    DEVICE,
    Builds,
    State,
    claim_device,
    newest_whole,
    read_state,
    write_state,
)
from scnet_edge.bundle.made_here import require_made_here, seal
from scnet_edge.bundle.manifest import read_manifest
from scnet_edge.config import write_json
from scnet_edge.engines.base import default_engine
from scnet_edge.engines.compiled import COMPILED, CompiledEngine, read_compiled
from scnet_edge.engines.tensorrt.build_progress import BuildProgress
from scnet_edge.errors import BundleError, EngineError, ScnetEdgeError
from scnet_edge.types import Parity

log = logging.getLogger(__name__)

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """What was made active, and how it did.

    Attributes:
        name: Its folder in `BUNDLE/device`.
        previous: The one of its engine before it, kept; empty for none.
        compile_s: Seconds that compiling took, without FP16 beside INT8.
        open_s: Seconds that a process took from its start to an opened engine.
    """

    name: str
    previous: str
    record: CompiledEngine
    parity: Parity
    compile_s: float
    open_s: float


def compile_bundle(
    bundle: Path,
    *,
    engine: str | None = None,
    threads: int | None = None,
    report: Report = lambda step: None,
    progress: Callable[[BuildProgress], bool] | None = None,
) -> Activation:
    """Compile a bundle here, verify what came out on its golden frames, and activate it.

    Args:
        bundle: A folder that `scnet-edge build` wrote, and that can be written to.
        engine: `tensorrt` or `openvino`; None for the engine of this machine.
        threads: CPU threads for the build and for the engine.
        report: Told each step as it begins.
        progress: Told how far TensorRT's builder is; False cancels.

    Raises:
        BundleError: the bundle is damaged, or the compiled code is further from the PyTorch
            reference than the bundle allows.
        EngineError: the engine is missing, keeps no compiled code, or its process crashes.
    """
    manifest = read_manifest(bundle)
    engine = engine or default_engine()
    if engine not in COMPILING:
        raise EngineError(
            f"engine {engine!r} keeps no compiled code, so there is nothing to build on the "
            f"device; expected {' or '.join(COMPILING)}"
        )
    with claim_device(bundle):
        precisions, state = precisions_of(bundle, manifest, engine), _state(bundle)
        (own, *spare), candidates = precisions, [graphs[0] for graphs in precisions]
        previous, _ = newest_whole(bundle, state.of(engine), candidates, engine)
        name = _new_name(bundle, engine, state)
        report("choosing the arithmetic")
        fallback = choose_fallback(bundle, manifest, engine, threads)
        with _new_folder(bundle, name) as folder:
            report(f"compiling {', '.join(graph.name for graph in own)} with {engine}")
            start_s = time.perf_counter()
            record, plans = compile_graphs(
                folder,
                own,
                engine,
                threads=threads,
                fallback=fallback,
                measured=folder.parent / previous if previous else None,
                progress=progress,
            )
            compile_s = time.perf_counter() - start_s
            report("loading it in a process of its own and running the golden frames")
            with _record_refusal(bundle, state, engine, name):
                parity, open_s = try_compiled(bundle, manifest, folder, record, threads)
            done = Tried(folder=folder, record=record, plans=plans, parity=parity, open_s=open_s)
            if spare:
                report("compiling FP16 as well and timing both")
                done = choose_precision(
                    bundle, manifest, done, spare[0], threads=threads, progress=progress
                )
            record = inspect_plans(folder, done.record, done.plans) if done.plans else done.record
            record = msgspec.structs.replace(record, parity=done.parity)
            write_json(folder / COMPILED, record)
            seal(folder)
        state = state.put(engine, Builds(active=name, previous=previous))
        write_state(bundle, state)
        _sweep(bundle, state)
    return Activation(
        name=name, previous=previous, record=record, parity=done.parity, compile_s=compile_s,
        open_s=done.open_s,
    )  # fmt: skip


def roll_back(bundle: Path, *, engine: str | None = None, threads: int | None = None) -> Activation:
    """Make the previous compiled code of an engine active again after trying it once more.

    A previous build that fails is not kept as one: it would run where the active one is damaged.

    Args:
        bundle: As for `compile_bundle`.
        engine: Whose build; None for the engine of this machine.
        threads: CPU threads of the trial.

    Raises:
        BundleError: there is none, or it has drifted from the reference.
        EngineError: it is damaged, not for this machine any more, or its process crashes.
    """
    manifest, engine = read_manifest(bundle), engine or default_engine()
    with claim_device(bundle):
        state = read_state(bundle)
        builds = state.of(engine)
        if not builds.previous:
            raise BundleError(
                f"{bundle}: no earlier build of {engine} on this device to go back to; "
                "--engine names another engine's"
            )
        folder = bundle / DEVICE / builds.previous
        with _record_refusal(bundle, state, engine, builds.previous):
            require_made_here(folder)
            record = read_compiled(folder)
            parity, open_s = try_compiled(bundle, manifest, folder, record, threads)
        swapped = Builds(active=builds.previous, previous=builds.active)
        write_state(bundle, state.put(engine, swapped))
    return Activation(
        name=swapped.active, previous=swapped.previous, record=record, parity=parity, compile_s=0.0,
        open_s=open_s,
    )  # fmt: skip


def _state(bundle: Path) -> State:
    """Return what is active, or nothing where that cannot be read: this build mends it."""
    try:
        return read_state(bundle)
    except BundleError as e:
        log.error("%s; building as if nothing had been built here", e)
        return State()


@contextmanager
def _new_folder(bundle: Path, name: str) -> Iterator[Path]:
    """Yield a new folder, and remove it when the block fails."""
    folder = bundle / DEVICE / name
    folder.mkdir()
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder)
        raise


@contextmanager
def _record_refusal(bundle: Path, state: State, engine: str, name: str) -> Iterator[None]:
    """Record why compiled code was refused when the block fails."""
    try:
        yield
    except ScnetEdgeError as e:
        write_state(bundle, state.refuse(engine, name, str(e)))
        raise


def _new_name(bundle: Path, engine: str, state: State) -> str:
    """Return the first `ENGINE-N` that never was."""
    known = {path.name for path in (bundle / DEVICE).glob("*")} | set(state.bad)
    return next(name for n in range(1, len(known) + 2) if (name := f"{engine}-{n}") not in known)


def _sweep(bundle: Path, state: State) -> None:
    """Remove compiled code that is neither active nor previous in any engine."""
    kept = {name for builds in state.engines.values() for name in (builds.active, builds.previous)}
    for path in (bundle / DEVICE).iterdir():
        if path.is_dir() and path.name not in kept:
            shutil.rmtree(path)
