"""The few CUDA calls that inference needs, behind a protocol that a test can stand in for.

Written against PyCUDA, which runs on every JetPack; it never ran on real hardware.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from scnet_edge.backends.base import Array, one_line
from scnet_edge.errors import EngineError


class Device(Protocol):
    """One GPU with one stream. Every call but `current` and `close` happens inside `current()`."""

    @property
    def name(self) -> str:
        """The GPU, for people and for the key of a cached plan: `Orin`."""
        ...

    @property
    def capability(self) -> str:
        """The compute capability: `8.7`."""
        ...

    @property
    def stream(self) -> int:
        """The handle of the stream, as TensorRT takes it."""
        ...

    def current(self) -> AbstractContextManager[None]:
        """Make the device current in the calling thread; CUDA's mistakes become EngineError."""
        ...

    def malloc(self, nbytes: int) -> int:
        """Return the address of new device memory."""
        ...

    def free(self, address: int) -> None:
        """Give device memory back."""
        ...

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array in page-locked host memory, which copies need to be asynchronous."""
        ...

    def copy_in(self, address: int, source: Array) -> None:
        """Queue a copy of a contiguous pinned array to device memory."""
        ...

    def copy_out(self, target: Array, address: int) -> None:
        """Queue a copy of device memory to a contiguous pinned array."""
        ...

    def wait(self) -> None:
        """Return when everything queued so far is done; the thread sleeps meanwhile."""
        ...

    def close(self) -> None:
        """Release stream and context; arrays and addresses must be gone by then."""
        ...


class PycudaDevice:
    """A `Device` over PyCUDA, in the primary context that it shares with every other library.

    The context is pushed for the length of `current()` only, so any thread may call, one at a
    time, and nothing is left on PyCUDA's context stack at exit.
    """

    def __init__(self, driver: Any, index: int) -> None:
        self._driver = driver
        gpu = driver.Device(index)
        self.name: str = gpu.name()
        self.capability = "{}.{}".format(*gpu.compute_capability())
        self._allocations: dict[int, Any] = {}
        self._context = gpu.retain_primary_context()
        with self.current():
            self._stream = driver.Stream()
            # A blocking event lets the CPU sleep: on a Jetson, spinning takes power from the GPU.
            self._done = driver.Event(driver.event_flags.BLOCKING_SYNC)

    @property
    def stream(self) -> int:
        """The handle of the stream, as TensorRT takes it."""
        return int(self._stream.handle)

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Push the primary context, and pop it whatever happens."""
        with _cuda_errors(self._driver):
            self._context.push()
            try:
                yield
            finally:
                self._context.pop()

    def malloc(self, nbytes: int) -> int:
        """Return the address of new device memory."""
        allocation = self._driver.mem_alloc(nbytes)
        self._allocations[int(allocation)] = allocation
        return int(allocation)

    def free(self, address: int) -> None:
        """Give device memory back."""
        self._allocations.pop(address).free()

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array in page-locked host memory."""
        array: Array = self._driver.pagelocked_empty(shape, dtype)
        return array

    def copy_in(self, address: int, source: Array) -> None:
        """Queue a copy of a contiguous pinned array to device memory."""
        self._driver.memcpy_htod_async(address, source, self._stream)

    def copy_out(self, target: Array, address: int) -> None:
        """Queue a copy of device memory to a contiguous pinned array."""
        self._driver.memcpy_dtoh_async(target, address, self._stream)

    def wait(self) -> None:
        """Sleep until everything queued so far is done."""
        self._done.record(self._stream)
        self._done.synchronize()

    def close(self) -> None:
        """Drop stream, event and our hold on the context."""
        if self._context is not None:
            with self.current():
                del self._stream, self._done
            self._context = None


def open_device(index: int = 0) -> Device:
    """Return the CUDA device of that number.

    Raises:
        EngineError: PyCUDA or the CUDA driver is missing, or there is no such GPU.
    """
    try:
        import pycuda.driver as driver
    except ImportError as e:
        raise EngineError(
            f"TensorRT needs a CUDA GPU and PyCUDA, which does not start here ({one_line(e)}); "
            "on a machine with an NVIDIA GPU: pip install pycuda"
        ) from e
    with _cuda_errors(driver):
        driver.init()
        count = driver.Device.count()
        if index >= count:
            raise EngineError(f"expected CUDA GPU number {index}, found {count} GPUs")
        return PycudaDevice(driver, index)


@contextlib.contextmanager
def _cuda_errors(driver: Any) -> Iterator[None]:
    try:
        yield
    except driver.Error as e:
        raise EngineError(
            f"CUDA: {one_line(e)}; see that the GPU is free and its driver works"
        ) from e
