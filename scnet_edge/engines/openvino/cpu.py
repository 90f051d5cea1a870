"""OpenVINO on the CPU, the default where there is no NVIDIA GPU."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import frontend

from scnet_edge.engines.base import Array, TensorSpec, check_feeds, check_graph_file
from scnet_edge.engines.compiled import Arithmetic
from scnet_edge.engines.openvino.graph_passes import (
    fold_side_maps,
    hold_quantisation_below_concat,
    join_instance_norms,
    quantise_interleaved,
)
from scnet_edge.engines.openvino.wider_maps import widen_maps
from scnet_edge.errors import EngineError, one_line

# OpenVINO rounds FP32 graphs to BF16 or FP16 of its own accord where the CPU has such units
# (AMX, most ARM). What a graph says is what runs: an FP16 graph keeps its FP16 weights and
# computes in FP32, an INT8 graph computes its Q/DQ convolutions in INT8 and the rest in FP32.
LATENCY = {"PERFORMANCE_HINT": "LATENCY"}
MOST_STREAMS = 8  # each has its own memory for what lies between the layers
HINTS: dict[Arithmetic, str] = {"fp32": "f32", "bf16": "bf16"}

# The front end's failures derive from Exception itself, so they are named one by one.
ENGINE_ERRORS = (
    RuntimeError,
    frontend.GeneralFailure,
    frontend.InitializationFailure,
    frontend.NotImplementedFailure,
    frontend.OpConversionFailure,
    frontend.OpValidationFailure,
)


class OpenVINOBackend:
    """A `Streaming` backend: one frame on all threads, a row of frames each on one thread.

    A row of frames takes 0.6 to 0.9 of the time that way: threads that share one small layer wait
    for one another, the longer the busier the machine.

    Args:
        model: For one frame at a time.
        arithmetic: What computes its floating-point layers.
        compile_streams: Compiles it for as many frames at a time as its argument says; called when
            the first row of frames comes. None computes them one by one.

    Attributes:
        threads: How many it computes with.
    """

    def __init__(
        self,
        model: ov.CompiledModel,
        arithmetic: Arithmetic = "fp32",
        compile_streams: Callable[[int], ov.CompiledModel] | None = None,
    ) -> None:
        self.name = "openvino CPU" if arithmetic == "fp32" else "openvino CPU, BF16 for FP32"
        self._inputs = {
            port.get_any_name(): TensorSpec(
                shape=tuple(port.get_shape()), dtype=np.dtype(port.get_element_type().to_dtype())
            )
            for port in model.inputs
        }
        self._outputs = [port.get_any_name() for port in model.outputs]
        self.threads = int(model.get_property("INFERENCE_NUM_THREADS"))
        self._request = model.create_infer_request()
        self._compile_streams = compile_streams
        self._streams: list[ov.InferRequest] = []
        self._closed = False

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Map named inputs to named outputs; contiguous inputs are read in place."""
        if self._closed:
            raise EngineError("this OpenVINO backend is closed; open another")
        check_feeds(feeds, self._inputs)
        try:
            results = self._request.infer(dict(feeds), share_inputs=True, share_outputs=False)
        except ENGINE_ERRORS as e:
            raise EngineError(f"OpenVINO failed to run the graph: {one_line(e)}") from e
        return {name: results[i] for i, name in enumerate(self._outputs)}

    def stream(self, feeds: Iterable[Mapping[str, Array]]) -> Iterator[dict[str, Array]]:
        """Yield the outputs of each feed, in order; contiguous inputs are read in place."""
        if self.threads == 1 or self._compile_streams is None:
            yield from map(self.run, feeds)
            return
        under_way: deque[tuple[ov.InferRequest, Mapping[str, Array]]] = deque()
        try:
            for number, feed in enumerate(feeds):
                streams = self._open_streams()
                if len(under_way) == len(streams):
                    yield self._finish(under_way.popleft()[0])
                check_feeds(feed, self._inputs)
                request = streams[number % len(streams)]
                request.start_async(dict(feed), share_inputs=True)
                under_way.append((request, feed))
            while under_way:
                yield self._finish(under_way.popleft()[0])
        except ENGINE_ERRORS as e:
            raise EngineError(f"OpenVINO failed to run the graph: {one_line(e)}") from e
        finally:
            for request, _ in under_way:  # whoever stopped listening takes the feeds away
                request.wait()

    def close(self) -> None:
        """Drop the requests and with them the compiled models."""
        if not self._closed:
            self._closed = True
            self._streams.clear()
            del self._request

    def _open_streams(self) -> list[ov.InferRequest]:
        if self._closed:
            raise EngineError("this OpenVINO backend is closed; open another")
        if not self._streams and self._compile_streams is not None:
            count = min(self.threads, MOST_STREAMS)
            model = self._compile_streams(count)
            self._streams = [model.create_infer_request() for _ in range(count)]
        return self._streams

    def _finish(self, request: ov.InferRequest) -> dict[str, Array]:
        request.wait()
        found = (request.get_output_tensor(i).data for i in range(len(self._outputs)))
        return {name: data.copy() for name, data in zip(self._outputs, found, strict=True)}


def has_bf16() -> bool:
    """Return whether this CPU computes in BF16; where it does not, asking for it gains nothing."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def load(
    graph: Path, *, threads: int | None, cache: Path | None, arithmetic: Arithmetic | None = None
) -> OpenVINOBackend:
    """Open an ONNX graph on the CPU; raises what `compile_graph` raises."""
    model = compile_graph(graph, threads=threads, cache=cache, arithmetic=arithmetic)

    def compile_streams(streams: int) -> ov.CompiledModel:
        # Without the cache, which may be a folder whose every file was hashed on the device.
        return compile_graph(
            graph, threads=threads, cache=None, arithmetic=arithmetic, streams=streams
        )

    return OpenVINOBackend(model, arithmetic or "fp32", compile_streams)


def compile_graph(
    graph: Path,
    *,
    threads: int | None,
    cache: Path | None,
    arithmetic: Arithmetic | None = None,
    counters: bool = False,
    streams: int | None = None,
) -> ov.CompiledModel:
    """Compile an ONNX graph for the CPU.

    Args:
        graph: An ONNX file of static shapes.
        threads: CPU threads; None for one a core.
        cache: A folder that keeps the compiled code between runs.
        arithmetic: What computes the layers that are not INT8; None for FP32.
        counters: Time every layer, for `InferRequest.get_profiling_info`.
        streams: So many frames at a time, which share the threads; None for one frame, the
            quickest way.

    Raises:
        EngineError: OpenVINO cannot read or compile the graph, or its shapes are not static.
    """
    check_graph_file(graph)
    config = dict(LATENCY) if streams is None else {"NUM_STREAMS": str(streams)}
    if counters:
        config["PERF_COUNT"] = "YES"
    if threads is not None:
        config["INFERENCE_NUM_THREADS"] = str(threads)
        config["ENABLE_CPU_PINNING"] = "NO"  # processes would share the first core
    if cache is not None:
        config["CACHE_DIR"] = str(cache)
    try:
        # Asked for by name: Core.read_model tries every format it knows and prints what they say.
        onnx = frontend.FrontEndManager().load_by_framework("onnx")
        model = onnx.convert(onnx.load(str(graph)))
        if model.is_dynamic():
            raise EngineError(
                f"{graph}: expected static shapes, found dynamic ones; build the bundle again"
            )
        config["INFERENCE_PRECISION_HINT"] = HINTS[arithmetic or "fp32"]
        hold_quantisation_below_concat(model)
        join_instance_norms(model)
        quantise_interleaved(model)
        fold_side_maps(model)
        widen_maps(model)
        return ov.Core().compile_model(model, "CPU", config)
    except ENGINE_ERRORS as e:
        raise EngineError(f"{graph}: OpenVINO cannot load it: {one_line(e)}") from e
