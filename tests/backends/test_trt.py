"""The TensorRT runner without TensorRT's hardware: device and engine are stood in for.

The stand-ins keep the contracts of PyCUDA and of the I/O-tensor API and record every call.
The one test that runs on a real GPU is marked `gpu`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from scnet_edge.backends.base import open_backend
from scnet_edge.backends.cuda import PycudaDevice, open_device
from scnet_edge.backends.trt import TensorRTBackend, cached_plan, plan_key
from scnet_edge.errors import EngineError

Array = npt.NDArray[Any]
STREAM = 77


class Device:
    """A GPU in a dict: address -> bytes. Refuses calls outside `current()` and a late close."""

    name = "Test GPU"
    capability = "8.7"
    stream = STREAM

    def __init__(self, *, allocations: int = 99) -> None:
        self.calls: list[str] = []
        self.memory: dict[int, Array] = {}
        self.queue: list[Callable[[], None]] = []
        self.allocations = allocations
        self.depth = 0
        self.closed = False

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        assert not self.closed
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def _called(self, name: str) -> None:
        assert self.depth, f"{name} outside current()"
        self.calls.append(name)

    def malloc(self, nbytes: int) -> int:
        self._called("malloc")
        if len(self.memory) == self.allocations:
            raise EngineError("CUDA: out of memory")
        address = 4096 * (len(self.memory) + 1)
        self.memory[address] = np.zeros(nbytes, np.uint8)
        return address

    def free(self, address: int) -> None:
        self._called("free")
        del self.memory[address]

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        self._called("pinned")
        return np.empty(shape, dtype)

    def copy_in(self, address: int, source: Array) -> None:
        self._called("copy_in")

        def copy() -> None:
            self.memory[address][:] = source.reshape(-1).view(np.uint8)

        self.queue.append(copy)

    def copy_out(self, target: Array, address: int) -> None:
        self._called("copy_out")

        def copy() -> None:
            target.reshape(-1).view(np.uint8)[:] = self.memory[address]

        self.queue.append(copy)

    def wait(self) -> None:
        self._called("wait")
        for work in self.queue:  # nothing happens before: copies and kernels are asynchronous
            work()
        self.queue.clear()

    def close(self) -> None:
        assert not self.memory, "memory left on the device"
        self.closed = True


class Context:
    """probability = frame / 255, channel 0, computed in device memory when the queue runs."""

    def __init__(self, device: Device, *, succeeds: bool, accepts: bool) -> None:
        self.device, self.succeeds, self.accepts = device, succeeds, accepts
        self.addresses: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return self.accepts

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = shape
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == STREAM
        self.device._called("execute")

        def kernel() -> None:
            memory = self.device.memory
            frame = memory[self.addresses["frame"]].reshape(1, 4, 6, 3)
            probability = (frame[..., 0] / np.float32(255)).astype(np.float32)
            memory[self.addresses["probability"]][:] = probability.reshape(-1).view(np.uint8)

        self.device.queue.append(kernel)
        return self.succeeds


class Engine:
    """The questions `TensorRTBackend` asks an ICudaEngine."""

    tensors = {  # noqa: RUF012
        "frame": ("INPUT", (1, 4, 6, 3), "UINT8"),
        "probability": ("OUTPUT", (1, 4, 6), "FLOAT"),
    }

    def __init__(self, device: Device, *, succeeds: bool = True, accepts: bool = True) -> None:
        self.context: Context | None = Context(device, succeeds=succeeds, accepts=accepts)

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    def get_tensor_name(self, i: int) -> str:
        return list(self.tensors)[i]

    def get_tensor_mode(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(name=self.tensors[name][0])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name][1]

    def get_tensor_dtype(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(name=self.tensors[name][2])

    def create_execution_context(self) -> Context | None:
        return self.context


FRAME = np.random.default_rng(0).integers(0, 256, (1, 4, 6, 3), np.uint8)


def test_numbers_and_order_of_calls() -> None:
    device = Device()
    engine = Engine(device)
    backend = TensorRTBackend(engine, device)
    assert backend.name == "tensorrt Test GPU"
    assert engine.context is not None
    assert engine.context.shapes == {"frame": (1, 4, 6, 3)}
    assert device.calls == ["pinned", "malloc"] * 2
    for frame in (FRAME, 255 - FRAME, FRAME[:, :, ::-1]):
        device.calls.clear()
        outputs = backend.run({"frame": frame})
        assert device.calls == ["copy_in", "execute", "copy_out", "wait"]  # allocates nothing
        assert outputs.keys() == {"probability"}
        np.testing.assert_allclose(outputs["probability"], frame[..., 0] / 255, rtol=1e-6)


def test_outputs_are_the_callers_to_keep() -> None:
    device = Device()
    backend = TensorRTBackend(Engine(device), device)
    first = backend.run({"frame": FRAME})["probability"]
    kept = first.copy()
    backend.run({"frame": 255 - FRAME})
    np.testing.assert_array_equal(first, kept)
    backend.close()
    np.testing.assert_array_equal(first, kept)


def test_close_frees_everything_and_twice_is_harmless() -> None:
    device = Device()
    backend = TensorRTBackend(Engine(device), device)
    backend.close()
    assert device.closed
    assert device.calls.count("free") == 2
    backend.close()
    with pytest.raises(EngineError, match="closed"):
        backend.run({"frame": FRAME})


def test_a_failed_execution_is_an_error() -> None:
    device = Device()
    backend = TensorRTBackend(Engine(device, succeeds=False), device)
    with pytest.raises(EngineError, match="failed to run"):
        backend.run({"frame": FRAME})
    assert "copy_out" not in device.calls
    backend.close()
    assert device.closed


def test_feeds_are_checked_before_the_gpu_sees_them() -> None:
    device = Device()
    backend = TensorRTBackend(Engine(device), device)
    with pytest.raises(EngineError, match="expected"):
        backend.run({"frame": FRAME[:, :2]})
    assert "copy_in" not in device.calls


def test_what_cannot_be_opened_leaves_nothing_behind() -> None:
    device = Device(allocations=1)
    with pytest.raises(EngineError, match="out of memory"):
        TensorRTBackend(Engine(device), device)
    assert device.closed

    device = Device()
    with pytest.raises(EngineError, match="refused the buffer of 'frame'"):
        TensorRTBackend(Engine(device, accepts=False), device)
    assert device.closed

    device = Device()
    engine = Engine(device)
    engine.context = None
    with pytest.raises(EngineError, match="no execution context"):
        TensorRTBackend(engine, device)
    assert device.closed


@pytest.mark.parametrize(("shape", "dtype"), [((1, -1, 6), "FLOAT"), ((1, 4, 6), "FP8")])
def test_tensors_of_no_use_to_us(shape: tuple[int, ...], dtype: str) -> None:
    device = Device()
    engine = Engine(device)
    engine.tensors = {**Engine.tensors, "probability": ("OUTPUT", shape, dtype)}
    with pytest.raises(EngineError, match="'probability': expected a static shape"):
        TensorRTBackend(engine, device)
    assert device.closed


needs_tensorrt = pytest.mark.skipif(
    not (find_spec("tensorrt") or find_spec("tensorrt_rtx")),
    reason="TensorRT is not installed: the key of a cached plan needs its version",
)


@needs_tensorrt
def test_a_plan_is_built_once_per_graph_and_gpu(tmp_path: Path) -> None:
    graph, cache, device = tmp_path / "fused.onnx", tmp_path / "cache", Device()
    graph.write_bytes(b"one graph")
    built: list[bytes] = []

    def build() -> bytes:
        built.append(b"plan %d" % len(built))
        return built[-1]

    assert cached_plan(graph, device, None, build) == b"plan 0"
    for _ in range(2):
        assert cached_plan(graph, device, cache, build) == b"plan 1"
    graph.write_bytes(b"another graph")
    assert cached_plan(graph, device, cache, build) == b"plan 2"
    device.capability = "8.9"
    assert cached_plan(graph, device, cache, build) == b"plan 3"
    device.name = "Another GPU"
    assert cached_plan(graph, device, cache, build) == b"plan 4"
    assert len(list(cache.iterdir())) == 4  # and no half-written file


@needs_tensorrt
def test_a_failed_build_leaves_no_plan(tmp_path: Path) -> None:
    graph, cache = tmp_path / "fused.onnx", tmp_path / "cache"
    graph.write_bytes(b"one graph")

    def build() -> bytes:
        raise EngineError("TensorRT cannot build it")

    with pytest.raises(EngineError):
        cached_plan(graph, Device(), cache, build)
    assert not cache.exists()
    assert len(plan_key(graph, Device())) == 64


class Driver:
    """The calls of `pycuda.driver` that we make, and PyCUDA's rule for its context stack."""

    class Error(Exception):
        pass

    event_flags = SimpleNamespace(BLOCKING_SYNC=1)

    def __init__(self) -> None:
        self.stack: list[str] = []
        self.freed: list[int] = []

    def Device(self, index: int) -> SimpleNamespace:
        context = SimpleNamespace(push=lambda: self.stack.append("context"), pop=self.stack.pop)
        return SimpleNamespace(
            name=lambda: "Orin",
            compute_capability=lambda: (8, 7),
            retain_primary_context=lambda: context,
        )

    def Stream(self) -> SimpleNamespace:
        assert self.stack
        return SimpleNamespace(handle=STREAM)

    def Event(self, flags: int) -> SimpleNamespace:
        assert self.stack
        assert flags == self.event_flags.BLOCKING_SYNC
        return SimpleNamespace(record=lambda stream: None, synchronize=lambda: None)

    def mem_alloc(self, nbytes: int) -> Any:
        if nbytes > 1000:
            raise self.Error("cuMemAlloc failed:\nout of memory")
        driver = self

        class Allocation:
            def __int__(self) -> int:
                return 4096

            def free(self) -> None:
                driver.freed.append(4096)

        return Allocation()


def test_pycuda_context_is_popped_whatever_happens() -> None:
    driver = Driver()
    device = PycudaDevice(driver, 0)
    assert (device.name, device.capability, device.stream) == ("Orin", "8.7", STREAM)
    assert not driver.stack
    with device.current():
        assert driver.stack
        address = device.malloc(10)
        device.wait()
        device.free(address)
    assert driver.freed == [4096]
    with (
        pytest.raises(EngineError, match="CUDA: cuMemAlloc failed: out of memory"),
        device.current(),
    ):
        device.malloc(2000)
    with pytest.raises(ZeroDivisionError), device.current():
        _ = 1 // 0
    device.close()
    device.close()
    assert not driver.stack


@needs_tensorrt
def test_without_a_gpu_the_error_says_what_is_missing(cases: Callable[[str], Any]) -> None:
    with contextlib.suppress(EngineError):
        open_device().close()
        pytest.skip("this machine has a CUDA GPU")
    with pytest.raises(EngineError, match="GPU") as e:
        open_backend("tensorrt", cases("batch").graphs["fp16"])
    assert "\n" not in str(e.value)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("network", "precision", "mean_error"),
    [("batch", "fp32", 1e-4), ("instance", "fp32", 1e-4), ("batch", "fp16", 0.05)],
)
def test_on_a_gpu(
    network: str, precision: str, mean_error: float, cases: Callable[[str], Any], tmp_path: Path
) -> None:
    try:
        open_device().close()
    except EngineError as e:
        pytest.skip(str(e))
    case = cases(network)
    for _ in range(2):  # built, then from the cache
        backend = open_backend("tensorrt", case.graphs[precision], cache=tmp_path)
        for _ in range(3):
            outputs = backend.run({"frame": case.frame})
        backend.close()
        error = np.abs(outputs["probability"] - case.reference["probability"]).mean()
        assert error < mean_error
    assert len(list(tmp_path.glob("*.plan"))) == 1
