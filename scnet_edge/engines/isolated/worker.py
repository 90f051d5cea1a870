"""The child's side of an isolated engine: it opens a backend and runs what its parent asks for.

Arrays pass in anonymous shared memory that both processes hold by its file descriptor. The memory
has no name in the file system, so nothing is left of it however its holders die.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from scnet_edge.child import end_with_parent
from scnet_edge.engines.base import Array, Backend, open_backend
from scnet_edge.engines.compiled import Arithmetic
from scnet_edge.errors import ScnetEdgeError

ALIGN_BYTES = 64
MAX_MESSAGE_BYTES = 1 << 16
NO_MEMORY = "no memory is left for the engine"


class Slot(msgspec.Struct, frozen=True, array_like=True):
    """Where one array lies."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    offset: int


class SharedArrays:
    """One side's view of the memory behind `fd`; it grows to what is written."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._memory: mmap.mmap | None = None

    def write(self, arrays: Mapping[str, Array]) -> list[Slot]:
        """Copy the arrays in and return where each lies, for the other side's `read`."""
        slots, end = [], 0
        for name, array in arrays.items():
            slots.append(Slot(name, array.shape, array.dtype.str, end))
            end += -(-array.nbytes // ALIGN_BYTES) * ALIGN_BYTES
        if os.fstat(self.fd).st_size < end:
            os.ftruncate(self.fd, end)
        for slot in slots:
            self._view(slot)[...] = arrays[slot.name]
        return slots

    def read(self, slots: list[Slot]) -> dict[str, Array]:
        """Return views of the arrays, good until the other side writes again."""
        return {slot.name: self._view(slot) for slot in slots}

    def close(self) -> None:
        """Give this side's hold on the memory up; views that are still out keep it mapped."""
        self._memory = None
        os.close(self.fd)

    def _view(self, slot: Slot) -> Array:
        dtype, count = np.dtype(slot.dtype), int(np.prod(slot.shape))
        end = slot.offset + count * dtype.itemsize
        if self._memory is None or len(self._memory) < end:
            # the older mapping goes with its last view, which an engine may still hold
            self._memory = mmap.mmap(self.fd, os.fstat(self.fd).st_size)
        return np.frombuffer(self._memory, dtype, count, slot.offset).reshape(slot.shape)


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
    end_with_parent()
    control = socket.socket(fileno=control_fd)
    try:
        backend = open_one(msgspec.json.decode(control.recv(MAX_MESSAGE_BYTES), type=Opening))
    except (ScnetEdgeError, MemoryError) as e:  # TensorRT's parser raises GraphError
        control.send(msgspec.json.encode(Reply(error=str(e) or NO_MEMORY)))
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
    except (ScnetEdgeError, MemoryError) as e:
        return Reply(error=str(e) or NO_MEMORY)
