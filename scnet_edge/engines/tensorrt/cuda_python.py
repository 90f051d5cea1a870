"""A CUDA device over cuda-python; its calls return (error, values...), and every error is checked.

On an H100 a device was opened, asked for its name, capability and free memory, and closed. Buffers,
copies and graphs were only held to the installed package's signatures, by a stand-in in the tests.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from scnet_edge.engines.base import Array
from scnet_edge.engines.tensorrt.cuda import Buffer, check_index
from scnet_edge.errors import EngineError

log = logging.getLogger(__name__)


class CudaPythonDevice:
    """A `Device` over the CUDA runtime API, in the primary context, which needs no push and pop."""

    errors: tuple[type[Exception], ...] = ()  # every failure is already an EngineError

    def __init__(self, runtime: Any, index: int) -> None:
        self._runtime = runtime
        self._call("cudaSetDevice", index)
        attributes = runtime.cudaDeviceAttr
        number = [
            self._call("cudaDeviceGetAttribute", attribute, index)
            for attribute in (
                attributes.cudaDevAttrComputeCapabilityMajor,
                attributes.cudaDevAttrComputeCapabilityMinor,
                attributes.cudaDevAttrIntegrated,
            )
        ]
        self.capability = f"{number[0]}.{number[1]}"
        self.integrated = bool(number[2])
        self.name = _text(self._call("cudaGetDeviceProperties", index).name)
        # Not blocked by the default stream, as capturing a graph asks for.
        self._stream = self._call("cudaStreamCreateWithFlags", runtime.cudaStreamNonBlocking)
        # A blocking event lets the CPU sleep: on a Jetson, spinning takes power from the GPU.
        self._done = self._call("cudaEventCreateWithFlags", runtime.cudaEventBlockingSync)
        self._host: list[int] = []
        self._device: list[int] = []
        self._graphs: list[Any] = []
        self._closed = False

    @property
    def stream(self) -> int:
        """The handle of the stream, as TensorRT takes it."""
        return int(self._stream)

    def free_bytes(self) -> int:
        """Return the GPU memory that is free."""
        return int(self._call("cudaMemGetInfo")[0])

    def buffer(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
        """Return memory for a tensor: mapped on an integrated GPU, a pair elsewhere."""
        nbytes = int(np.prod(shape)) * dtype.itemsize
        kind = "Mapped" if self.integrated else "Default"
        pointer = self._call(
            "cudaHostAlloc", nbytes, getattr(self._runtime, f"cudaHostAlloc{kind}")
        )
        self._host.append(pointer)
        host = _array_at(int(pointer), nbytes).view(dtype).reshape(shape)
        if self.integrated:
            address = self._call("cudaHostGetDevicePointer", pointer, 0)
        else:
            address = self._call("cudaMalloc", nbytes)
            self._device.append(address)
        return Buffer(host, int(address), self.integrated)

    def copy_in(self, buffer: Buffer) -> None:
        """Queue a copy from host to device."""
        self._copy(buffer, "HostToDevice", buffer.address, buffer.host.ctypes.data)

    def copy_out(self, buffer: Buffer) -> None:
        """Queue a copy from device to host."""
        self._copy(buffer, "DeviceToHost", buffer.host.ctypes.data, buffer.address)

    def capture(self, work: Callable[[], None]) -> Callable[[], None] | None:
        """Return what replays `work` as one launch; None when a part of it cannot be captured."""
        runtime = self._runtime
        mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", self._stream, mode)
        try:
            work()
            graph = self._call("cudaStreamEndCapture", self._stream)
        except EngineError as e:
            runtime.cudaStreamEndCapture(self._stream)  # leaves capture mode; its error is e's
            log.warning("no CUDA graph, each frame is queued call by call: %s", e)
            return None
        replay = self._call("cudaGraphInstantiateWithFlags", graph, 0)
        self._call("cudaGraphDestroy", graph)
        self._graphs.append(replay)
        return lambda: self._call("cudaGraphLaunch", replay, self._stream)

    def wait(self) -> None:
        """Sleep until everything queued so far is done."""
        self._call("cudaEventRecord", self._done, self._stream)
        self._call("cudaEventSynchronize", self._done)

    def close(self) -> None:
        """Release graphs, buffers, event and stream."""
        if self._closed:
            return
        self._closed = True
        for call, handles in (
            ("cudaGraphExecDestroy", self._graphs),
            ("cudaFree", self._device),
            ("cudaFreeHost", self._host),
            ("cudaEventDestroy", [self._done]),
            ("cudaStreamDestroy", [self._stream]),
        ):
            for handle in handles:
                self._call(call, handle)

    def _copy(self, buffer: Buffer, kind: str, target: int, source: int) -> None:
        if not buffer.mapped:
            direction = getattr(self._runtime.cudaMemcpyKind, f"cudaMemcpy{kind}")
            nbytes = buffer.host.nbytes
            self._call("cudaMemcpyAsync", target, source, nbytes, direction, self._stream)

    def _call(self, name: str, *arguments: Any) -> Any:
        return call(self._runtime, name, *arguments)


def call(runtime: Any, name: str, *arguments: Any) -> Any:
    """Return what a call of the CUDA runtime gives: nothing, a value, or a tuple of them."""
    error, *values = getattr(runtime, name)(*arguments)
    if int(error):
        said = _text(runtime.cudaGetErrorString(error)[1])
        raise EngineError(f"CUDA: {name} failed: {said}")
    return values[0] if len(values) == 1 else tuple(values)


def open_device(index: int) -> CudaPythonDevice:
    """Return the CUDA device of that number, current in this thread."""
    new = find_spec("cuda.bindings")  # before 12.6 the package had another shape
    runtime = import_module("cuda.bindings.runtime" if new else "cuda.cudart")
    try:
        count = call(runtime, "cudaGetDeviceCount")
    except EngineError as e:
        raise EngineError(
            f"expected an NVIDIA GPU and its driver, found none ({e}); name another engine, such "
            "as openvino"
        ) from e
    check_index(index, count)
    return CudaPythonDevice(runtime, index)


def _array_at(address: int, nbytes: int) -> Array:
    return np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(address))


def _text(value: bytes | str) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    return text.rstrip("\0")
