"""The first screen: from trained weights to a verified bundle, in one straight line."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx

from scnet_edge.bundle.manifest import (
    CALIBRATION,
    FUSED,
    GOLDEN,
    MANIFEST,
    SCHEMA,
    Calibration,
    GateRecord,
    InputContract,
    Manifest,
    ModelIdentity,
    Precision,
    write_manifest,
)
from scnet_edge.bundle.recipe import MIN_MASK_F1, Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.bundle.verify import (
    Golden,
    parity_of,
    require_other_graphs,
    require_parity,
    write_golden,
)
from scnet_edge.engines.base import cpu_engine, open_backend
from scnet_edge.engines.torch_eager import TorchBackend
from scnet_edge.folders import file_sha256, new_folder
from scnet_edge.models.cards import Card, find_card, find_chain, weights_of
from scnet_edge.models.chain import Chain
from scnet_edge.quantization.annotated_frames import gate_frames
from scnet_edge.quantization.choose_frames import refuse_calibration_frames
from scnet_edge.quantization.gate import Gate
from scnet_edge.quantization.lowering import bundle_graphs, fp32_graph, quantised_layers
from scnet_edge.quantization.qdq import count_quantised
from scnet_edge.quantization.ranges import CalibrationFile, find_ranges, write_ranges
from scnet_edge.quantization.select_precision import Buildable, GateContext, select_precision
from scnet_edge.simulation.clip import render_clip
from scnet_edge.types import Parity

GOLDEN_FRAMES, GOLDEN_SEED = 4, 2026
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """What INT8 has to stand up to.

    Attributes:
        gate: How much it may lose.
        data: Annotated data sets as NAME:DIR, whose test splits are scored; none for drawn frames.
        allow_loss: Ship INT8 although it fails; the manifest says so.
        elsewhere: The bundle is for another machine, so speed on this one does not count.
    """

    gate: Gate
    data: tuple[str, ...] = ()
    allow_loss: bool = False
    elsewhere: bool = False


def build_bundle(
    recipe: Recipe,
    out: Path,
    *,
    gate: GateRequest | None = None,
    overwrite: bool = False,
    report: Report = lambda step: None,
) -> Manifest:
    """Build the bundle of a recipe in the folder `out` and return its manifest.

    Args:
        recipe: What to build.
        out: A folder that does not exist yet, or an older bundle when `overwrite` is given.
        gate: What INT8 must stand up to; where it does not, the bundle gets the next precision
            that does. None builds what the recipe says, held to PyTorch on the golden frames only.
        overwrite: Replace the older bundle.
        report: Told each step as it begins.

    Raises:
        GateError: not even FP32 passes the gate.
        ScnetEdgeError: the recipe, weights, ranges or engine cannot be used, or the graph is
            further from PyTorch than the recipe tolerates; nothing is left behind.
    """
    with new_folder(out, marker=MANIFEST, overwrite=overwrite) as folder:
        report("loading weights")
        card = find_card(recipe.model)
        chain = open_chain(card, recipe)
        edge_threshold = None if chain.hed is None else recipe.edge_threshold
        calibration = find_calibration(recipe, card, edge_threshold)
        report("tracing to ONNX")
        fused = fp32_graph(chain, calibration)
        step, record = choose_precision(recipe, gate, fused, calibration, chain.frame_hw, report)
        if recipe.batch > 1:  # what is judged above is one frame at a time
            fused = fp32_graph(chain, calibration, batch=recipe.batch)
        graphs = bundle_graphs(
            fused,
            step.precision,
            calibration,
            exclude=recipe.exclude,
            fp16_layers=step.fp16_layers,
            split=recipe.split_graphs,
            spare_fp16=may_run_fp16(record),
        )
        for name, graph in graphs.items():
            onnx.save(graph, folder / name)
        if calibration:
            write_ranges(folder / CALIBRATION, calibration)
        report(f"running the PyTorch reference on {GOLDEN_FRAMES} frames")
        golden = golden_frames(chain, batch=recipe.batch)
        write_golden(folder / GOLDEN, golden)
        report("comparing the engine with PyTorch")
        threshold = recipe.threshold or card.threshold
        engine = open_backend(cpu_engine(), folder / FUSED)
        parity = parity_of(engine, golden, threshold, edge_threshold)
        manifest = describe(
            recipe,
            card,
            chain,
            precision=step.precision,
            calibration=calibration,
            parity=parity,
            least=least_mask_f1(recipe, step, record, parity),
            gate=record,
            quantised=count_quantised(graphs[FUSED]),
            files={path.name: file_sha256(path) for path in sorted(folder.iterdir())},
        )
        require_parity(parity, manifest.min_mask_f1)
        require_other_graphs(
            lambda name: open_backend(cpu_engine(), folder / name), manifest, golden
        )
        write_manifest(folder, manifest)
    return manifest


def find_calibration(
    recipe: Recipe, card: Card, edge_threshold: float | None
) -> CalibrationFile | None:
    """Return the ranges that a recipe needs; None where it is not for INT8."""
    if recipe.precision != "int8":
        return None
    found = find_ranges(recipe.calibration or card.name, weights_of(card), edge_threshold)
    quantised_layers(found, recipe.exclude)
    return found


def choose_precision(
    recipe: Recipe,
    request: GateRequest | None,
    fused: onnx.ModelProto,
    calibration: CalibrationFile | None,
    frame_hw: tuple[int, int],
    report: Report,
) -> tuple[Buildable, GateRecord | None]:
    """Return what ships and the gate's record of it; what the recipe says where nothing is judged.

    Raises:
        GateError: not even FP32 passes.
    """
    if request is None or calibration is None:
        return Buildable(name=recipe.precision, precision=recipe.precision), None
    frames, data = gate_frames(request.data, frame_hw)
    refuse_calibration_frames(frames, calibration)
    context = GateContext(
        fused=fused,
        calibration=calibration,
        excluded=recipe.exclude,
        threshold=recipe.threshold or find_card(recipe.model).threshold,
        frame_hw=frame_hw,
        frames=frames,
        data=data,
        gate=request.gate,
        report=report,
    )
    return select_precision(context, allow_loss=request.allow_loss, elsewhere=request.elsewhere)


def may_run_fp16(record: GateRecord | None) -> bool:
    """Return whether a device may run FP16 where INT8 is not quicker: the gate let it pass."""
    return record is None or any(r.precision == "fp16" and r.passed for r in record.candidates)


def golden_frames(chain: Chain, *, batch: int = 1) -> Golden:
    """Return drawn frames and what PyTorch makes of them, for graphs of `batch` frames."""
    clip = render_clip(GOLDEN_FRAMES, chain.frame_hw, seed=GOLDEN_SEED)
    frames = np.stack([frame for frame, _ in clip])  # (n, H, W, 3)
    outputs = [TorchBackend(chain).run({"frame": frame[None]}) for frame in frames]
    return Golden(
        frames=frames,
        probability=np.concatenate([o["probability"] for o in outputs]),
        edges=None if chain.hed is None else np.concatenate([o["edges"] for o in outputs]),
        batch=batch,
    )


def least_mask_f1(
    recipe: Recipe, step: Buildable, record: GateRecord | None, parity: Parity
) -> float:
    """Return what every engine is held to: the recipe's promise, or less where loss was allowed."""
    promised = recipe.min_mask_f1 if step.precision == recipe.precision else None
    least = promised or MIN_MASK_F1[step.precision]
    if record is not None and record.loss_allowed:
        return min(least, round(0.98 * parity.mask_f1, 3))
    return least


def describe(
    recipe: Recipe,
    card: Card,
    chain: Chain,
    *,
    precision: Precision,
    calibration: CalibrationFile | None,
    parity: Parity,
    least: float,
    gate: GateRecord | None,
    quantised: int,
    files: dict[str, str],
) -> Manifest:
    """Return the manifest of a bundle.

    Args:
        recipe: What was asked for.
        card: Of the model.
        chain: The reference in PyTorch.
        precision: What ships.
        calibration: The ranges, if any were read.
        parity: Of the engine with the reference.
        least: The F1 between masks that every engine is held to.
        gate: How INT8 was judged; None where it was not.
        quantised: How many convolutions compute in INT8.
        files: Name -> SHA-256.
    """
    has_prior, ships_int8 = chain.hed is not None, precision == "int8"
    return Manifest(
        schema=SCHEMA,
        model=ModelIdentity(
            name=card.name,
            prior=next((hed.name for hed in find_chain(card)[1:]), "none"),
            sha256=weights_of(card),
            licence=card.licence,
        ),
        input=InputContract(frame_hw=chain.frame_hw, size_hw=chain.size_hw, batch=recipe.batch),
        threshold=recipe.threshold or card.threshold,
        seed=0.0 if recipe.threshold else card.seed,
        edge_threshold=recipe.edge_threshold if has_prior else None,
        operating_points=card.operating_points,
        precision=precision,
        calibration=provenance(calibration) if calibration and ships_int8 else None,
        parity=parity,
        min_mask_f1=least,
        gate=gate,
        quantised_convolutions=quantised,
        files=files,
        tools={name: version(name) for name in ("scnet-edge", "torch", "onnx", "numpy")},
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    )


def provenance(ranges: CalibrationFile) -> Calibration:
    """Return what the manifest says of the ranges."""
    return Calibration(
        source=ranges.source,
        method=ranges.method,
        frames=len(ranges.frames),
        sha256=ranges.sha256,
        key=ranges.key,
    )
