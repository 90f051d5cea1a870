"""A CUDA device over PyCUDA, which builds on every JetPack; it has no CUDA graphs.

Tested with a stand-in for the driver; it never ran on real hardware.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from scnet_edge.engines.tensorrt.cuda import Buffer, check_index
from scnet_edge.errors import EngineError, one_line


class PycudaDevice:
    """A `Device` over PyCUDA, in the primary context that it shares with every other library.

    The context stays pushed in the thread that opened the device until `close`, so that nothing is
    left on PyCUDA's context stack at exit.
    """

    def __init__(self, driver: Any, index: int) -> None:
        self._driver = driver
        self.errors: tuple[type[Exception], ...] = (driver.Error,)
        gpu = driver.Device(index)
        self.name: str = gpu.name()
        self.capability = "{}.{}".format(*gpu.compute_capability())
        self.integrated = bool(gpu.get_attribute(driver.device_attribute.INTEGRATED))
        self._memory: list[Any] = []
        self._context: Any = gpu.retain_primary_context()
        self._context.push()
        self._stream = driver.Stream()
        # A blocking event lets the CPU sleep: on a Jetson, spinning takes power from the GPU.
        self._done = driver.Event(driver.event_flags.BLOCKING_SYNC)

    @property
    def stream(self) -> int:
        """The handle of the stream, as TensorRT takes it."""
        return int(self._stream.handle)

    def free_bytes(self) -> int:
        """Return the GPU memory that is free."""
        return int(self._driver.mem_get_info()[0])

    def buffer(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
        """Return memory for a tensor: mapped on an integrated GPU, a pair elsewhere."""
        flags = self._driver.host_alloc_flags.DEVICEMAP if self.integrated else 0
        host = self._driver.pagelocked_empty(shape, dtype, mem_flags=flags)
        if self.integrated:
            return Buffer(host, int(host.base.get_device_pointer()), True)
        memory = self._driver.mem_alloc(host.nbytes)
        self._memory.append(memory)
        return Buffer(host, int(memory), False)

    def copy_in(self, buffer: Buffer) -> None:
        """Queue a copy from host to device."""
        if not buffer.mapped:
            self._driver.memcpy_htod_async(buffer.address, buffer.host, self._stream)

    def copy_out(self, buffer: Buffer) -> None:
        """Queue a copy from device to host."""
        if not buffer.mapped:
            self._driver.memcpy_dtoh_async(buffer.host, buffer.address, self._stream)

    def capture(self, work: Callable[[], None]) -> None:
        """Return None: PyCUDA has no CUDA graphs."""

    def wait(self) -> None:
        """Sleep until everything queued so far is done."""
        self._done.record(self._stream)
        self._done.synchronize()

    def close(self) -> None:
        """Free the memory, drop stream and event, and give the context back."""
        if self._context is None:
            return
        for memory in self._memory:
            memory.free()
        del self._stream, self._done
        self._context.pop()
        self._context = None


def open_device(index: int) -> PycudaDevice:
    """Return the CUDA device of that number, current in this thread."""
    import pycuda.driver as driver

    try:
        driver.init()
        check_index(index, driver.Device.count())
        return PycudaDevice(driver, index)
    except driver.Error as e:
        raise EngineError(
            f"CUDA: {one_line(e)}; see that the GPU is free and its driver works"
        ) from e
