"""The first screen: from trained weights to a verified bundle, in one straight line."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx

from scnet_edge.backends.base import default_engine, open_backend
from scnet_edge.backends.torch_eager import TorchBackend
from scnet_edge.bundle.manifest import (
    FUSED,
    GOLDEN,
    MANIFEST,
    SCHEMA,
    Calibration,
    InputContract,
    Manifest,
    ModelIdentity,
    Parity,
    file_sha256,
)
from scnet_edge.bundle.recipe import MIN_MASK_F1, Recipe
from scnet_edge.bundle.verify import Golden, measure_parity, require_parity, write_golden
from scnet_edge.config import write_json
from scnet_edge.folders import new_folder
from scnet_edge.graph.half import to_half
from scnet_edge.graph.qdq import quantise
from scnet_edge.graph.ranges import CalibrationFile, find_ranges
from scnet_edge.graph.rewrite import exportable
from scnet_edge.graph.trace import halves, trace_chain
from scnet_edge.models.cards import Card, find_card
from scnet_edge.models.chain import Chain
from scnet_edge.models.weights import open_hed, open_scnet
from scnet_edge.simulation.clip import render_clip

GOLDEN_FRAMES, GOLDEN_SEED = 4, 2026
Report = Callable[[str], None]


def build_bundle(
    recipe: Recipe, out: Path, *, overwrite: bool = False, report: Report = lambda step: None
) -> Manifest:
    """Build the bundle of a recipe in the folder `out` and return its manifest.

    Args:
        recipe: What to build.
        out: A folder that does not exist yet, or an older bundle when `overwrite` is given.
        overwrite: Replace the older bundle.
        report: Told each step as it begins.

    Raises:
        ScnetEdgeError: the recipe, weights, ranges or engine cannot be used, or the graph is
            further from PyTorch than the recipe tolerates; nothing is left behind.
    """
    with new_folder(out, marker=MANIFEST, overwrite=overwrite) as folder:
        report("loading weights")
        card = find_card(recipe.model)
        chain = open_chain(card, recipe)
        ranges = (
            find_ranges(recipe.calibration or card.name, weights_of(card))
            if (recipe.precision == "int8")
            else None
        )
        report(f"tracing to ONNX, {recipe.precision}")
        graphs = graphs_of(chain, recipe, ranges)
        for name, graph in graphs.items():
            onnx.save(graph, folder / f"{name}.onnx")
        report(f"running the PyTorch reference on {GOLDEN_FRAMES} frames")
        golden = golden_frames(chain)
        write_golden(folder / GOLDEN, golden)
        report("verifying the engine against it")
        threshold = recipe.threshold or card.threshold
        manifest = Manifest(
            schema=SCHEMA,
            model=ModelIdentity(
                name=card.name,
                prior="none" if chain.hed is None else "hed",
                sha256=weights_of(card),
                licence=card.licence,
            ),
            input=InputContract(frame_hw=chain.frame_hw, size_hw=chain.size_hw),
            threshold=threshold,
            edge_threshold=None if chain.hed is None else recipe.edge_threshold,
            precision=recipe.precision,
            calibration=None if ranges is None else provenance(ranges),
            parity=parity_of(folder / FUSED, golden, threshold, recipe.edge_threshold),
            min_mask_f1=recipe.min_mask_f1 or MIN_MASK_F1[recipe.precision],
            quantised_convolutions=count_quantised(graphs["fused"]),
            files={path.name: file_sha256(path) for path in sorted(folder.iterdir())},
            tools={name: version(name) for name in ("scnet-edge", "torch", "onnx", "numpy")},
            created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        )
        require_parity(manifest.parity, manifest.min_mask_f1)
        write_json(folder / MANIFEST, manifest)
    return manifest


def weights_of(card: Card) -> dict[str, str]:
    """Return the hashes of all weights in a model's chain, by model name."""
    cards = [card, find_card("hed")] if card.takes_prior else [card]
    return {c.name: c.sha256 for c in cards}


def open_chain(card: Card, recipe: Recipe) -> Chain:
    """Return the PyTorch FP32 reference of a recipe, in eval mode."""
    return Chain(
        open_scnet(card),
        open_hed() if card.takes_prior else None,
        frame_hw=recipe.frame_hw or recipe.size_hw,
        size_hw=recipe.size_hw,
        edge_threshold=recipe.edge_threshold,
    ).eval()


def graphs_of(
    chain: Chain, recipe: Recipe, ranges: CalibrationFile | None
) -> dict[str, onnx.ModelProto]:
    """Return the graphs of a bundle, by name: `fused`, and on request its halves."""
    fused = trace_chain(exportable(chain))
    if ranges is not None:
        fused = quantise(fused, ranges.ranges, exclude=recipe.exclude)
    graphs = {"fused": fused} | (halves(fused) if recipe.halves else {})
    if recipe.precision == "fp16":
        return {name: to_half(graph) for name, graph in graphs.items()}
    return graphs


def golden_frames(chain: Chain) -> Golden:
    """Return drawn frames and what PyTorch makes of them."""
    clip = render_clip(GOLDEN_FRAMES, chain.frame_hw, seed=GOLDEN_SEED)
    frames = np.stack([frame for frame, _ in clip])  # (n, H, W, 3)
    outputs = [TorchBackend(chain).run({"frame": frame[None]}) for frame in frames]
    return Golden(
        frames=frames,
        probability=np.concatenate([o["probability"] for o in outputs]),
        edges=None if chain.hed is None else np.concatenate([o["edges"] for o in outputs]),
    )


def parity_of(fused: Path, golden: Golden, threshold: float, edge_threshold: float) -> Parity:
    """Return how far this machine's engine is from the reference."""
    backend = open_backend(default_engine(), fused)
    try:
        return measure_parity(backend, golden, threshold, edge_threshold)
    finally:
        backend.close()


def provenance(ranges: CalibrationFile) -> Calibration:
    """Return what the manifest says of the ranges."""
    return Calibration(
        source=ranges.source,
        method=ranges.method,
        frames=len(ranges.frames),
        sha256=ranges.sha256,
    )


def count_quantised(graph: onnx.ModelProto) -> int:
    """Return how many convolutions compute in INT8."""
    return sum(n.op_type == "Conv" and n.input[1].endswith(".dq") for n in graph.graph.node)
