"""TensorRT on an NVIDIA GPU: one source for 8.5 to 11 and for TensorRT-RTX.

Only the I/O-tensor calls and `execute_async_v3`, which all of them have. One worker thread owns the
device, the engine, its context, stream and buffers, from opening to closing: an execution context
is not for several threads, and a CUDA context is current in one.

Never run on real hardware: the one GPU that was at hand, an H100, TensorRT-RTX refuses. The tests
stand in for the GPU and for the execution context.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from scnet_edge.engines.base import Array, TensorSpec, check_feeds, check_graph_file
from scnet_edge.engines.compiled import (
    COMPILED,
    CompiledGraph,
    check_identity,
    mend,
    plan_name,
    read_code,
    read_compiled,
    tensor_text,
)
from scnet_edge.engines.tensorrt.builder import BuildSettings, build_plan
from scnet_edge.engines.tensorrt.cuda import Buffer, Device, open_device
from scnet_edge.engines.tensorrt.library import deserialise, numpy_dtype, require_kernels
from scnet_edge.errors import EngineError, one_line

log = logging.getLogger(__name__)


class TensorRTBackend:
    """A `Backend` whose every call to CUDA and TensorRT happens in one thread of its own.

    Args:
        open_session: Opens device and engine; called in that thread.
    """

    def __init__(self, open_session: Callable[[], Session]) -> None:
        self._thread: ThreadPoolExecutor | None = ThreadPoolExecutor(1, "tensorrt")
        try:
            self._session = self._thread.submit(open_session).result()
        except BaseException:
            self._thread.shutdown()
            raise
        self.name = self._session.name
        self.tensors = self._session.tensors

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Map named inputs to named outputs, each a fresh array."""
        if self._thread is None:
            raise EngineError("this TensorRT backend is closed; open another")
        return self._thread.submit(self._session.run, feeds).result()

    def close(self) -> None:
        """Release context, buffers, engine and device, in that order, and end the thread."""
        if self._thread is not None:
            thread, self._thread = self._thread, None
            thread.submit(self._session.close).result()
            thread.shutdown()


class Session:
    """One engine with its execution context and its buffers, allocated once; for one thread.

    Shapes and addresses never change, so a whole frame, copies included, is captured as one CUDA
    graph where the device can, and replayed.

    Args:
        engine: An `ICudaEngine` of static shapes.
        device: The GPU the engine was deserialised on; closed with the session.
    """

    def __init__(self, engine: Any, device: Device) -> None:
        self.name = f"tensorrt {device.name}"
        self._engine, self._device = engine, device
        self._inputs: dict[str, TensorSpec] = {}
        self._outputs: list[str] = []
        self._buffers: dict[str, Buffer] = {}
        self._context: Any = None
        self._closed = False
        with contextlib.ExitStack() as on_failure, self._cuda():
            on_failure.callback(self.close)
            self._context = engine.create_execution_context()
            if self._context is None:
                raise EngineError("TensorRT made no execution context; free some GPU memory")
            for i in range(engine.num_io_tensors):
                self._bind(engine.get_tensor_name(i))
            self._launch = self._capture() or self._enqueue
            on_failure.pop_all()

    @property
    def tensors(self) -> dict[str, str]:
        """Inputs and outputs, as `CompiledGraph.tensors` has them."""
        return {name: tensor_text(b.host.shape, b.host.dtype) for name, b in self._buffers.items()}

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Map named inputs to named outputs, each a fresh array."""
        check_feeds(feeds, self._inputs)
        with self._cuda():
            for name, array in feeds.items():
                np.copyto(self._buffers[name].host, array)
            self._launch()
            self._device.wait()
        return {name: self._buffers[name].host.copy() for name in self._outputs}

    def close(self) -> None:
        """Release context, buffers, engine and device, in that order."""
        if not self._closed:
            self._closed = True
            with self._cuda():
                self._context = None
                self._buffers.clear()
                self._engine = None
                self._device.close()

    def _bind(self, name: str) -> None:
        """Give a tensor of the engine its memory."""
        engine = self._engine
        spec = _spec(engine, name)
        self._buffers[name] = self._device.buffer(spec.shape, spec.dtype)
        accepted = self._context.set_tensor_address(name, self._buffers[name].address)
        if engine.get_tensor_mode(name).name == "INPUT":
            self._inputs[name] = spec
            accepted = accepted and self._context.set_input_shape(name, spec.shape)
        else:
            self._outputs.append(name)
        if not accepted:
            raise EngineError(f"TensorRT refused the buffer of {name!r}, {spec.shape} {spec.dtype}")

    def _enqueue(self) -> None:
        """Queue one frame: inputs in, the network, outputs out."""
        for name in self._inputs:
            self._device.copy_in(self._buffers[name])
        if not self._context.execute_async_v3(self._device.stream):
            raise EngineError("TensorRT failed to run the graph; its log names the layer")
        for name in self._outputs:
            self._device.copy_out(self._buffers[name])

    def _capture(self) -> Callable[[], None] | None:
        """Return what replays a frame as one launch; None where CUDA or TensorRT cannot."""
        for name in self._inputs:
            self._buffers[name].host[...] = 0
        self._enqueue()  # the first run does what TensorRT put off, which must not be captured
        self._device.wait()
        capturable = getattr(self._context, "is_stream_capturable", None)
        if capturable is not None and not capturable(self._device.stream):
            return None
        return self._device.capture(self._enqueue)

    @contextlib.contextmanager
    def _cuda(self) -> Any:
        try:
            yield
        except self._device.errors as e:
            raise EngineError(
                f"CUDA: {one_line(e)}; see that the GPU is free and its driver works"
            ) from e


def load(graph: Path, *, threads: int | None, cache: Path | None) -> TensorRTBackend:
    """Load the compiled code in `cache`, or build a plan in memory for this machine's GPU.

    A plan is only ever taken from a folder that `scnet-edge compile` wrote, whose hashes
    and identity are checked. Building takes minutes on a Jetson; `threads` limits its CPU threads.

    Raises:
        EngineError: no CUDA GPU here, TensorRT does not support it or cannot build or load the
            plan, or the plan is not for us.
        GraphError: TensorRT's parser refuses a node.
    """
    check_graph_file(graph)
    return TensorRTBackend(lambda: _open(graph, threads, cache))


def gpu_identity(device: Device) -> dict[str, str]:
    """Return what a plan depends on that only the GPU can tell."""
    return {"GPU": device.name, "compute capability": device.capability}


def _open(graph: Path, threads: int | None, cache: Path | None) -> Session:
    stored = cache if cache is not None and (cache / COMPILED).is_file() else None
    device = open_device()
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(device.close)
        if stored is None:
            require_kernels(device.capability)
            log.warning(
                "building a TensorRT plan for %s in memory, which takes a while; "
                "'scnet-edge compile BUNDLE' builds it once",
                device.name,
            )
            settings = BuildSettings(threads=threads, free_bytes=device.free_bytes())
            plan = build_plan(graph, settings).plan
            session = Session(deserialise(plan, "'scnet-edge doctor' says what is known"), device)
        else:
            record = read_compiled(stored)
            check_identity(stored, record, gpu_identity(device))
            plan = read_code(stored, record, plan_name(graph))
            session = Session(deserialise(plan, mend(stored)), device)
            _check_tensors(session, record.graphs[graph.name], mend(stored))
            if record.choice is not None and record.choice.precision == "fp16":
                session.name += " FP16"
        on_failure.pop_all()
    return session


def _check_tensors(session: Session, compiled: CompiledGraph, remedy: str) -> None:
    """Raise EngineError where the engine takes or gives anything else than was recorded."""
    found = session.tensors
    if found != compiled.tensors:
        session.close()
        raise EngineError(f"the plan has {found}, expected {compiled.tensors}; {remedy}")


def _spec(engine: Any, name: str) -> TensorSpec:
    shape, dtype = tuple(engine.get_tensor_shape(name)), engine.get_tensor_dtype(name)
    if min(shape, default=1) < 0:
        raise EngineError(
            f"tensor {name!r}: expected a static shape, found {shape}; "
            "build the bundle again with 'scnet-edge build'"
        )
    return TensorSpec(shape=shape, dtype=numpy_dtype(name, dtype))
