"""The few CUDA calls that inference needs, behind one interface that a test can stand in for.

Two packages offer them: cuda-python, which NVIDIA's samples use and which replays CUDA graphs, and
PyCUDA, which builds on every JetPack and does not. PyCUDA never ran on real hardware here, and of
cuda-python only what opens a device and asks it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from scnet_edge.engines.base import Array
from scnet_edge.errors import EngineError, install_extra, one_line


@dataclass(frozen=True, slots=True)
class Buffer:
    """One tensor's memory: where the CPU writes or reads it, and where the GPU does.

    Attributes:
        host: A contiguous array in page-locked memory.
        address: What TensorRT is given.
        mapped: Both are the same memory, as on a Jetson; nothing needs copying.
    """

    host: Array
    address: int
    mapped: bool


class Device(Protocol):
    """One GPU with one stream. One thread opens it, uses it and closes it."""

    @property
    def name(self) -> str:
        """The GPU, for people and for the identity of a plan: `Orin`."""
        ...

    @property
    def capability(self) -> str:
        """The compute capability: `8.7`."""
        ...

    @property
    def integrated(self) -> bool:
        """Whether GPU and CPU share their memory."""
        ...

    @property
    def stream(self) -> int:
        """The handle of the stream, as TensorRT takes it."""
        ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What these calls raise besides EngineError when CUDA fails."""
        ...

    def free_bytes(self) -> int:
        """Return the GPU memory that is free."""
        ...

    def buffer(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
        """Return memory for a tensor: mapped on an integrated GPU, a pair elsewhere."""
        ...

    def copy_in(self, buffer: Buffer) -> None:
        """Queue a copy from host to device; nothing to do where the memory is mapped."""
        ...

    def copy_out(self, buffer: Buffer) -> None:
        """Queue a copy from device to host; nothing to do where the memory is mapped."""
        ...

    def capture(self, work: Callable[[], None]) -> Callable[[], None] | None:
        """Return what replays the queued `work` as one launch; None where CUDA cannot."""
        ...

    def wait(self) -> None:
        """Return when everything queued so far is done; the thread sleeps meanwhile."""
        ...

    def close(self) -> None:
        """Release buffers, stream and context; calling it twice is harmless."""
        ...


# package -> our module, the better first: cuda-python replays CUDA graphs.
PACKAGES = {
    "cuda": "scnet_edge.engines.tensorrt.cuda_python",
    "pycuda": "scnet_edge.engines.tensorrt.cuda_pycuda",
}
REMEDY = f"{install_extra('cuda')}, or [jetson] on a Jetson with an older CUDA"


def open_device(index: int = 0) -> Device:
    """Return the CUDA device of that number, current in this thread.

    Raises:
        EngineError: no CUDA package, no driver, or no such GPU.
    """
    package = next(filter(find_spec, PACKAGES), None)
    if package is None:
        raise EngineError(f"TensorRT needs CUDA from Python, found no package for it; {REMEDY}")
    try:
        device: Device = import_module(PACKAGES[package]).open_device(index)
    except (ImportError, OSError) as e:
        raise EngineError(f"{package} is installed but does not start: {one_line(e)}") from e
    return device


def check_index(index: int, count: int) -> None:
    """Raise EngineError unless there is a GPU of that number."""
    if index >= count:
        raise EngineError(
            f"expected CUDA GPU number {index}, found {count} GPUs; see 'scnet-edge doctor'"
        )
