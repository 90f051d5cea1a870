"""The two CUDA packages behind one interface, but for one test without a GPU.

cuda-python is installed, so the fake of it answers only calls that the real one has, with the
numbers of arguments that it takes; PyCUDA needs a CUDA toolkit to build and is stood in for.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scnet_edge.engines.tensorrt import cuda
from scnet_edge.engines.tensorrt.cuda import open_device
from scnet_edge.engines.tensorrt.cuda_pycuda import PycudaDevice
from scnet_edge.engines.tensorrt.cuda_python import CudaPythonDevice, call
from scnet_edge.errors import EngineError

real = pytest.importorskip(
    "cuda.bindings.runtime",
    reason="cuda-bindings is not installed: its calls are not checked",
    exc_type=ImportError,
)


def arguments_of(name: str) -> int:
    """Return how many arguments a call of the real package takes, from its documented signature."""
    signature = re.match(rf"{name}\((.*?)\)", getattr(real, name).__doc__)
    assert signature, name
    return len([a for a in signature[1].split(",") if a.strip()])


class Runtime:
    """cuda-python's runtime with host memory for device memory; what it names is the real one's."""

    def __init__(self, *, integrated: bool = False, fails: str = "") -> None:
        self.integrated, self.fails = integrated, fails
        self.calls: list[str] = []
        self.alive: dict[int, Any] = {}
        self.recording: list[Callable[[], None]] | None = None

    def __getattr__(self, name: str) -> Any:
        if not callable(value := getattr(real, name)) or name in ("cudaDeviceAttr",):
            return value
        if isinstance(value, type):
            return value

        def called(*arguments: Any) -> tuple[Any, ...]:
            if name != "cudaGetErrorString":
                assert len(arguments) == arguments_of(name), name
            self.calls.append(name)
            if name == self.fails:
                return (real.cudaError_t.cudaErrorMemoryAllocation, None)
            answer = getattr(self, f"_{name}", lambda *_: ())(*arguments)
            return (real.cudaError_t.cudaSuccess, *answer)

        return called

    def _memory(self, nbytes: int) -> tuple[int]:
        block = (ctypes.c_uint8 * nbytes)()
        self.alive[ctypes.addressof(block)] = block
        return (ctypes.addressof(block),)

    def _cudaGetErrorString(self, error: Any) -> tuple[bytes]:
        return (b"out of memory",)

    def _cudaDeviceGetAttribute(self, attribute: Any, index: int) -> tuple[int]:
        known = real.cudaDeviceAttr
        return (
            {
                known.cudaDevAttrComputeCapabilityMajor: 8,
                known.cudaDevAttrComputeCapabilityMinor: 7,
                known.cudaDevAttrIntegrated: int(self.integrated),
            }[attribute],
        )

    def _cudaGetDeviceProperties(self, index: int) -> tuple[Any]:
        return (SimpleNamespace(name=b"Orin\0\0"),)

    def _cudaStreamCreateWithFlags(self, flags: int) -> tuple[int]:
        assert flags == real.cudaStreamNonBlocking
        return (77,)

    def _cudaEventCreateWithFlags(self, flags: int) -> tuple[int]:
        assert flags == real.cudaEventBlockingSync
        return (88,)

    def _cudaMemGetInfo(self) -> tuple[int, int]:
        return (5, 8)

    def _cudaHostAlloc(self, nbytes: int, flags: int) -> tuple[int]:
        expected = real.cudaHostAllocMapped if self.integrated else real.cudaHostAllocDefault
        assert flags == expected
        return self._memory(nbytes)

    def _cudaHostGetDevicePointer(self, pointer: int, flags: int) -> tuple[int]:
        return (pointer,)

    def _cudaMalloc(self, nbytes: int) -> tuple[int]:
        return self._memory(nbytes)

    def _cudaFree(self, address: int) -> tuple[()]:
        del self.alive[address]
        return ()

    def _cudaFreeHost(self, address: int) -> tuple[()]:
        del self.alive[address]
        return ()

    def _cudaMemcpyAsync(
        self, target: int, source: int, nbytes: int, kind: Any, stream: int
    ) -> tuple[()]:
        assert stream == 77
        work = lambda: ctypes.memmove(target, source, nbytes)  # noqa: E731
        work() if self.recording is None else self.recording.append(work)
        return ()

    def _cudaStreamBeginCapture(self, stream: int, mode: Any) -> tuple[()]:
        assert mode == real.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self.recording = []
        return ()

    def _cudaStreamEndCapture(self, stream: int) -> tuple[list[Callable[[], None]]]:
        assert self.recording is not None
        graph, self.recording = self.recording, None
        return (graph,)

    def _cudaGraphInstantiateWithFlags(self, graph: Any, flags: int) -> tuple[Any]:
        return (graph,)

    def _cudaGraphLaunch(self, graph: list[Callable[[], None]], stream: int) -> tuple[()]:
        for work in graph:
            work()
        return ()


@pytest.mark.parametrize("integrated", [False, True])
def test_cuda_python_moves_bytes_both_ways(integrated: bool) -> None:
    runtime = Runtime(integrated=integrated)
    device = CudaPythonDevice(runtime, 0)
    assert (device.name, device.capability, device.stream) == ("Orin", "8.7", 77)
    assert device.free_bytes() == 5
    buffer = device.buffer((2, 3), np.dtype(np.float16))
    assert buffer.mapped == integrated
    buffer.host[...] = 7
    device.copy_in(buffer)
    seen = (ctypes.c_uint8 * 12).from_address(buffer.address)
    assert bytes(seen) == np.full((2, 3), 7, np.float16).tobytes()
    ctypes.memset(buffer.address, 0, 12)
    device.copy_out(buffer)
    device.wait()
    assert not buffer.host.any()
    assert ("cudaMemcpyAsync" in runtime.calls) != integrated
    device.close()
    device.close()
    assert not runtime.alive
    assert runtime.calls.count("cudaStreamDestroy") == 1


def test_a_captured_graph_replays_its_copies() -> None:
    runtime = Runtime()
    device = CudaPythonDevice(runtime, 0)
    buffer = device.buffer((4,), np.dtype(np.uint8))
    launch = device.capture(lambda: device.copy_in(buffer))
    assert launch is not None
    for value in (1, 2):
        buffer.host[...] = value
        launch()
        assert bytes((ctypes.c_uint8 * 4).from_address(buffer.address)) == bytes([value] * 4)
    device.close()
    assert {"cudaGraphDestroy", "cudaGraphExecDestroy"} <= set(runtime.calls)


def test_what_cannot_be_captured_leaves_capture_mode(caplog: pytest.LogCaptureFixture) -> None:
    runtime = Runtime()
    device = CudaPythonDevice(runtime, 0)

    def refuses() -> None:
        raise EngineError("TensorRT failed to run the graph")

    assert device.capture(refuses) is None
    assert runtime.recording is None
    assert "no CUDA graph" in caplog.text
    device.close()


@pytest.mark.parametrize(
    "name", ["cudaSetDevice", "cudaStreamCreateWithFlags", "cudaHostAlloc", "cudaMalloc"]
)
def test_every_error_code_is_looked_at(name: str) -> None:
    with pytest.raises(EngineError, match=rf"CUDA: {name} failed: out of memory"):
        CudaPythonDevice(Runtime(fails=name), 0).buffer((4,), np.dtype(np.uint8))


@pytest.mark.skipif(
    real.cudaGetDeviceCount()[0] == real.cudaError_t.cudaSuccess, reason="there is a CUDA GPU"
)
def test_the_real_package_without_a_gpu() -> None:
    with pytest.raises(EngineError, match="CUDA: cudaGetDeviceCount failed: "):
        call(real, "cudaGetDeviceCount")
    with pytest.raises(EngineError, match="expected an NVIDIA GPU and its driver, found none") as e:
        open_device()
    assert "\n" not in str(e.value)


@pytest.mark.gpu
@pytest.mark.skipif(
    real.cudaGetDeviceCount()[0] != real.cudaError_t.cudaSuccess, reason="needs a CUDA GPU"
)
def test_the_real_package_on_a_gpu() -> None:
    there_and_back(CudaPythonDevice(real, 0))


def test_the_same_on_the_stand_in() -> None:
    there_and_back(CudaPythonDevice(Runtime(), 0))


def there_and_back(device: CudaPythonDevice) -> None:
    """Copy a value in and, after the host's own was wiped, out again: queued, then as graphs."""
    assert device.free_bytes() > 0
    buffer = device.buffer((2, 3), np.dtype(np.float16))
    queued = (lambda: device.copy_in(buffer), lambda: device.copy_out(buffer))
    replayed = [device.capture(work) for work in queued]
    for value, (put, get) in enumerate((queued, replayed, replayed), 1):
        assert put is not None
        assert get is not None
        buffer.host[...] = value
        put()
        device.wait()
        buffer.host[...] = value if buffer.mapped else 0
        get()
        device.wait()
        assert (buffer.host == value).all()
    device.close()


def test_no_package_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"found no package for it; .*pip install '\.\[cuda\]'"):
        open_device()


def test_a_package_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ImportError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(cuda, "import_module", broken)
    with pytest.raises(EngineError, match=r"cuda is installed but does not start: libcudart"):
        open_device()


class Driver:
    """The calls of `pycuda.driver` that we make, and PyCUDA's rule for its context stack."""

    class Error(Exception):
        pass

    event_flags = SimpleNamespace(BLOCKING_SYNC=1)
    device_attribute = SimpleNamespace(INTEGRATED=18)
    host_alloc_flags = SimpleNamespace(DEVICEMAP=2)

    def __init__(self, *, integrated: bool) -> None:
        self.integrated = integrated
        self.stack: list[str] = []
        self.copies: list[str] = []
        self.freed = 0

    def Device(self, index: int) -> SimpleNamespace:
        context = SimpleNamespace(push=lambda: self.stack.append("context"), pop=self.stack.pop)
        return SimpleNamespace(
            name=lambda: "Orin",
            compute_capability=lambda: (8, 7),
            get_attribute=lambda attribute: int(self.integrated and attribute == 18),
            retain_primary_context=lambda: context,
        )

    def Stream(self) -> SimpleNamespace:
        assert self.stack
        return SimpleNamespace(handle=77)

    def Event(self, flags: int) -> SimpleNamespace:
        assert self.stack
        assert flags == self.event_flags.BLOCKING_SYNC
        return SimpleNamespace(record=lambda stream: None, synchronize=lambda: None)

    def mem_get_info(self) -> tuple[int, int]:
        return (5, 8)

    def pagelocked_empty(self, shape: tuple[int, ...], dtype: Any, mem_flags: int) -> Any:
        assert self.stack
        assert mem_flags == (2 if self.integrated else 0)
        return Pinned(shape, dtype)

    def mem_alloc(self, nbytes: int) -> Any:
        driver = self

        class Allocation:
            def __int__(self) -> int:
                return 8192

            def free(self) -> None:
                driver.freed += 1

        return Allocation()

    def memcpy_htod_async(self, address: int, source: Any, stream: Any) -> None:
        self.copies.append("in")

    def memcpy_dtoh_async(self, target: Any, address: int, stream: Any) -> None:
        self.copies.append("out")


class Pinned(np.ndarray):
    """An array whose base is a `PagelockedHostAllocation`, as PyCUDA makes it."""

    @property
    def base(self) -> Any:
        return SimpleNamespace(get_device_pointer=lambda: 4096)


@pytest.mark.parametrize("integrated", [False, True])
def test_pycuda_keeps_its_context_until_it_is_closed(integrated: bool) -> None:
    driver = Driver(integrated=integrated)
    device = PycudaDevice(driver, 0)
    assert (device.name, device.capability, device.stream) == ("Orin", "8.7", 77)
    assert device.free_bytes() == 5
    buffer = device.buffer((2, 3), np.dtype(np.uint8))
    assert (buffer.address, buffer.mapped) == (4096 if integrated else 8192, integrated)
    device.copy_in(buffer)
    device.copy_out(buffer)
    device.wait()
    assert driver.copies == ([] if integrated else ["in", "out"])
    assert device.capture(lambda: None) is None  # PyCUDA has no CUDA graphs
    assert driver.stack == ["context"]
    device.close()
    device.close()
    assert driver.stack == []
    assert driver.freed == (0 if integrated else 1)
