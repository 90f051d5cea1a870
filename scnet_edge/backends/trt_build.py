"""From an ONNX graph to a TensorRT plan, with one source for TensorRT 8.5 to 11 and TensorRT-RTX.

What runs is what the graph states. Where TensorRT has strong typing the graph is the law; where it
has not (8.5, 8.6), the builder is permitted FP16 and INT8 exactly when the graph contains them.

What was run: TensorRT-RTX 1.7, building ahead of time on machines without a GPU. The path for
weakly typed networks (JetPack 5) and `inspect_plan` never ran on real hardware.
"""

from __future__ import annotations

import functools
import itertools
import json
import logging
import re
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scnet_edge.backends.base import check_graph_file, one_line
from scnet_edge.errors import EngineError, GraphError

log = logging.getLogger(__name__)

WORKSPACE_BYTES = 1 << 30  # what a layer may borrow while it runs; a Jetson shares it with the CPU
# Instance-norm statistics, which an FP16 graph keeps in FP32 between two casts.
FP32_SCOPE = "/statistics/"
# The builder's own account of the finished engine, the only one to be had without a GPU.
LAYER_REPORT = re.compile(r"\s*(Engine Layer Information|Layers):\s*\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What this TensorRT offers, asked by name: the bits behind the names change by release."""

    strong_typing: bool  # the graph's types are the law
    precision_flags: bool  # FP16 and INT8 must be permitted
    ahead_of_time: bool  # builds for a GPU that is not there
    plugins: bool
    tf32: bool


@functools.cache
def tensorrt() -> Any:
    """Return the TensorRT module of this machine, full or RTX, ready to parse and deserialise.

    Raises:
        EngineError: neither is installed, or its libraries do not load.
    """
    name = next((n for n in ("tensorrt", "tensorrt_rtx") if find_spec(n)), None)
    if name is None:
        raise EngineError(
            "TensorRT is not installed here; it comes with JetPack (python3-libnvinfer), "
            "on an RTX machine pip install tensorrt-rtx"
        )
    try:
        return import_module(name)
    except (ImportError, OSError) as e:
        raise EngineError(f"{name} is installed but does not start: {one_line(e)}") from e


@functools.cache
def capabilities() -> Capabilities:
    """Return what the installed TensorRT can do; no other line asks for a version."""
    trt = tensorrt()
    return Capabilities(
        strong_typing=hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"),
        precision_flags=hasattr(trt.BuilderFlag, "FP16"),
        ahead_of_time=hasattr(trt.IBuilderConfig, "set_compute_capability"),
        plugins=hasattr(trt, "init_libnvinfer_plugins"),
        tf32=hasattr(trt.BuilderFlag, "TF32"),
    )


@functools.cache
def engine_log() -> Any:
    """Return the one TensorRT logger of this process; TensorRT ignores a second."""
    trt = tensorrt()
    base: Any = trt.ILogger

    class EngineLog(base):  # type: ignore[misc]
        """Hands messages to `logging`, and remembers errors and the layer report."""

        def __init__(self) -> None:
            base.__init__(self)
            self.errors: list[str] = []
            self.layers: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            chatter = severity.name in ("VERBOSE", "INFO")  # errors come back as exceptions
            log.log(logging.DEBUG if chatter else logging.INFO, "%s", message)
            if severity.name in ("ERROR", "INTERNAL_ERROR"):
                self.errors.append(message)
            elif report := LAYER_REPORT.match(message):
                lines = message[report.end() :].splitlines()
                self.layers = list(itertools.takewhile(str.strip, lines))  # then I/O tensors

    logger = EngineLog()
    if capabilities().plugins:
        # Before 10, instance norm is a plugin, wanted by the parser and by the runtime.
        trt.init_libnvinfer_plugins(logger, "")
    return logger


def plan_from_onnx(graph: Path, *, target: str | None, threads: int | None = None) -> bytes:
    """Return the serialised plan of an ONNX graph.

    Args:
        graph: An ONNX file whose hash the caller has checked.
        target: The GPU generation to build for ahead of time, such as `SM86` (TensorRT-RTX only);
            None builds for the GPU of this machine.
        threads: CPU threads the builder may use; None leaves it to TensorRT.

    Raises:
        EngineError: no such target, no GPU to build for, or TensorRT cannot build the network.
        GraphError: TensorRT's parser refuses a node.
    """
    return _build(graph, target, threads)


def layers_from_onnx(graph: Path, *, target: str | None) -> list[str]:
    """Build a plan and return one line per layer of it, as the builder reports them.

    A line names the kernel, its tactic, and each tensor's shape, type and layout: enough to see
    whether convolutions run in INT8 and what was fused. No GPU is needed when `target` is given.
    Raises what `plan_from_onnx` raises.
    """
    engine_log().layers = []
    _build(graph, target, None)
    return list(engine_log().layers)


def inspect_plan(plan: bytes) -> list[Any]:
    """Return the layers of a plan as the engine inspector's JSON has them; needs the GPU.

    Raises:
        EngineError: the plan is not for this GPU and this TensorRT, or there is no GPU.
    """
    inspector = deserialise(plan).create_engine_inspector()
    report = inspector.get_engine_information(tensorrt().LayerInformationFormat.JSON)
    return list(json.loads(report)["Layers"])


def deserialise(plan: bytes) -> Any:
    """Return the engine of a plan.

    Raises:
        EngineError: the plan is not for this GPU and this TensorRT, or there is no GPU.
    """
    engine_log().errors.clear()
    engine = tensorrt().Runtime(engine_log()).deserialize_cuda_engine(plan)
    if engine is None:
        raise EngineError(
            f"TensorRT cannot load the plan on this machine: {last_error()}; build it here again"
        )
    return engine


def last_error() -> str:
    """Return what TensorRT logged first since the log was cleared, on one line."""
    errors = engine_log().errors
    return one_line(Exception(errors[0])) if errors else "it gave no reason"


def _build(graph: Path, target: str | None, threads: int | None) -> bytes:
    check_graph_file(graph)
    engine_log().errors.clear()
    builder = tensorrt().Builder(engine_log())
    if threads is not None:
        builder.max_threads = threads
    network = builder.create_network(_network_flags())
    _parse(network, graph)
    _configure(config := builder.create_builder_config(), target)
    if not capabilities().strong_typing:
        _permit_precisions(network, config)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(f"{graph}: TensorRT cannot build it: {last_error()}")
    return bytes(plan)


def _network_flags() -> int:
    """Return strong typing where there is such a thing; before, batches had to be made explicit."""
    flags = tensorrt().NetworkDefinitionCreationFlag
    strong = capabilities().strong_typing
    return 1 << int(flags.STRONGLY_TYPED if strong else flags.EXPLICIT_BATCH)


def _parse(network: Any, graph: Path) -> None:
    parser = tensorrt().OnnxParser(network, engine_log())
    if not parser.parse_from_file(str(graph)):
        errors = [_parser_error(parser.get_error(i)) for i in range(parser.num_errors)]
        reasons = "; ".join(dict.fromkeys(errors)) or last_error()
        raise GraphError(f"{graph}: TensorRT refuses {reasons}")


def _parser_error(error: Any) -> str:
    """Return `node 'name' (Op): reason`; older parsers know the node's number alone."""
    reason = one_line(Exception(error.desc()))
    if error.node() < 0:
        return f"the file: {reason}"
    if hasattr(error, "node_name"):
        return f"node {error.node_name()!r} ({error.node_operator()}): {reason}"
    return f"node number {error.node()}: {reason}"


def _configure(config: Any, target: str | None) -> None:
    """Set what every build has; no timing cache, which on RTX would ask for a GPU."""
    trt, able = tensorrt(), capabilities()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if able.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)  # FP32 in the graph is FP32, not 10 bits of it
    if able.ahead_of_time:
        config.num_compute_capabilities = 1
        config.set_compute_capability(_compute_capability(target), 0)
    elif target is not None:
        raise EngineError(
            f"target {target}: this TensorRT builds only for the GPU it runs on; "
            "build on that machine, without a target"
        )


def _compute_capability(target: str | None) -> Any:
    known = tensorrt().ComputeCapability.__members__
    names = sorted(n for n in known if n.startswith("SM"))
    if target is not None and target not in names:
        raise EngineError(f"target {target!r}: expected one of {', '.join(names)}")
    return known[target or "CURRENT"]


def _permit_precisions(network: Any, config: Any) -> None:
    """Permit a weakly typed network the precisions that its graph states, and hold it to FP32."""
    trt = tensorrt()
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    if any(layer.type == trt.LayerType.QUANTIZE for layer in layers):
        config.set_flag(trt.BuilderFlag.INT8)
    if any(_makes(layer, trt.float16) for layer in layers):
        config.set_flag(trt.BuilderFlag.FP16)
        config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
        for layer in layers:
            if FP32_SCOPE in layer.name and _makes(layer, trt.float32):
                layer.precision = trt.float32


def _makes(layer: Any, dtype: Any) -> bool:
    return any(layer.get_output(i).dtype == dtype for i in range(layer.num_outputs))
