"""The TensorRT runner without TensorRT's hardware: device and engine are stood in for.

The stand-ins keep the contracts of the device and of the I/O-tensor API, record every call and
refuse any from another thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from scnet_edge.engines.tensorrt.cuda import Buffer
from scnet_edge.engines.tensorrt.execution import Session, TensorRTBackend
from scnet_edge.errors import EngineError

Array = npt.NDArray[Any]
STREAM = 77


class CudaError(Exception):
    """What a CUDA package raises."""


class Device:
    """A GPU in a dict: address -> bytes. Asynchronous, single-threaded, graphs on request."""

    name = "Test GPU"
    capability = "8.7"
    stream = STREAM
    errors = (CudaError,)

    def __init__(self, *, buffers: int = 99, integrated: bool = False, graphs: bool = True) -> None:
        self.calls: list[str] = []
        self.memory: dict[int, Array] = {}
        self.queue: list[Callable[[], None]] = []
        self.buffers, self.integrated, self.graphs = buffers, integrated, graphs
        self.captured: list[Callable[[], None]] | None = None
        self.closed = False
        self.thread = threading.get_ident()

    def called(self, name: str) -> None:
        assert threading.get_ident() == self.thread, f"{name} from another thread"
        assert not self.closed, f"{name} after close"
        self.calls.append(name)

    def put(self, work: Callable[[], None]) -> None:
        (self.queue if self.captured is None else self.captured).append(work)

    def free_bytes(self) -> int:
        return 4 << 30

    def buffer(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
        self.called("buffer")
        if len(self.memory) == self.buffers:
            raise CudaError("out of\nmemory")
        address = 4096 * (len(self.memory) + 1)
        host = np.empty(shape, dtype)
        own = host.reshape(-1).view(np.uint8)
        self.memory[address] = own if self.integrated else np.zeros(host.nbytes, np.uint8)
        return Buffer(host, address, self.integrated)

    def copy_in(self, buffer: Buffer) -> None:
        self.called("copy_in")
        if not buffer.mapped:
            bytes_ = buffer.host.reshape(-1).view(np.uint8)
            self.put(lambda: np.copyto(self.memory[buffer.address], bytes_))

    def copy_out(self, buffer: Buffer) -> None:
        self.called("copy_out")
        if not buffer.mapped:
            bytes_ = buffer.host.reshape(-1).view(np.uint8)
            self.put(lambda: np.copyto(bytes_, self.memory[buffer.address]))

    def capture(self, work: Callable[[], None]) -> Callable[[], None] | None:
        self.called("capture")
        if not self.graphs:
            return None
        self.captured = []
        work()
        graph, self.captured = self.captured, None

        def launch() -> None:
            self.called("launch")
            self.queue.extend(graph)

        return launch

    def wait(self) -> None:
        self.called("wait")
        for work in self.queue:  # nothing happens before: copies and kernels are asynchronous
            work()
        self.queue.clear()

    def close(self) -> None:
        assert threading.get_ident() == self.thread
        self.memory.clear()
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
        self.device.called("execute")

        def kernel() -> None:
            memory = self.device.memory
            frame = memory[self.addresses["frame"]].reshape(1, 4, 6, 3)
            probability = (frame[..., 0] / np.float32(255)).astype(np.float16)
            memory[self.addresses["probability"]][:] = probability.reshape(-1).view(np.uint8)

        self.device.put(kernel)
        return self.succeeds


class Engine:
    """The questions a `Session` asks an ICudaEngine."""

    tensors = {  # noqa: RUF012
        "frame": ("INPUT", (1, 4, 6, 3), "UINT8"),
        "probability": ("OUTPUT", (1, 4, 6), "HALF"),
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


@pytest.mark.parametrize("integrated", [False, True])
@pytest.mark.parametrize("graphs", [False, True])
def test_numbers_and_order_of_calls(integrated: bool, graphs: bool) -> None:
    device = Device(integrated=integrated, graphs=graphs)
    engine = Engine(device)
    session = Session(engine, device)
    assert session.name == "tensorrt Test GPU"
    assert session.tensors == {"frame": "1x4x6x3 uint8", "probability": "1x4x6 float16"}
    assert engine.context is not None
    assert engine.context.shapes == {"frame": (1, 4, 6, 3)}
    # A first run before the capture: TensorRT does then what must not be captured.
    opening = ["buffer", "buffer", "copy_in", "execute", "copy_out", "wait", "capture"]
    assert device.calls[:7] == opening
    for frame in (FRAME, 255 - FRAME, FRAME[:, :, ::-1]):
        device.calls.clear()
        outputs = session.run({"frame": frame})
        frame_calls = ["launch"] if graphs else ["copy_in", "execute", "copy_out"]
        assert device.calls == [*frame_calls, "wait"]  # allocates nothing
        assert outputs.keys() == {"probability"}
        assert outputs["probability"].dtype == np.float16
        np.testing.assert_allclose(outputs["probability"], frame[..., 0] / 255, atol=5e-4)


def backend_on(made: list[Device], **settings: Any) -> TensorRTBackend:
    def opened() -> Session:
        made.append(Device(**settings))
        return Session(Engine(made[0]), made[0])

    return TensorRTBackend(opened)


def test_one_thread_owns_the_gpu_whoever_calls() -> None:
    made: list[Device] = []
    backend = backend_on(made)
    assert made[0].thread != threading.get_ident()
    found: list[Array] = []
    callers = [
        threading.Thread(target=lambda: found.append(backend.run({"frame": FRAME})["probability"]))
        for _ in range(8)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 8
    for values in found:
        np.testing.assert_allclose(values, FRAME[..., 0] / 255, atol=5e-4)
    before = threading.active_count()
    backend.close()
    assert made[0].closed
    assert threading.active_count() == before - 1
    backend.close()
    with pytest.raises(EngineError, match="closed"):
        backend.run({"frame": FRAME})


def test_outputs_are_the_callers_to_keep() -> None:
    backend = backend_on([], integrated=True)  # mapped memory is where the next frame goes, too
    first = backend.run({"frame": FRAME})["probability"]
    kept = first.copy()
    backend.run({"frame": 255 - FRAME})
    np.testing.assert_array_equal(first, kept)
    backend.close()
    np.testing.assert_array_equal(first, kept)


def test_what_cannot_be_opened_leaves_no_thread() -> None:
    before = threading.active_count()
    with pytest.raises(EngineError, match="CUDA: out of memory; see"):
        backend_on([], buffers=1)
    assert threading.active_count() == before


def test_a_failed_execution_is_an_error() -> None:
    device = Device(graphs=False)
    with pytest.raises(EngineError, match="failed to run"):
        Session(Engine(device, succeeds=False), device)
    assert "copy_out" not in device.calls
    assert device.closed


def test_an_error_of_cuda_is_one_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device()
    session = Session(Engine(device), device)

    def lost() -> None:
        raise CudaError("an illegal memory\naccess")

    monkeypatch.setattr(device, "wait", lost)
    with pytest.raises(EngineError, match="CUDA: an illegal memory access; see"):
        session.run({"frame": FRAME})


def test_feeds_are_checked_before_the_gpu_sees_them() -> None:
    device = Device()
    session = Session(Engine(device), device)
    device.calls.clear()
    with pytest.raises(EngineError, match="expected"):
        session.run({"frame": FRAME[:, :2]})
    assert device.calls == []


def test_a_context_that_cannot_be_captured_is_queued_call_by_call() -> None:
    device = Device()
    engine = Engine(device)
    assert engine.context is not None
    engine.context.is_stream_capturable = lambda stream: False
    session = Session(engine, device)
    assert "capture" not in device.calls
    values = session.run({"frame": FRAME})["probability"]
    np.testing.assert_allclose(values, FRAME[..., 0] / 255, atol=5e-4)


def test_every_answer_of_tensorrt_is_looked_at() -> None:
    device = Device()
    with pytest.raises(EngineError, match="refused the buffer of 'frame'"):
        Session(Engine(device, accepts=False), device)
    assert device.closed

    device = Device()
    engine = Engine(device)
    engine.context = None
    with pytest.raises(EngineError, match="no execution context"):
        Session(engine, device)
    assert device.closed


@pytest.mark.parametrize(
    ("shape", "said"), [((1, -1, 6), "a static shape"), ((1, 4, 6), "one of FLOAT, HALF")]
)
def test_tensors_of_no_use_to_us(shape: tuple[int, ...], said: str) -> None:
    device = Device()
    engine = Engine(device)
    engine.tensors = {**Engine.tensors, "probability": ("OUTPUT", shape, "FP8")}
    with pytest.raises(EngineError, match=f"'probability': expected {said}"):
        Session(engine, device)
    assert device.closed
