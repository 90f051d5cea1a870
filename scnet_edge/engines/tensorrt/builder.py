"""From an ONNX graph to a TensorRT plan, with one source for TensorRT 8.5 to 11 and TensorRT-RTX.

What runs is what the graph states. Where TensorRT has strong typing the graph is the law; where it
has not (8.5, 8.6), the builder is permitted FP16 and INT8 when the graph is quantised.

What was run: TensorRT-RTX 1.7, building ahead of time on machines without a GPU, and beside an H100
for the GPU of the machine, which it then refused. The path for weakly typed networks (8.5, 8.6),
timing caches and `inspect_plan` never ran on real hardware.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scnet_edge.engines.base import check_graph_file
from scnet_edge.engines.tensorrt.build_progress import BuildProgress, progress_monitor
from scnet_edge.engines.tensorrt.library import (
    capabilities,
    deserialise,
    engine_log,
    last_error,
    require_made,
    tensorrt,
)
from scnet_edge.engines.tensorrt.network import (
    convolutions_of,
    exclude_quantisation,
    find_named,
    find_quantised,
    permit_precisions,
    shorten_outputs,
    tensors_of,
)
from scnet_edge.engines.tensorrt.plan_layers import Layer, layers_from_log
from scnet_edge.errors import BuildCancelled, EngineError, GraphError, one_line

log = logging.getLogger(__name__)

# What a layer may borrow while it runs: half of what is free, within these.
WORKSPACE_BYTES = (64 << 20, 2 << 30)
UNKNOWN_FREE_BYTES = 2 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """What a build is given besides the graph.

    Attributes:
        target: The GPU generation to build for ahead of time, such as `SM86` (TensorRT-RTX only);
            None builds for the GPU of this machine.
        threads: CPU threads the builder may use; None leaves it to TensorRT.
        free_bytes: GPU memory that is free, of which the workspace is a part; None: not known.
        timing_cache: What an earlier build on this GPU measured; empty for none.
        progress: Told how far the build is; True lets it go on, False cancels.
    """

    target: str | None = None
    threads: int | None = None
    free_bytes: int | None = None
    timing_cache: bytes = b""
    progress: Callable[[BuildProgress], bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A plan and how it came about.

    Attributes:
        convolutions: Those of the graph, by name.
        excluded: Convolutions that this TensorRT has no INT8 kernel for, so run in floating point.
        tensors: Inputs and outputs, `1x384x544x3 uint8`.
        layers: The kernels; empty where the builder reports none.
        timing_cache: For the next build on this GPU; empty where there is no such thing.
    """

    plan: bytes
    tensors: dict[str, str]
    convolutions: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    layers: list[Layer] = field(default_factory=list)
    timing_cache: bytes = b""


def build_plan(graph: Path, settings: BuildSettings) -> Built:
    """Build the plan of an ONNX graph.

    A convolution that the builder finds no INT8 implementation for loses its Q/DQ and the build
    begins again; which ones did is in the result, and the golden frames judge what it cost.

    Args:
        graph: An ONNX file whose hash the caller has checked.
        settings: What else matters.

    Raises:
        BuildCancelled: `progress` said so.
        EngineError: no such target, no GPU to build for, or TensorRT cannot build it.
        GraphError: TensorRT's parser refuses a node.
    """
    check_graph_file(graph)
    excluded: tuple[str, ...] = ()
    while True:
        attempt = _Attempt(graph, settings, excluded)
        built = attempt.build()
        if built is not None:
            return built
        more = find_named(engine_log().errors, attempt.quantised)
        if not more:
            raise EngineError(f"{graph}: TensorRT cannot build it: {last_error()}")
        log.warning("no INT8 kernel for %s: built again without its Q/DQ", ", ".join(more))
        excluded += more


class _Attempt:
    """One builder with one network, parsed and configured."""

    def __init__(self, graph: Path, settings: BuildSettings, excluded: Collection[str]) -> None:
        engine_log().errors.clear()
        engine_log().layers = []
        self._graph, self._settings, self._excluded = graph, settings, tuple(excluded)
        self._builder = require_made(lambda: tensorrt().Builder(engine_log()), "builder")
        if settings.threads is not None:
            self._builder.max_threads = settings.threads
        self._network = require_made(
            lambda: self._builder.create_network(_network_flags()), "network"
        )
        _parse(self._network, graph)
        exclude_quantisation(self._network, self._excluded)
        self.quantised = find_quantised(self._network)
        self._config = require_made(self._builder.create_builder_config, "builder configuration")
        _configure(self._config, settings)
        if capabilities().strong_typing:
            shorten_outputs(self._network)
        else:
            permit_precisions(self._network, self._config)

    def build(self) -> Built | None:
        """Return the plan; None when TensorRT made none, which its log explains."""
        settings, config = self._settings, self._config
        monitor = progress_monitor(settings.progress) if settings.progress else None
        if monitor is not None:
            config.progress_monitor = monitor  # must outlive the build
        cached = not capabilities().ahead_of_time and _set_timing_cache(config, settings)
        plan = self._builder.build_serialized_network(self._network, config)
        if monitor is not None and monitor.cancelled:
            raise BuildCancelled(f"{self._graph}: the build was cancelled; nothing was changed")
        if plan is None:
            return None
        return Built(
            plan=bytes(plan),
            tensors=tensors_of(self._network),
            convolutions=convolutions_of(self._network),
            excluded=self._excluded,
            layers=layers_from_log(engine_log().layers),
            timing_cache=_timing_cache(config) if cached else b"",
        )


def inspect_plan(plan: bytes, remedy: str) -> str:
    """Return the engine inspector's JSON of a plan; needs the GPU.

    Args:
        plan: As for `deserialise`, and so is `remedy`.

    Raises:
        EngineError: the plan is not for this GPU and this TensorRT, there is no GPU, or TensorRT
            makes no inspector.
    """
    engine = deserialise(plan, remedy)  # kept alive while its inspector is asked
    inspector = require_made(engine.create_engine_inspector, "inspector of the plan")
    return str(inspector.get_engine_information(tensorrt().LayerInformationFormat.JSON))


def _network_flags() -> int:
    """Return strong typing where there is such a thing; before, batches had to be made explicit."""
    flags = tensorrt().NetworkDefinitionCreationFlag
    strong = capabilities().strong_typing
    return 1 << int(flags.STRONGLY_TYPED if strong else flags.EXPLICIT_BATCH)


def _parse(network: Any, graph: Path) -> None:
    parser = require_made(lambda: tensorrt().OnnxParser(network, engine_log()), "parser")
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


def _configure(config: Any, settings: BuildSettings) -> None:
    """Set what every build has."""
    trt, able = tensorrt(), capabilities()
    config.set_memory_pool_limit(
        trt.MemoryPoolType.WORKSPACE, workspace_bytes(settings.free_bytes or UNKNOWN_FREE_BYTES)
    )
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if able.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)  # FP32 in the graph is FP32, not 10 bits of it
    if able.ahead_of_time:
        config.num_compute_capabilities = 1
        if not config.set_compute_capability(_compute_capability(settings.target), 0):
            raise EngineError(f"target {settings.target}: this TensorRT refuses it")
    elif settings.target is not None:
        raise EngineError(
            f"target {settings.target}: this TensorRT builds only for the GPU it runs on; "
            "build on that machine, without a target"
        )


def workspace_bytes(free_bytes: int) -> int:
    """Return half of the free memory, within bounds; a Jetson shares it with the CPU."""
    least, most = WORKSPACE_BYTES
    return max(least, min(most, free_bytes // 2))


def _set_timing_cache(config: Any, settings: BuildSettings) -> bool:
    """Give the builder what it measured before; a cache of another TensorRT or GPU is left out."""
    for measured in (settings.timing_cache, b""):
        cache = config.create_timing_cache(measured)
        if cache is not None and config.set_timing_cache(cache, False):
            return True
        if measured:
            log.info("the timing cache is not of this GPU and TensorRT: measured anew")
    return False


def _timing_cache(config: Any) -> bytes:
    """Return what the builder measured, for the next build; empty where it keeps that to itself."""
    cache = config.get_timing_cache()
    written = None if cache is None else cache.serialize()
    return b"" if written is None else bytes(written)


def _compute_capability(target: str | None) -> Any:
    known = tensorrt().ComputeCapability.__members__
    names = sorted(n for n in known if n.startswith("SM"))
    if target is not None and target not in names:
        raise EngineError(f"target {target!r}: expected one of {', '.join(names)}")
    return known[target or "CURRENT"]
