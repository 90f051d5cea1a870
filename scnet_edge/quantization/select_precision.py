"""The ladder: INT8, INT8 with the worst layers in FP16, FP16, FP32; the first that passes ships."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import onnx

from scnet_edge.bundle.gate_record import Candidate, GateRecord, RungPrecision
from scnet_edge.engines.base import default_engine
from scnet_edge.engines.timing import quickest_ms
from scnet_edge.errors import GateError, InputError
from scnet_edge.quantization.annotated_frames import Annotated
from scnet_edge.quantization.choose_frames import evenly_spaced
from scnet_edge.quantization.gate import (
    MIN_IMAGES,
    Gate,
    calibration_doubts,
    judge,
    overflow_doubts,
    unjudged_strata,
)
from scnet_edge.quantization.graph_scores import Scores, Traits, score, traits
from scnet_edge.quantization.layer_sensitivity import rank
from scnet_edge.quantization.lowering import layers_of, lowered
from scnet_edge.quantization.memory_engine import in_engine
from scnet_edge.quantization.ranges import CalibrationFile

FASTER = 0.97  # a tie goes to FP16, which loses less
RANKED_FRAMES = 12
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A rung that can be built; `half` are the layers that INT8 leaves in FP16."""

    name: str
    precision: RungPrecision
    half: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateContext:
    """All that the rungs of one model share.

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

    def graph(self, step: Step) -> onnx.ModelProto:
        """Return the graph of a rung."""
        return lowered(
            self.fused, step.precision, self.calibration, exclude=self.excluded, half=step.half
        )


FP16 = Step(name="FP16", precision="fp16")
FP32 = Step(name="FP32", precision="fp32")
Tried = list[tuple[Step, Candidate]]


def select_precision(
    ladder: GateContext, *, allow_loss: bool, elsewhere: bool
) -> tuple[Step, GateRecord]:
    """Return the rung that ships and the record of how it was found.

    Args:
        ladder: What to judge on what.
        allow_loss: Ship INT8 although it fails.
        elsewhere: Do not ask whether INT8 is faster on this machine.

    Raises:
        InputError: the frames are too few to judge on.
        GateError: not even FP32 can be trusted on these frames.
    """
    if len(ladder.frames) < MIN_IMAGES:
        raise InputError(
            f"the gate needs {MIN_IMAGES} images at least to tell what is lost, found "
            f"{len(ladder.frames)} in {ladder.data}; give more --data, or none for drawn frames"
        )
    engine, reference = _scores(ladder, FP32, None)
    kinds = traits(ladder.frames)
    unjudged = unjudged_strata(reference, kinds)
    exact = _judged(ladder, FP32, reference, kinds)
    if not exact.passed and not allow_loss:
        raise GateError(
            f"nothing passes the gate {ladder.gate.spec} on {ladder.data}, not even FP32: "
            f"{_why(exact)}; gate on frames that show cracks, or pass --allow-loss"
        )
    tried: Tried = []
    for step in _int8_steps(ladder, kinds):
        tried.append((step, _judged(ladder, step, reference, kinds)))
        if tried[-1][1].passed or allow_loss:
            break
    tried.append((FP16, _judged(ladder, FP16, reference, kinds)))
    if not any(rung.passed for _, rung in tried):
        tried.append((FP32, exact))
    shipped, decision = _decision(ladder, tried, allow_loss=allow_loss, elsewhere=elsewhere)
    rung = next(rung for step, rung in tried if step == shipped)
    record = GateRecord(
        spec=ladder.gate.spec,
        data=ladder.data,
        images=len(ladder.frames),
        engine=engine,
        threshold=ladder.threshold,
        rungs=tuple(rung for _, rung in tried),
        shipped=shipped.name,
        decision=decision,
        loss_allowed=not rung.passed,
        elsewhere=elsewhere,
        calibration_key=ladder.calibration.key,
        weights_sha256=ladder.calibration.weights_sha256,
        unjudged=unjudged,
    )
    return shipped, record


def _decision(
    ladder: GateContext, tried: Tried, *, allow_loss: bool, elsewhere: bool
) -> tuple[Step, str]:
    """Return the rung to ship and why; where INT8 and FP16 both pass, note how long they take."""
    passing = [step for step, rung in tried if rung.passed]
    int8 = next((step for step in passing if step.precision == "int8"), None)
    if int8 is None and allow_loss:
        return tried[0][0], "it fails the gate and ships because --allow-loss was given"
    if int8 is None:
        failed = next(rung for step, rung in reversed(tried) if step not in passing)
        return passing[0], f"{failed.name} fails: {_why(failed)}"
    if FP16 not in passing:
        return int8, "it passes, FP16 does not"
    if elsewhere:
        return int8, "it passes; its speed on this machine does not count (--elsewhere)"
    if default_engine() == "tensorrt":
        return int8, (
            "it passes; the speed of the CPU does not count where TensorRT runs it: "
            "'build --on-device' times it against FP16 there"
        )
    return _faster(ladder, int8, tried)


def _int8_steps(ladder: GateContext, kinds: Sequence[Traits]) -> Iterator[Step]:
    """Yield INT8, then INT8 without an eighth and a quarter of its layers, the worst first."""
    yield Step(name="INT8", precision="int8")
    if _doubts(ladder, "int8", kinds):
        return  # nothing that a few layers in FP16 would mend
    ladder.report("ranking the layers by what they lose")
    layers = layers_of(ladder.calibration, ladder.excluded)
    few = evenly_spaced(ladder.frames, RANKED_FRAMES)
    worst = rank(ladder.fused, ladder.calibration, layers, few, ladder.frame_hw, ladder.threshold)
    for k in sorted({-(-len(layers) // part) for part in (8, 4)} - {len(layers)}):
        yield Step(
            name=f"INT8 with the {f'{k} worst layers' if k > 1 else 'worst layer'} in FP16",
            precision="int8",
            half=tuple(layer.name for layer in worst[:k]),
        )


def _judged(
    ladder: GateContext, step: Step, reference: Scores, kinds: Sequence[Traits]
) -> Candidate:
    ladder.report(f"scoring {step.name} on {len(ladder.frames)} frames")
    scores = reference if step.precision == "fp32" else _scores(ladder, step, reference)[1]
    objections = _doubts(ladder, step.precision, kinds)
    return judge(
        step.name, step.precision, step.half, scores, reference, kinds, ladder.gate, objections
    )


def _doubts(ladder: GateContext, precision: RungPrecision, kinds: Sequence[Traits]) -> list[str]:
    """Return what is against a precision whatever it scores."""
    if precision == "fp32":
        return []
    frames = calibration_doubts(ladder.calibration, kinds) if precision == "int8" else []
    return [*frames, *overflow_doubts(ladder.calibration)]


def _scores(ladder: GateContext, step: Step, reference: Scores | None) -> tuple[str, Scores]:
    with in_engine(ladder.graph(step)) as backend:
        return backend.name, score(
            backend, ladder.frames, ladder.frame_hw, ladder.threshold, reference
        )


def _faster(ladder: GateContext, int8: Step, tried: Tried) -> tuple[Step, str]:
    """Time both on this machine, note the times, and return the one to ship and why."""
    ladder.report("timing INT8 against FP16")
    with in_engine(ladder.graph(int8)) as a, in_engine(ladder.graph(FP16)) as b:
        noise = np.random.default_rng(0).integers(0, 256, (*ladder.frame_hw, 3), dtype=np.uint8)
        int8_ms, fp16_ms = quickest_ms(a, b, [{"frame": noise[None]}])
    times_ms = {int8.name: int8_ms, FP16.name: fp16_ms}
    for i, (step, rung) in enumerate(tried):
        if step.name in times_ms:
            timed = msgspec.structs.replace(rung, latency_ms=round(times_ms[step.name], 2))
            tried[i] = step, timed
    ratio = fp16_ms / int8_ms
    words = f"{int8_ms:.1f} ms against {fp16_ms:.1f} ms for FP16"
    if ratio * FASTER > 1:
        return int8, f"it passes and is {ratio:.2f} times as fast here: {words}"
    return FP16, f"INT8 passes but is not faster on this machine: {words}; see --elsewhere"


def _why(rung: Candidate) -> str:
    return "; ".join(rung.reasons)
