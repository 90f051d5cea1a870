"""From chosen frames to ranges: every method tried, the best by validation F1 kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import onnx

from scnet_edge.bundle.recipe import Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.models.cards import find_card, weights_of
from scnet_edge.models.chain import Chain
from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.onnx_export.trace import trace_chain
from scnet_edge.quantization.annotated_frames import Annotated
from scnet_edge.quantization.frame_candidates import CandidateFrame
from scnet_edge.quantization.graph_scores import GraphScores, mean_error, score
from scnet_edge.quantization.histograms import (
    METHODS,
    NETWORKS,
    Histograms,
    Method,
    cache_key,
    collect,
    ranges_by,
    read_cached,
    write_cached,
)
from scnet_edge.quantization.lowering import bias_shifts, correct_biases, equalise
from scnet_edge.quantization.memory_engine import in_engine, open_loader
from scnet_edge.quantization.qdq import quantisable, quantise
from scnet_edge.quantization.ranges import (
    SCHEMA,
    CalibrationFile,
    ChosenFrame,
    MethodTrial,
    Preprocessing,
    key_of,
)

WORTH_REPAIR = 0.001  # F1 that the best method must lose before equalising and correcting are tried
PAYS = 0.0005  # F1 that either must win back to be kept
CORRECTION_FRAMES = 16
Report = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Calibrator:
    """What all trials of one model share.

    Attributes:
        frames: The calibration frames.
        validation: What the trials are scored on.
        cache: A folder for histograms; None keeps none.
        engine: What runs the graphs, once something ran.
    """

    frames: Sequence[CandidateFrame]
    validation: Sequence[Annotated]
    threshold: float
    frame_hw: tuple[int, int]
    methods: Sequence[Method]
    cache: Path | None
    report: Report
    engine: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranged:
    """Ranges of a whole chain, what they score, and what was tried on the way."""

    fused: onnx.ModelProto
    ranges: dict[str, float]
    methods: dict[str, Method]
    f1: float
    trials: tuple[MethodTrial, ...]
    shifts: dict[str, list[float]] = field(default_factory=dict)
    equalised: bool = False


def calibrate_ranges(
    recipe: Recipe,
    chosen: Sequence[tuple[CandidateFrame, str]],
    *,
    source: str,
    validation: Sequence[Annotated],
    validation_name: str,
    colours_checked: bool = False,
    methods: Sequence[Method] = METHODS,
    cache: Path | None = None,
    report: Report = lambda step: None,
) -> CalibrationFile:
    """Return the ranges of a recipe's model over frames of its frame size.

    HED comes first, its method chosen with SCNet still exact; SCNet's magnitudes are then those it
    meets behind the edge map of the quantised HED. Where the best method still loses F1,
    equalised layers and corrected biases are tried, and kept when they win some of it back.

    Raises:
        GraphError: there are no frames, or a magnitude is not finite.
        EngineError: no engine is installed here.
    """
    card = find_card(recipe.model)
    chain = open_chain(card, recipe)
    work = Calibrator(
        frames=[candidate for candidate, _ in chosen],
        validation=validation,
        threshold=recipe.threshold or card.threshold,
        frame_hw=chain.frame_hw,
        methods=methods,
        cache=cache,
        report=report,
    )
    best = _repair(work, chain, *_choose_ranges(work, trace_chain(exportable(chain))))
    blank = CalibrationFile(
        schema=SCHEMA,
        model=card.name,
        weights_sha256=weights_of(card),
        preprocessing=Preprocessing(
            size_hw=recipe.size_hw,
            edge_threshold=recipe.edge_threshold if chain.hed is not None else None,
        ),
        methods=best.methods,
        equalised=best.equalised,
        colours_checked=colours_checked,
        source=source,
        validation=validation_name,
        engine=work.engine,
        key="",
        frames={candidate.name: _describe(candidate, why) for candidate, why in chosen},
        comparison=best.trials,
        ranges=best.ranges,
        bias_shifts=best.shifts,
    )
    return msgspec.structs.replace(blank, key=key_of(blank))


def _choose_ranges(
    work: Calibrator, fused: onnx.ModelProto, label: str = ""
) -> tuple[Ranged, GraphScores]:
    """Return the ranges by the best method, network by network, and the scores of FP32."""
    with in_engine(fused) as backend:
        work.engine = backend.name
        reference = score(backend, work.validation, work.frame_hw, work.threshold)
    ranges: dict[str, float] = {}
    chosen: dict[str, Method] = {}
    tried: list[MethodTrial] = []
    f1 = reference.f1
    for network in NETWORKS:
        members = [n for n in quantisable(fused) if n.startswith(f"{network}.")]
        if not members:
            continue
        work.report(f"{label}{network}: magnitudes over {len(work.frames)} frames")
        seen = _histograms(work, quantise(fused, ranges), members)
        trials: dict[Method, MethodTrial] = {}
        for method in work.methods:
            work.report(f"{label}{network}: validating {method}")
            graph = quantise(fused, ranges | ranges_by(method, seen))
            trials[method] = _trial(work, network, f"{label}{method}", graph, reference)
        best = max(trials, key=lambda m: (round(trials[m].f1, 4), -trials[m].mean_abs_error))
        tried += [msgspec.structs.replace(t, chosen=m == best) for m, t in trials.items()]
        ranges |= ranges_by(best, seen)
        chosen[network], f1 = best, trials[best].f1
    found = Ranged(fused=fused, ranges=ranges, methods=chosen, f1=f1, trials=tuple(tried))
    return found, reference


def _repair(work: Calibrator, chain: Chain, plain: Ranged, reference: GraphScores) -> Ranged:
    """Return the plain ranges, or those with equalised layers or corrected biases if they pay."""
    if reference.f1 - plain.f1 < WORTH_REPAIR:
        return plain
    rewritten = exportable(chain)
    equalise(rewritten)
    smooth, _ = _choose_ranges(work, trace_chain(rewritten), "equalised ")
    smooth = replace(smooth, equalised=True)
    best, other = (smooth, plain) if smooth.f1 - plain.f1 > PAYS else (plain, smooth)
    work.report("correcting biases")
    with open_loader() as load:
        few = [c.frame for c in work.frames[:CORRECTION_FRAMES]]
        shifts = bias_shifts(best.fused, best.ranges, few, load)
    graph = quantise(correct_biases(best.fused, shifts), best.ranges)
    trial = _trial(work, "all", "corrected biases", graph, reference)
    pays = trial.f1 - best.f1 > PAYS
    unused = tuple(msgspec.structs.replace(t, chosen=False) for t in other.trials)
    trials = (*best.trials, *unused, msgspec.structs.replace(trial, chosen=pays))
    if pays:
        return replace(best, shifts=shifts, f1=trial.f1, trials=trials)
    return replace(best, trials=trials)


def _trial(
    work: Calibrator, network: str, method: str, graph: onnx.ModelProto, reference: GraphScores
) -> MethodTrial:
    with in_engine(graph) as backend:
        scores = score(backend, work.validation, work.frame_hw, work.threshold, reference)
    return MethodTrial(
        network=network,
        method=method,
        f1=scores.f1,
        f1_fp32=reference.f1,
        mean_abs_error=mean_error(scores, reference),
        chosen=False,
    )


def _histograms(work: Calibrator, graph: onnx.ModelProto, members: list[str]) -> Histograms:
    """Collect, or take from the cache what the very same collection found before."""
    key = cache_key(graph, [c.sha256 for c in work.frames])
    found = read_cached(work.cache, key) if work.cache else None
    if found is None:
        with open_loader() as load:
            found = collect(graph, members, (c.frame for c in work.frames), load)
        if work.cache:
            write_cached(work.cache, key, found)
    return found


def _describe(candidate: CandidateFrame, why: str) -> ChosenFrame:
    return ChosenFrame(
        sha256=candidate.sha256,
        phash=candidate.picture_ways[0],
        crack_area=round(candidate.crack_area, 5),
        brightness=round(candidate.brightness, 1),
        sharpness=round(candidate.sharpness, 3),
        red_minus_blue=round(candidate.red_minus_blue, 2),
        why=why,
    )
