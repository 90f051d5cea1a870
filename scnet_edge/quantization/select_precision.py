"""What ships: INT8, INT8 with the worst layers in FP16, FP16, FP32; the first that passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import onnx

from scnet_edge.bundle.manifest import Candidate, GateRecord, Precision
from scnet_edge.engines.base import default_engine, quickest_ms
from scnet_edge.errors import GateError, InputError
from scnet_edge.quantization.annotated_frames import Annotated
from scnet_edge.quantization.choose_frames import evenly_spaced
from scnet_edge.quantization.gate import (
    MIN_IMAGES,
    Gate,
    calibration_objections,
    find_unjudged,
    judge,
    overflow_objections,
)
from scnet_edge.quantization.graph_scores import GraphScores, Traits, score, traits
from scnet_edge.quantization.layer_sensitivity import rank
from scnet_edge.quantization.lowering import lower, quantised_layers
from scnet_edge.quantization.memory_engine import in_engine
from scnet_edge.quantization.ranges import CalibrationFile

FASTER = 0.97  # a tie goes to FP16, which loses less
RANKED_FRAMES = 12
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Buildable:
    """A candidate as it is built; `fp16_layers` are those that INT8 leaves in FP16."""

    name: str
    precision: Precision
    fp16_layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateContext:
    """All that the candidates of one model share.

    Attributes:
        fused: The FP32 graph.
        excluded: Convolutions that the recipe keeps out of INT8.
        frames: What is scored on, named `data`.
    """

    fused: onnx.ModelProto
    calibration: CalibrationFile
    excluded: tuple[str, ...]
    threshold: float
    frame_hw: tuple[int, int]
    frames: Sequence[Annotated]
    data: str
    gate: Gate
    report: Report

    def graph(self, step: Buildable) -> onnx.ModelProto:
        """Return the graph of a candidate."""
        return lower(
            self.fused,
            step.precision,
            self.calibration,
            exclude=self.excluded,
            fp16_layers=step.fp16_layers,
        )


FP16 = Buildable(name="FP16", precision="fp16")
FP32 = Buildable(name="FP32", precision="fp32")
Tried = list[tuple[Buildable, Candidate]]


def select_precision(
    context: GateContext, *, allow_loss: bool, elsewhere: bool
) -> tuple[Buildable, GateRecord]:
    """Return the candidate that ships and the record of how it was found.

    Args:
        context: What to judge on what.
        allow_loss: Ship INT8 although it fails.
        elsewhere: Do not ask whether INT8 is faster on this machine.

    Raises:
        InputError: the frames are too few to judge on.
        GateError: not even FP32 can be trusted on these frames.
    """
    if len(context.frames) < MIN_IMAGES:
        raise InputError(
            f"the gate needs {MIN_IMAGES} images at least to tell what is lost, found "
            f"{len(context.frames)} in {context.data}; give more --data, or none for drawn frames"
        )
    engine, reference = _scores(context, FP32, None)
    kinds = traits(context.frames)
    unjudged = find_unjudged(reference, kinds)
    exact = _judge(context, FP32, reference, kinds)
    if not exact.passed and not allow_loss:
        raise GateError(
            f"nothing passes the gate {context.gate.spec} on {context.data}, not even FP32: "
            f"{_why(exact)}; gate on frames that show cracks, or pass --allow-loss"
        )
    tried: Tried = []
    for step in _int8_steps(context, kinds):
        tried.append((step, _judge(context, step, reference, kinds)))
        if tried[-1][1].passed or allow_loss:
            break
    tried.append((FP16, _judge(context, FP16, reference, kinds)))
    if not any(candidate.passed for _, candidate in tried):
        tried.append((FP32, exact))
    shipped, decision = _decision(context, tried, allow_loss=allow_loss, elsewhere=elsewhere)
    candidate = next(candidate for step, candidate in tried if step == shipped)
    record = GateRecord(
        spec=context.gate.spec,
        data=context.data,
        images=len(context.frames),
        engine=engine,
        threshold=context.threshold,
        candidates=tuple(candidate for _, candidate in tried),
        shipped=shipped.name,
        decision=decision,
        loss_allowed=not candidate.passed,
        elsewhere=elsewhere,
        calibration_key=context.calibration.key,
        weights_sha256=context.calibration.weights_sha256,
        unjudged=unjudged,
    )
    return shipped, record


def _decision(
    context: GateContext, tried: Tried, *, allow_loss: bool, elsewhere: bool
) -> tuple[Buildable, str]:
    """Return what to ship and why; where INT8 and FP16 both pass, note how long they take."""
    passing = [step for step, candidate in tried if candidate.passed]
    int8 = next((step for step in passing if step.precision == "int8"), None)
    if int8 is None and allow_loss:
        return tried[0][0], "it fails the gate and ships because --allow-loss was given"
    if int8 is None:
        failed = next(candidate for step, candidate in reversed(tried) if step not in passing)
        return passing[0], f"{failed.name} fails: {_why(failed)}"
    if FP16 not in passing:
        return int8, "it passes, FP16 does not"
    if elsewhere:
        return int8, "it passes; its speed on this machine does not count (--elsewhere)"
    if default_engine() == "tensorrt":
        return int8, (
            "it passes; the speed of the CPU does not count where TensorRT runs it: "
            "'scnet-edge compile' times it against FP16 there"
        )
    return _faster(context, int8, tried)


def _int8_steps(context: GateContext, kinds: Sequence[Traits]) -> Iterator[Buildable]:
    """Yield INT8, then INT8 without an eighth and a quarter of its layers, the worst first."""
    yield Buildable(name="INT8", precision="int8")
    if _objections(context, "int8", kinds):
        return  # nothing that a few layers in FP16 would mend
    context.report("ranking the layers by what they lose")
    layers = quantised_layers(context.calibration, context.excluded)
    few = evenly_spaced(context.frames, RANKED_FRAMES)
    worst = rank(
        context.fused, context.calibration, layers, few, context.frame_hw, context.threshold
    )
    for k in sorted({-(-len(layers) // part) for part in (8, 4)} - {len(layers)}):
        yield Buildable(
            name=f"INT8 with the {f'{k} worst layers' if k > 1 else 'worst layer'} in FP16",
            precision="int8",
            fp16_layers=tuple(layer.name for layer in worst[:k]),
        )


def _judge(
    context: GateContext, step: Buildable, reference: GraphScores, kinds: Sequence[Traits]
) -> Candidate:
    context.report(f"scoring {step.name} on {len(context.frames)} frames")
    scores = reference if step.precision == "fp32" else _scores(context, step, reference)[1]
    objections = _objections(context, step.precision, kinds)
    return judge(
        step.name,
        step.precision,
        step.fp16_layers,
        scores,
        reference,
        kinds,
        context.gate,
        objections,
    )


def _objections(context: GateContext, precision: Precision, kinds: Sequence[Traits]) -> list[str]:
    """Return what is against a precision whatever it scores."""
    if precision == "fp32":
        return []
    frames = calibration_objections(context.calibration, kinds) if precision == "int8" else []
    return [*frames, *overflow_objections(context.calibration)]


def _scores(
    context: GateContext, step: Buildable, reference: GraphScores | None
) -> tuple[str, GraphScores]:
    with in_engine(context.graph(step)) as backend:
        return backend.name, score(
            backend, context.frames, context.frame_hw, context.threshold, reference
        )


def _faster(context: GateContext, int8: Buildable, tried: Tried) -> tuple[Buildable, str]:
    """Time both on this machine, note the times, and return the one to ship and why."""
    context.report("timing INT8 against FP16")
    with in_engine(context.graph(int8)) as a, in_engine(context.graph(FP16)) as b:
        noise = np.random.default_rng(0).integers(0, 256, (*context.frame_hw, 3), dtype=np.uint8)
        int8_ms, fp16_ms = quickest_ms(a, b, [{"frame": noise[None]}])
    times_ms = {int8.name: int8_ms, FP16.name: fp16_ms}
    for i, (step, candidate) in enumerate(tried):
        if step.name in times_ms:
            timed = msgspec.structs.replace(candidate, latency_ms=round(times_ms[step.name], 2))
            tried[i] = step, timed
    ratio = fp16_ms / int8_ms
    words = f"{int8_ms:.1f} ms against {fp16_ms:.1f} ms for FP16"
    if ratio * FASTER > 1:
        return int8, f"it passes and is {ratio:.2f} times as fast here: {words}"
    return FP16, f"INT8 passes but is not faster on this machine: {words}; see --elsewhere"


def _why(candidate: Candidate) -> str:
    return "; ".join(candidate.reasons)
