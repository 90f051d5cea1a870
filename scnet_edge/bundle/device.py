"""What a bundle holds for the machine it lies on: the compiled code that was tried and activated.

    BUNDLE/device/
      state.json     by engine: which folder is active, which was before; which failed and why
      ENGINE-N/      compiled code; see `scnet_edge.engines.compiled`

The manifest does not list it: it is made on the device, and never moved to another.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from scnet_edge.bundle.made_here import NotMadeHere, require_made_here
from scnet_edge.bundle.manifest import FP16, FUSED, TYPED, Manifest
from scnet_edge.config import read_json, write_json
from scnet_edge.engines.base import Backend, default_engine
from scnet_edge.engines.compiled import COMPILED, check_compiled, identity, read_compiled
from scnet_edge.engines.isolated.parent import RUN_TIMEOUT_S, IsolatedBackend
from scnet_edge.engines.isolated.worker import Opening, open_one
from scnet_edge.engines.tensorrt.library import capabilities
from scnet_edge.errors import BundleError, EngineError
from scnet_edge.files import make_subfolder
from scnet_edge.folders import lock_folder

log = logging.getLogger(__name__)

DEVICE, STATE = "device", "state.json"


class Builds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The folders of one engine that may run, by name; empty for none."""

    active: str = ""
    previous: str = ""


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What lies in `BUNDLE/device`.

    Attributes:
        engines: Engine -> its builds.
        bad: Name of a folder that failed its trial -> why; it never runs again.
    """

    engines: dict[str, Builds] = {}
    bad: dict[str, str] = {}

    def of(self, engine: str) -> Builds:
        """Return the builds of an engine."""
        return self.engines.get(engine, Builds())

    def put(self, engine: str, builds: Builds) -> State:
        """Return the state with other builds of an engine."""
        return msgspec.structs.replace(self, engines=self.engines | {engine: builds})

    def refuse(self, engine: str, name: str, why: str) -> State:
        """Return the state after a failed trial of what is not active."""
        kept = msgspec.structs.replace(self, bad=self.bad | {name: why})
        builds = self.of(engine)
        return kept.put(engine, Builds(active=builds.active)) if name == builds.previous else kept


def read_state(bundle: Path) -> State:
    """Return what is active; nothing where no build on the device was made.

    Raises:
        BundleError: the file is damaged; the message has the command that mends it.
    """
    path = bundle / DEVICE / STATE
    again = f"run 'scnet-edge compile {bundle}' on this machine"
    if not path.exists():
        return State()
    try:
        state = read_json(path, State, error=BundleError)
    except BundleError as e:
        raise BundleError(f"{e}; {again}") from e
    for engine, builds in state.engines.items():
        for name in filter(None, (builds.active, builds.previous)):
            if Path(name).name != name or not name.startswith(f"{engine}-"):
                raise BundleError(
                    f"{path}: {name!r} is not a build of {engine} inside {DEVICE}; {again}"
                )
    return state


@contextmanager
def claim_device(bundle: Path) -> Iterator[None]:
    """Hold `BUNDLE/device` for this process alone: one at a time builds or goes back.

    Raises:
        BundleError: another process holds it, or something is in the way of what is written there.
    """
    folder = bundle / DEVICE
    for path, expected, wrong in (
        (folder, "a folder", folder.exists() and not folder.is_dir()),
        (folder / STATE, "a file", (folder / STATE).is_dir()),
    ):
        if wrong:
            raise BundleError(f"{path}: expected {expected}, found something else; remove it")
    make_subfolder(bundle, DEVICE)
    reason = "another process is building here; wait for it or stop it first"
    with closing(lock_folder(folder, BundleError(f"{folder}: {reason}"))):
        yield


def write_state(bundle: Path, state: State) -> None:
    """Write what is active, whole or not at all."""
    write_json(bundle / DEVICE / STATE, state)


def graph_for(bundle: Path, manifest: Manifest, engine: str, part: str = FUSED) -> Path:
    """Return the graph of a bundle that an engine is given for `part`: all of it, HED or SCNet.

    A strongly typed TensorRT does what the graph's types say, so it gets the one whose floating
    point is FP16; every other engine gets the portable one.
    """
    typed = engine == "tensorrt" and TYPED[part] in manifest.files and capabilities().strong_typing
    return bundle / (TYPED[part] if typed else part)


def graphs_for(bundle: Path, manifest: Manifest, engine: str, part: str = FUSED) -> list[Path]:
    """Return the graphs of which an engine is given one for `part`, the one of `graph_for` first.

    TensorRT may run an INT8 bundle in FP16, where `compile` found INT8 to be no quicker.
    """
    own = graph_for(bundle, manifest, engine, part)
    spare = engine == "tensorrt" and FP16[part] in manifest.files
    return [own, bundle / FP16[part]] if spare else [own]


def graph_of(folder: Path, graphs: Sequence[Path]) -> Path:
    """Return the one of several graphs that a folder of compiled code was made of.

    Raises:
        EngineError: what the folder says of itself cannot be read.
    """
    names = read_compiled(folder).graphs
    return next((graph for graph in graphs if graph.name in names), graphs[0])


def open_engine(
    bundle: Path,
    manifest: Manifest,
    part: str = FUSED,
    *,
    engine: str | None = None,
    fallback: str | None = None,
    isolate: bool = False,
    threads: int | None = None,
    cache: Path | None = None,
    timeout_s: float = RUN_TIMEOUT_S,
) -> Backend:
    """Open a graph of a bundle on an engine, in this process or in one of its own.

    Args:
        bundle: The bundle folder.
        manifest: What it says of itself.
        part: Which of its graphs, such as `fused.onnx`.
        engine: None for `default_engine`.
        fallback: Another engine for when the first one keeps crashing; implies `isolate`.
        isolate: Run it in a process of its own.
        threads: CPU threads; None leaves it to the engine.
        cache: A folder for what the engine compiles; None for what was compiled here, if anything.
        timeout_s: How long an isolated engine may take over a frame before it is replaced.

    Raises:
        BundleError, EngineError: as `opening_for`, or the engine refuses the graph.
    """
    openings = [
        opening_for(bundle, manifest, name, part, threads=threads, cache=cache)
        for name in (engine or default_engine(), fallback)
        if name
    ]
    if isolate or fallback:
        return IsolatedBackend(openings, run_timeout_s=timeout_s)
    return open_one(openings[0])


def opening_for(
    bundle: Path,
    manifest: Manifest,
    engine: str,
    part: str = FUSED,
    *,
    threads: int | None = None,
    cache: Path | None = None,
) -> Opening:
    """Return how to open a part of a bundle: by what was compiled here, if anything.

    Raises:
        BundleError, EngineError: as `find_compiled`.
    """
    graphs = graphs_for(bundle, manifest, engine, part)
    code = cache or find_compiled(bundle, graphs, engine)
    built = code is not None and (code / COMPILED).is_file()
    return Opening(
        engine=engine,
        graph=str(graph_of(code, graphs) if code and built else graphs[0]),
        threads=threads,
        cache=None if code is None else str(code),
    )


def find_compiled(bundle: Path, graphs: Sequence[Path], engine: str) -> Path | None:
    """Return the folder of compiled code to run, whole and for this machine; None if there is none.

    The active one, or where that is damaged the one before it, which is logged. What this user has
    not made on this machine counts as none, and is logged as well.

    Raises:
        BundleError: what is active cannot be read.
        EngineError: there is compiled code for this engine, made here, and none can be used.
            Either message has the reason and the command that mends it.
    """
    name, refused = newest_whole(bundle, read_state(bundle).of(engine), graphs, engine)
    if name and refused:
        log.error("%s; running the previous %s instead", refused[0], name)
    if refused and not name:
        if all(isinstance(reason, NotMadeHere) for reason in refused):
            log.warning("%s; it is not run, and compiled anew in memory", refused[0])
            return None
        raise refused[0]
    return bundle / DEVICE / name if name else None


def newest_whole(
    bundle: Path, builds: Builds, graphs: Sequence[Path], engine: str
) -> tuple[str, list[EngineError]]:
    """Return the newest build that is whole and for this machine, and why newer ones are not.

    The name is empty where there is none.
    """
    refused: list[EngineError] = []
    for name in filter(None, (builds.active, builds.previous)):
        try:
            folder = bundle / DEVICE / name
            require_made_here(folder)
            check_compiled(folder, graph_of(folder, graphs), identity(engine))
            return name, refused
        except EngineError as e:
            refused.append(e)
    return "", refused
