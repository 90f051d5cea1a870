"""TensorRT on an NVIDIA GPU: one source for 8.5 to 11 and for TensorRT-RTX.

Only the I/O-tensor calls and `execute_async_v3`, which all of them have. The plan is built on the
GPU that runs it, since a plan fits one GPU and one TensorRT, and kept in the cache folder.

Never run on real hardware: the tests stand in for the GPU and for the execution context.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scnet_edge.backends.base import Array, TensorSpec, check_feeds, check_graph_file
from scnet_edge.backends.cuda import Device, open_device
from scnet_edge.backends.trt_build import deserialise, plan_from_onnx, tensorrt
from scnet_edge.errors import EngineError

log = logging.getLogger(__name__)

DTYPES = {"FLOAT": "float32", "HALF": "float16", "UINT8": "uint8", "INT32": "int32"}


class TensorRTBackend:
    """A `Backend` over one engine, its execution context and its buffers, allocated once.

    Args:
        engine: An `ICudaEngine` of static shapes.
        device: The GPU the engine was deserialised on; closed with the backend.
    """

    def __init__(self, engine: Any, device: Device) -> None:
        self.name = f"tensorrt {device.name}"
        self._engine, self._device = engine, device
        self._inputs: dict[str, TensorSpec] = {}
        self._outputs: list[str] = []
        self._addresses: dict[str, int] = {}
        self._host: dict[str, Array] = {}
        self._closing = contextlib.ExitStack()
        self._closing.callback(self._release)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.close)
            with device.current():
                self._context = engine.create_execution_context()
                if self._context is None:
                    raise EngineError("TensorRT made no execution context; free some GPU memory")
                for i in range(engine.num_io_tensors):
                    self._bind(engine.get_tensor_name(i))
            on_failure.pop_all()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Map named inputs to named outputs, each a fresh array."""
        if self._context is None:
            raise EngineError("this TensorRT backend is closed; open another")
        check_feeds(feeds, self._inputs)
        device = self._device
        with device.current():
            for name, array in feeds.items():
                np.copyto(self._host[name], array)
                device.copy_in(self._addresses[name], self._host[name])
            if not self._context.execute_async_v3(device.stream):
                raise EngineError("TensorRT failed to run the graph; its log names the layer")
            for name in self._outputs:
                device.copy_out(self._host[name], self._addresses[name])
            device.wait()
        return {name: self._host[name].copy() for name in self._outputs}

    def close(self) -> None:
        """Release context, buffers, engine and device, in that order."""
        self._closing.close()

    def _bind(self, name: str) -> None:
        """Give a tensor of the engine its memory on the device and in pinned host memory."""
        engine = self._engine
        spec = _spec(engine, name)
        self._host[name] = self._device.pinned(spec.shape, spec.dtype)
        self._addresses[name] = self._device.malloc(self._host[name].nbytes)
        accepted = self._context.set_tensor_address(name, self._addresses[name])
        if engine.get_tensor_mode(name).name == "INPUT":
            self._inputs[name] = spec
            accepted = accepted and self._context.set_input_shape(name, spec.shape)
        else:
            self._outputs.append(name)
        if not accepted:
            raise EngineError(f"TensorRT refused the buffer of {name!r}, {spec.shape} {spec.dtype}")

    def _release(self) -> None:
        with self._device.current():
            self._context = None
            for address in self._addresses.values():
                self._device.free(address)
            self._addresses.clear()
            self._host.clear()
            self._engine = None
        self._device.close()


def load(graph: Path, *, threads: int | None, cache: Path | None) -> TensorRTBackend:
    """Build the plan of an ONNX graph for this machine's GPU, or take it from `cache`, and load it.

    Building takes minutes on a Jetson; `threads` limits the CPU threads it uses. A plan in the
    cache is executable code: whoever can write there decides what runs.

    Raises:
        EngineError: no CUDA GPU here, or TensorRT cannot build or load the plan.
        GraphError: TensorRT's parser refuses a node.
    """
    check_graph_file(graph)
    device = open_device()
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(device.close)
        with device.current():
            build = functools.partial(plan_from_onnx, graph, target=None, threads=threads)
            engine = deserialise(cached_plan(graph, device, cache, build))
        on_failure.pop_all()
    return TensorRTBackend(engine, device)


def cached_plan(
    graph: Path, device: Device, cache: Path | None, build: Callable[[], bytes]
) -> bytes:
    """Return the plan of a graph for a device: the one in `cache`, else a new one left there."""
    if cache is None:
        return build()
    path = cache / f"{graph.stem}-{plan_key(graph, device)[:32]}.plan"
    if path.is_file():
        return path.read_bytes()
    log.info("building a TensorRT plan for %s, which takes a while", device.name)
    plan = build()
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    unfinished.write_bytes(plan)
    unfinished.replace(path)  # so that a plan is whole or not there
    return plan


def plan_key(graph: Path, device: Device) -> str:
    """Return a hash of all that a plan depends on: graph, TensorRT and GPU."""
    trt = tensorrt()
    digest = hashlib.sha256(graph.read_bytes())
    for part in (trt.__name__, trt.__version__, device.name, device.capability):
        digest.update(f"\n{part}".encode())
    return digest.hexdigest()


def _spec(engine: Any, name: str) -> TensorSpec:
    shape, dtype = tuple(engine.get_tensor_shape(name)), engine.get_tensor_dtype(name).name
    if dtype not in DTYPES or min(shape, default=1) < 0:
        raise EngineError(
            f"tensor {name!r}: expected a static shape of {', '.join(DTYPES)}, "
            f"found {shape} {dtype}; build the bundle again"
        )
    return TensorSpec(shape=shape, dtype=np.dtype(DTYPES[dtype]))
