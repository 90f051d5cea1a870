"""Which layers hurt: INT8 in one of them at a time, everything else exact."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec
import numpy as np
import onnx

from scnet_edge.bundle.recipe import Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.models.cards import find_card, weights_of
from scnet_edge.models.sizes import SizeHW
from scnet_edge.quantization.annotated_frames import Annotated, gate_frames
from scnet_edge.quantization.choose_frames import evenly_spaced
from scnet_edge.quantization.graph_scores import GraphScores, mean_error, score
from scnet_edge.quantization.histograms import NETWORKS
from scnet_edge.quantization.lowering import fp32_graph, int8_graph, quantised_layers
from scnet_edge.quantization.memory_engine import in_engine
from scnet_edge.quantization.ranges import CalibrationFile, find_ranges

WORTH_EXCLUDING = 0.001  # F1
Report = Callable[[str], None]


class LayerLoss(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What INT8 in one convolution alone costs."""

    name: str  # of the node in the ONNX graph
    f1: float
    lost_f1: float
    mean_abs_error: float  # of the probability


class PartLoss(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What INT8 in one part of the chain costs."""

    part: str
    f1: float
    lost_f1: float
    mean_abs_error: float
    edge_mean_abs_error: float | None = None  # of the HED map, before it is cut
    prior_flip_rate: float | None = None  # share of prior pixels that change by the cut


class Sensitivity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the error of an INT8 graph enters.

    Attributes:
        ranges: The calibration file, as the recipe names it or the model's own, and its key.
        f1_fp32: F1 of the FP32 graph on the same engine and frames.
        chain: HED in INT8, SCNet in INT8, both; only HED's flips reach SCNet.
        layers: Every quantised convolution, the worst first.
        exclude: The layers that alone lose more than `WORTH_EXCLUDING`, and those that the recipe
            excludes already, for a recipe's `exclude`.
    """

    model: str
    ranges: str
    data: str
    images: int
    engine: str
    threshold: float
    f1_fp32: float
    chain: tuple[PartLoss, ...]
    layers: tuple[LayerLoss, ...]
    exclude: tuple[str, ...]


def rank(
    fused: onnx.ModelProto,
    calibration: CalibrationFile,
    layers: Sequence[str],
    frames: Sequence[Annotated],
    frame_hw: SizeHW,
    threshold: float,
    report: Report = lambda step: None,
) -> list[LayerLoss]:
    """Return the layers by the F1 that INT8 in each alone loses, then by its error; worst first."""
    with in_engine(fused) as backend:
        reference = score(backend, frames, frame_hw, threshold)
    found = []
    for i, name in enumerate(layers, 1):
        report(f"layer {i} of {len(layers)}, {name}")
        graph = int8_graph(fused, calibration, exclude=set(calibration.ranges) - {name})
        with in_engine(graph) as backend:
            alone = score(backend, frames, frame_hw, threshold, reference)
        found.append(
            LayerLoss(
                name=name,
                f1=alone.f1,
                lost_f1=reference.f1 - alone.f1,
                mean_abs_error=mean_error(alone, reference),
            )
        )
    return sorted(found, key=lambda layer: (layer.lost_f1, layer.mean_abs_error), reverse=True)


def measure_parts(
    fused: onnx.ModelProto,
    calibration: CalibrationFile,
    frames: Sequence[Annotated],
    frame_hw: SizeHW,
    threshold: float,
    edge_threshold: float,
    exclude: Collection[str] = (),
) -> tuple[list[PartLoss], float, str]:
    """Return what INT8 in each network alone, and in all of them, costs; F1 in FP32; the engine.

    HED reaches SCNet through the binary prior alone, so the loss of `hed` is the loss by its flips.
    """
    with in_engine(fused) as backend:
        engine = backend.name
        reference = score(backend, frames, frame_hw, threshold, keep_edges=True)
    layers = quantised_layers(calibration, exclude)
    networks = [n for n in NETWORKS if any(k.startswith(f"{n}.") for k in layers)]
    parts = {n: [n] for n in networks} | ({"both": networks} if len(networks) > 1 else {})
    losses = []
    for part, members in parts.items():
        others = [k for k in layers if k.partition(".")[0] not in members]
        with in_engine(int8_graph(fused, calibration, exclude=[*exclude, *others])) as backend:
            scores = score(backend, frames, frame_hw, threshold, reference, keep_edges=True)
        losses.append(_part_loss(part, scores, reference, edge_threshold))
    return losses, reference.f1, engine


def _part_loss(
    part: str, scores: GraphScores, reference: GraphScores, edge_threshold: float
) -> PartLoss:
    pairs = list(zip(scores.edges, reference.edges, strict=True))
    flips = [((a > edge_threshold) != (b > edge_threshold)).mean() for a, b in pairs]
    return PartLoss(
        part=part,
        f1=scores.f1,
        lost_f1=reference.f1 - scores.f1,
        mean_abs_error=mean_error(scores, reference),
        edge_mean_abs_error=float(np.mean([np.abs(a - b).mean() for a, b in pairs]))
        if pairs
        else None,
        prior_flip_rate=float(np.mean(flips)) if pairs else None,
    )


def measure(
    recipe: Recipe,
    *,
    data: str | None = None,
    images: int = 24,
    report: Report = lambda step: None,
) -> Sensitivity:
    """Return where the error of a recipe's INT8 graph enters.

    Args:
        recipe: Model, size, threshold, calibration and the layers that stay out of INT8; its
            precision does not matter.
        data: NAME:DIR whose test split is scored; None for drawn frames.
        images: How many of them, evenly spaced.
        report: Told each step as it begins.

    Raises:
        ScnetEdgeError: weights, ranges, images or engine cannot be used.
    """
    card = find_card(recipe.model)
    chain = open_chain(card, recipe)
    edge_threshold = None if chain.hed is None else recipe.edge_threshold
    ranges = recipe.calibration or card.name
    calibration = find_ranges(ranges, weights_of(card), edge_threshold)
    names = quantised_layers(calibration, recipe.exclude)
    fused = fp32_graph(chain, calibration)
    everything, name = gate_frames([data] if data else [], chain.frame_hw)
    frames = evenly_spaced(everything, images)
    threshold = recipe.threshold or card.threshold
    report("the networks apart")
    parts, f1_fp32, engine = measure_parts(
        fused,
        calibration,
        frames,
        chain.frame_hw,
        threshold,
        recipe.edge_threshold,
        exclude=recipe.exclude,
    )
    layers = rank(fused, calibration, names, frames, chain.frame_hw, threshold, report)
    worst = [layer.name for layer in layers if layer.lost_f1 > WORTH_EXCLUDING]
    return Sensitivity(
        model=card.name,
        ranges=f"{ranges}, {calibration.method}, key {calibration.key}",
        data=name,
        images=len(frames),
        engine=engine,
        threshold=threshold,
        f1_fp32=f1_fp32,
        chain=tuple(parts),
        layers=tuple(layers),
        exclude=(*recipe.exclude, *worst),
    )
