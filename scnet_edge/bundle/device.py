"""What a bundle holds for the machine it lies on: the compiled code that was tried and activated.

    BUNDLE/device/
      state.json     which folder is active, which was before, which failed and why
      ENGINE-N/      compiled code; see `scnet_edge.backends.slots`

The manifest does not list it: it is made on the device, and never moved to another.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from scnet_edge.backends.slots import check_slot, identity
from scnet_edge.backends.trt_module import capabilities
from scnet_edge.backends.worker import Opening
from scnet_edge.bundle.manifest import FUSED, TYPED, Manifest
from scnet_edge.config import read_json, write_json
from scnet_edge.errors import BundleError, EngineError

log = logging.getLogger(__name__)

DEVICE, STATE = "device", "state.json"


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Folders of `BUNDLE/device`, by name; empty for none."""

    active: str = ""
    previous: str = ""
    bad: dict[str, str] = msgspec.field(default_factory=dict)  # name -> why it was refused


def read_state(bundle: Path) -> State:
    """Return what is active; nothing where no build on the device was made."""
    path = bundle / DEVICE / STATE
    if not path.is_file():
        return State()
    state = read_json(path, State, error=BundleError)
    for name in (state.active, state.previous):
        if name and Path(name).name != name:
            raise BundleError(f"{path}: {name!r} is not a plain name inside {DEVICE}")
    return state


def write_state(bundle: Path, state: State) -> None:
    """Write what is active, whole or not at all."""
    folder = bundle / DEVICE
    write_json(folder / f"{STATE}.tmp", state)
    (folder / f"{STATE}.tmp").replace(folder / STATE)


def graph_for(bundle: Path, manifest: Manifest, engine: str, part: str = FUSED) -> Path:
    """Return the graph of a bundle that an engine is given for `part`: all of it, or a half.

    A strongly typed TensorRT does what the graph's types say, so it gets the one whose floating
    point is FP16; every other engine gets the portable one.
    """
    typed = engine == "tensorrt" and TYPED[part] in manifest.files and capabilities().strong_typing
    return bundle / (TYPED[part] if typed else part)


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
        EngineError: as `compiled_for`.
    """
    graph = graph_for(bundle, manifest, engine, part)
    code = cache or compiled_for(bundle, graph, engine)
    where = None if code is None else str(code)
    return Opening(engine=engine, graph=str(graph), threads=threads, cache=where)


def compiled_for(bundle: Path, graph: Path, engine: str) -> Path | None:
    """Return the folder of compiled code to run, whole and for this machine; None if there is none.

    The active one, or where that is damaged the one before it, which is logged.

    Raises:
        EngineError: there is compiled code for this engine and none of it can be used; the message
            has the reason and the command that mends it.
    """
    state = read_state(bundle)
    refused: list[EngineError] = []
    for name in filter(None, (state.active, state.previous)):
        if not name.startswith(f"{engine}-"):
            continue
        try:
            check_slot(bundle / DEVICE / name, graph, identity(engine))
            if refused:
                log.error("%s; running the previous %s instead", refused[0], name)
            return bundle / DEVICE / name
        except EngineError as e:
            refused.append(e)
    if refused:
        raise refused[0]
    return None
