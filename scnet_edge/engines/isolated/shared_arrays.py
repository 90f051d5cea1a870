"""Named arrays in anonymous shared memory that two processes hold by its file descriptor.

The memory has no name in the file system, so nothing is left of it however its holders die.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping

import msgspec
import numpy as np

from scnet_edge.engines.base import Array

ALIGN_BYTES = 64


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
