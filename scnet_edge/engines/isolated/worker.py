"""The child's side of an isolated engine: it opens a backend and runs what its parent asks for."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec

from scnet_edge.engines.base import Backend, open_backend
from scnet_edge.engines.compiled import Arithmetic
from scnet_edge.engines.isolated.shared_arrays import SharedArrays, Slot
from scnet_edge.errors import ScnetEdgeError

MAX_MESSAGE_BYTES = 1 << 16


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """Which backend to open: what `open_backend` takes, or `factory` with its arguments.

    Attributes:
        factory: `MODULE:FUNCTION` that returns a `Backend`, for engines of your own.
    """

    engine: str = ""
    graph: str = ""
    threads: int | None = None
    cache: str | None = None
    arithmetic: Arithmetic | None = None
    factory: str = ""
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What the child answers: its engine's name at the start, then outputs, or an error."""

    name: str = ""
    outputs: list[Slot] = msgspec.field(default_factory=list)
    error: str = ""


def main(control_fd: int, feeds_fd: int, outputs_fd: int) -> None:
    """Serve until the parent closes the control socket, or is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent decides when we end
        signal.signal(number, signal.SIG_IGN)
    Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    control = socket.socket(fileno=control_fd)
    try:
        backend = open_one(msgspec.json.decode(control.recv(MAX_MESSAGE_BYTES), type=Opening))
    except ScnetEdgeError as e:  # TensorRT's parser raises GraphError
        control.send(msgspec.json.encode(Reply(error=str(e))))
        return
    control.send(msgspec.json.encode(Reply(name=backend.name)))
    feeds, outputs = SharedArrays(feeds_fd), SharedArrays(outputs_fd)
    while message := control.recv(MAX_MESSAGE_BYTES):
        slots = msgspec.json.decode(message, type=list[Slot])
        control.send(msgspec.json.encode(_run(backend, feeds.read(slots), outputs)))
    backend.close()


def open_one(opening: Opening) -> Backend:
    """Open a backend in this process; raises what `open_backend` or the factory raises."""
    if opening.factory:
        module, _, function = opening.factory.partition(":")
        backend: Backend = getattr(import_module(module), function)(**opening.arguments)
        return backend
    cache = None if opening.cache is None else Path(opening.cache)
    return open_backend(
        opening.engine,
        Path(opening.graph),
        threads=opening.threads,
        cache=cache,
        arithmetic=opening.arithmetic,
    )


def _run(backend: Backend, feeds: Mapping[str, Any], outputs: SharedArrays) -> Reply:
    try:
        return Reply(outputs=outputs.write(backend.run(feeds)))
    except ScnetEdgeError as e:
        return Reply(error=str(e))


def _end_with(parent_pid: int) -> None:
    """Leave when the parent died, even while native code holds the main thread."""
    while os.getppid() == parent_pid:
        time.sleep(1)
    os._exit(0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
