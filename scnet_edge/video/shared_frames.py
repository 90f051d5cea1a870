"""Frames from one process to another through memory they share; nothing to pickle, no name to leak.

The memory is a memfd: it has a descriptor and no name, so it is gone when the last process that
holds it is, however that one died. The capture process takes a free slot, fills it and says so; the
other copies the frame out and gives the slot back. Without a free slot a frame is dropped.
"""

from __future__ import annotations

import mmap
import os

import msgspec
import numpy as np
import numpy.typing as npt

SLOTS = 4


class Opened(msgspec.Struct, frozen=True, tag=True):
    """The first frame is here, so its size is known; every `Shot` has it."""

    height_px: int
    width_px: int


class Shot(msgspec.Struct, frozen=True, tag=True):
    """A frame lies in a slot; `number` counts from 0 all that the camera gave, lost ones too."""

    number: int
    slot: int
    mono_ns: int
    utc_ns: int


class Spoiled(msgspec.Struct, frozen=True, tag=True):
    """A frame came that could not be used, and why: `corrupt` or `geometry`."""

    number: int
    reason: str
    mono_ns: int
    utc_ns: int


class Ended(msgspec.Struct, frozen=True, tag=True):
    """No more frames; `hopeless` when another try would end the same way."""

    reason: str
    detail: str
    hopeless: bool = False


Message = Opened | Shot | Spoiled | Ended


def create_memory() -> int:
    """Return the descriptor of new, empty shared memory."""
    return os.memfd_create("scnet-edge-frames", os.MFD_CLOEXEC)


def allocate(memory_fd: int, shape: tuple[int, int, int]) -> None:
    """Make room for `SLOTS` frames; raises OSError where memory is short, never SIGBUS later."""
    os.posix_fallocate(memory_fd, 0, SLOTS * int(np.prod(shape)))


def slots(memory_fd: int, shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Return the slots, (SLOTS, h, w, 3) uint8; unmapped when the array is let go of."""
    room = mmap.mmap(memory_fd, SLOTS * int(np.prod(shape)))
    return np.frombuffer(room, np.uint8).reshape(SLOTS, *shape)


class CameraTrouble(Exception):
    """A camera cannot be opened, or gives no more.

    Attributes:
        reason: a short word to count by.
        detail: one line for people.
        hopeless: another try would end the same way.
    """

    def __init__(self, reason: str, detail: str, *, hopeless: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.hopeless = hopeless
