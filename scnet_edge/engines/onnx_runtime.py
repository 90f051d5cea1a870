"""ONNX Runtime, on an NVIDIA GPU where its CUDA build is installed, else on the CPU."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from scnet_edge.engines.base import Array, TensorSpec, check_feeds, check_graph_file
from scnet_edge.errors import EngineError, one_line

log = logging.getLogger(__name__)

FATAL = 4  # the session's log goes to stderr; what matters comes back as an exception
DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(float16)": "float16"}
# TF32 keeps 10 bits of the mantissa: an FP32 graph would not be FP32. Left as they are, for ONNX
# Runtime 1.31 on an H100: `prefer_nhwc` was slower, and with `fuse_conv_bias` an FP32 graph gave
# another result each run.
CUDA = ("CUDAExecutionProvider", {"use_tf32": "0", "enable_cuda_graph": "1"})
CPU = "CPUExecutionProvider"
GPU = "cuda"  # where bound inputs and outputs lie
# Each of them derives from Exception itself, so they are named one by one; memory that is bound,
# and a provider that cannot start, raise RuntimeError.
ENGINE_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    *(
        kind
        for kind in vars(ort.capi.onnxruntime_pybind11_state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
)
Compute = Callable[[Mapping[str, Array]], Sequence[Array]]


class OnnxRuntimeBackend:
    """A `Backend` over one inference session; its name is `onnxruntime CPU` or `... CUDA`.

    Args:
        session: Of a graph with static shapes.
        how: Returns what computes it: `queue_nodes` or `replay_graph`.
    """

    def __init__(
        self, session: ort.InferenceSession, how: Callable[[ort.InferenceSession], Compute]
    ) -> None:
        self._inputs = {i.name: _spec(i) for i in session.get_inputs()}
        self._outputs = [o.name for o in session.get_outputs()]
        self.name = f"onnxruntime {session.get_providers()[0].removesuffix('ExecutionProvider')}"
        self._compute: Compute | None = how(session)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Map named inputs to named outputs."""
        if self._compute is None:
            raise EngineError("this ONNX Runtime backend is closed; open another")
        check_feeds(feeds, self._inputs)
        try:
            results = self._compute(feeds)
        except ENGINE_ERRORS as e:
            raise EngineError(f"ONNX Runtime failed to run the graph: {one_line(e)}") from e
        return dict(zip(self._outputs, results, strict=True))

    def close(self) -> None:
        """Drop the session, and what is bound to it."""
        self._compute = None


def queue_nodes(session: ort.InferenceSession) -> Compute:
    """Return what hands every node to the engine anew."""
    return lambda feeds: session.run(None, dict(feeds))


def replay_graph(session: ort.InferenceSession) -> Compute:
    """Return what records the first run as a CUDA graph, which every other run replays.

    A small net's hundreds of kernels take longer to launch one by one than to compute. A recorded
    graph reads and writes where it did when it was recorded, so inputs and outputs are bound.
    """
    binding = session.io_binding()
    read = {i.name: _on_gpu(_spec(i)) for i in session.get_inputs()}
    written = {o.name: _on_gpu(_spec(o)) for o in session.get_outputs()}
    for name, place in read.items():
        binding.bind_ortvalue_input(name, place)
    for name, place in written.items():
        binding.bind_ortvalue_output(name, place)

    def compute(feeds: Mapping[str, Array]) -> list[Array]:
        for name, place in read.items():
            place.update_inplace(np.ascontiguousarray(feeds[name]))
        session.run_with_iobinding(binding)
        return [place.numpy() for place in written.values()]  # of a GPU's memory, a copy

    return compute


def _on_gpu(spec: TensorSpec) -> ort.OrtValue:
    return ort.OrtValue.ortvalue_from_shape_and_type(list(spec.shape), spec.dtype, GPU, 0)


def load(graph: Path, *, threads: int | None, cache: Path | None) -> OnnxRuntimeBackend:
    """Open a session on an ONNX graph; `cache` stays unused, the session compiles in memory.

    The CUDA provider ran on an H100, where it took every node of the shipped models' graphs; one
    that leaves a node to the CPU cannot record a CUDA graph, and is refused.

    Raises:
        EngineError: ONNX Runtime refuses the graph, its shapes are not static, or the CUDA build
            is installed where its provider cannot start.
    """
    check_graph_file(graph)
    on_gpu = CUDA[0] in ort.get_available_providers()
    if on_gpu:
        preload_cuda()
    try:
        session = ort.InferenceSession(
            str(graph),
            session_options(threads),
            providers=[CUDA, CPU] if on_gpu else [CPU],
            enable_fallback=0,  # otherwise it prints that CUDA failed, and goes on on the CPU
        )
        if on_gpu and session.get_providers()[0] != CUDA[0]:
            raise EngineError(
                "onnxruntime-gpu is installed but its CUDA provider does not start here; "
                "install the CUDA and cuDNN it asks for, or the package onnxruntime for the CPU"
            )
        return OnnxRuntimeBackend(session, replay_graph if on_gpu else queue_nodes)
    except ENGINE_ERRORS as e:
        raise EngineError(f"{graph}: ONNX Runtime cannot load it: {one_line(e)}") from e


@functools.cache
def preload_cuda() -> None:
    """Load CUDA and cuDNN from pip's nvidia packages, where the loader does not look by itself.

    What is not there as a package may be in the system: whether the provider starts is seen later.
    It prints what it did not find, so for this one call of a process nobody's output is printed.
    """
    preload = getattr(ort, "preload_dlls", None)  # from 1.21 on
    if preload is None:
        return
    with contextlib.redirect_stdout(io.StringIO()) as said:
        preload()
    if said.getvalue():
        log.info("onnxruntime: %s", " ".join(said.getvalue().split()))


def session_options(threads: int | None) -> ort.SessionOptions:
    """Return options under which nothing is printed and Q/DQ means the same on every CPU."""
    options = ort.SessionOptions()
    options.log_severity_level = FATAL
    if threads is not None:
        options.intra_op_num_threads = threads
    # Q/DQ is then computed as stated, in floating point. Left on, the rewriting of Q/DQ strays
    # from that, on x86 without VNNI it may add products in saturating 16 bits, and it gains
    # nothing here: it needs biases in INT32, which TensorRT refuses, to make INT8 convolutions.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options


def _spec(value: Any) -> TensorSpec:
    if value.type not in DTYPES or not all(isinstance(n, int) for n in value.shape):
        raise EngineError(
            f"{value.name!r}: expected a static shape of uint8, float32 or float16, "
            f"found {value.type} {value.shape}; build the bundle again"
        )
    return TensorSpec(shape=tuple(value.shape), dtype=np.dtype(DTYPES[value.type]))
