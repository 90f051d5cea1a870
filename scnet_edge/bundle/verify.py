"""Parity of an engine with the PyTorch reference that the bundle carries; needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scnet_edge.arrays import read_arrays
from scnet_edge.bundle.device import opening_for
from scnet_edge.bundle.manifest import (
    FP16,
    FUSED,
    GOLDEN,
    HED,
    SCNET,
    TYPED,
    Manifest,
    read_manifest,
)
from scnet_edge.engines.base import Backend, default_engine
from scnet_edge.engines.isolated.worker import open_one
from scnet_edge.engines.split import SplitBackend, open_both
from scnet_edge.errors import BundleError
from scnet_edge.types import Parity, PixelCounts

MAX_GOLDEN_BYTES = 512 * 2**20
Open = Callable[[str], Backend]  # the name of a graph -> what runs it


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Frames and what PyTorch in FP32 makes of them.

    Attributes:
        frames: (n, H, W, 3) uint8 BGR.
        probability: (n, h, w) float32 in [0, 1].
        edges: (n, h, w) float32 in [0, 1]; None for a model without the prior.
        batch: how many of them the graph takes at once.
    """

    frames: npt.NDArray[np.uint8]
    probability: npt.NDArray[np.float32]
    edges: npt.NDArray[np.float32] | None
    batch: int = 1

    def feeds(self) -> list[dict[str, npt.NDArray[np.uint8]]]:
        """Return the frames as a graph takes them, the last batch filled up from the first."""
        starts = range(0, len(self.frames), self.batch)
        index = [np.arange(start, start + self.batch) % len(self.frames) for start in starts]
        return [{"frame": self.frames[i]} for i in index]  # (N, H, W, 3)


def verify_bundle(
    bundle: Path, *, engine: str | None = None, threads: int | None = None
) -> tuple[Manifest, Parity]:
    """Return the manifest and the parity of this machine's engine on the golden frames.

    Where a build on the device is active, it is that which runs.

    Raises:
        BundleError: the bundle is damaged, or its split graphs are too far from PyTorch.
        EngineError: the engine is not installed or refuses the graph.
    """
    manifest = read_manifest(bundle)
    golden = read_golden(bundle / GOLDEN, batch=manifest.input.batch)
    chosen = engine or default_engine()

    def open_graph(part: str) -> Backend:
        return open_one(opening_for(bundle, manifest, chosen, part, threads=threads))

    parity = parity_of(open_graph(FUSED), golden, manifest.threshold, manifest.edge_threshold)
    if HED in manifest.files:
        require_split_parity(open_graph, manifest, golden)
    return manifest, parity


def parity_of(
    backend: Backend, golden: Golden, threshold: float, edge_threshold: float | None
) -> Parity:
    """Return how far a backend is from the reference, and close it."""
    try:
        return measure_parity(backend, golden, threshold, edge_threshold)
    finally:
        backend.close()


def require_parts(fused: Backend, opened: Open, manifest: Manifest, golden: Golden) -> Parity:
    """Return the parity of an open backend of the fused graph, checked beside the split ones.

    Raises:
        BundleError: one of them is further from the reference than the bundle promises.
    """
    parity = measure_parity(fused, golden, manifest.threshold, manifest.edge_threshold)
    require_parity(parity, manifest.min_mask_f1)
    if HED in manifest.files:
        require_split_parity(opened, manifest, golden)
    return parity


def require_other_graphs(opened: Open, manifest: Manifest, golden: Golden) -> None:
    """Raise BundleError when a graph beside the fused one is too far from the reference."""
    if HED in manifest.files:
        require_split_parity(opened, manifest, golden)
    for beside in (TYPED, FP16):
        if (fused := beside[FUSED]) in manifest.files:
            parity = parity_of(opened(fused), golden, manifest.threshold, manifest.edge_threshold)
            require_parity(parity, manifest.min_mask_f1, fused)
        if beside[HED] in manifest.files:
            require_split_parity(opened, manifest, golden, (beside[HED], beside[SCNET]))


def require_split_parity(
    opened: Open, manifest: Manifest, golden: Golden, names: tuple[str, str] = (HED, SCNET)
) -> None:
    """Raise BundleError when HED and SCNet, one after the other, are too far from the reference."""
    hed, scnet = names
    assert manifest.edge_threshold is not None
    split = SplitBackend(
        *open_both(lambda: opened(hed), lambda: opened(scnet)),
        every=1,
        hed_frame_hw=manifest.input.frame_hw,
        size_hw=manifest.input.size_hw,
        edge_threshold=manifest.edge_threshold,
    )
    parity = parity_of(split, golden, manifest.threshold, manifest.edge_threshold)
    require_parity(parity, manifest.min_mask_f1, f"{hed} and {scnet}")


def measure_parity(
    backend: Backend, golden: Golden, threshold: float, edge_threshold: float | None
) -> Parity:
    """Return how far a backend is from the reference, over all golden frames together."""
    outputs = [backend.run(feeds) for feeds in golden.feeds()]
    count = len(golden.frames)
    probability = np.concatenate([o["probability"] for o in outputs])[:count]  # (n, h, w)
    if probability.shape != golden.probability.shape:
        raise BundleError(
            f"{backend.name} gives maps of {probability.shape[1:]}, the golden ones are of "
            f"{golden.probability.shape[1:]}; build the bundle again with 'scnet-edge build'"
        )
    error = np.abs(probability - golden.probability)
    ours, reference = probability >= threshold, golden.probability >= threshold
    flips = None
    if golden.edges is not None and edge_threshold is not None:
        edges = np.concatenate([o["edges"] for o in outputs])[:count]
        flips = float(((edges > edge_threshold) != (golden.edges > edge_threshold)).mean())
    return Parity(
        engine=backend.name,
        frames=len(golden.frames),
        max_abs_error=float(error.max()),
        mean_abs_error=float(error.mean()),
        mask_agreement=float((ours == reference).mean()),
        mask_f1=mask_f1(ours, reference),
        prior_flip_rate=flips,
    )


def require_parity(parity: Parity, min_mask_f1: float, what: str = FUSED) -> None:
    """Raise BundleError when the masks agree less than the bundle promises, or are not numbers."""
    if not parity.mask_f1 >= min_mask_f1 or not parity.max_abs_error <= 1:
        raise BundleError(
            f"{what} in {parity.engine}: mask F1 against PyTorch is {parity.mask_f1:.4f} on "
            f"{parity.frames} golden frames, expected at least {min_mask_f1}; "
            "build in a higher precision, or with other ranges"
        )


def mask_f1(ours: npt.NDArray[np.bool_], reference: npt.NDArray[np.bool_]) -> float:
    """Return the pixel F1 of one mask against another; 1 when both are empty."""
    both = int((ours & reference).sum())
    return PixelCounts(
        predicted=int(ours.sum()), right=both, true=int(reference.sum()), found=both
    ).f1


def write_golden(path: Path, golden: Golden) -> None:
    """Write golden frames, compressed."""
    frames, probability, edges = golden.frames, golden.probability, golden.edges
    if edges is None:
        np.savez_compressed(path, frames=frames, probability=probability)
    else:
        np.savez_compressed(path, frames=frames, probability=probability, edges=edges)


def read_golden(path: Path, *, batch: int = 1) -> Golden:
    """Return the golden frames of a bundle whose hashes were checked, for graphs of `batch`.

    Raises:
        BundleError: they cannot be read, there are none, or they are of another shape or type.
    """
    try:
        arrays = read_arrays(path, most_bytes=MAX_GOLDEN_BYTES)
        frames = _array(path, arrays, "frames", "uint8", 4)
        probability = _array(path, arrays, "probability", "float32", 3)
        edges = _array(path, arrays, "edges", "float32", 3) if "edges" in arrays else None
    except (OSError, ValueError, KeyError) as e:
        raise BundleError(f"{path}: golden frames cannot be read ({e}); build again") from e
    maps = [len(probability)] + ([] if edges is None else [len(edges)])
    if {*maps} != {len(frames)}:
        raise BundleError(
            f"{path}: expected a map for each of {len(frames)} frames, found {maps}; "
            "build the bundle again with 'scnet-edge build'"
        )
    return Golden(frames=frames, probability=probability, edges=edges, batch=batch)


def _array(path: Path, arrays: Any, name: str, dtype: str, axes: int) -> npt.NDArray[Any]:
    """Return an array that is not empty and of a type; what is no array comes as bytes."""
    if name not in arrays:
        raise ValueError(f"{name} is not a file in the archive")
    array = np.atleast_1d(arrays[name])
    if array.dtype != dtype or array.ndim != axes or not array.size:
        raise BundleError(
            f"{path}: {name}: expected {dtype} of {axes} axes, found {array.dtype} of shape "
            f"{array.shape}; build the bundle again with 'scnet-edge build'"
        )
    return array
