"""The bundle that a case runs, built once for all cases of its model, size and precision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scnet_edge.bench.profile import can_count, gflop_of_convolutions
from scnet_edge.bench.schema import Case
from scnet_edge.bundle.manifest import FUSED, HED, MANIFEST, SCNET, Precision, read_manifest
from scnet_edge.errors import BundleError, install_extra, one_line
from scnet_edge.models.cards import Card, find_card, find_chain, weights_of
from scnet_edge.quantization.ranges import find_ranges

# A full disk, and what OpenVINO and PyTorch raise for anything, memory that is gone included
BUILD_ERRORS = (OSError, RuntimeError, MemoryError)
GRAPHS: dict[str, Precision] = {"fp32": "fp32", "bf16": "fp32", "fp16": "fp16", "int8": "int8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A case with its bundle and the operations of a frame, 1e9."""

    case: Case
    bundle: Path
    gflop: float


def make_ready(case: Case, folder: Path) -> Ready:
    """Return a case with its bundle, built in `folder` unless it is there.

    Raises:
        ScnetEdgeError: what `bundle_of` raises, or why this machine cannot build or read it.
    """
    try:
        bundle = bundle_of(case, folder)
        return Ready(case=case, bundle=bundle, gflop=gflop(case, bundle))
    except BUILD_ERRORS as e:
        raise BundleError(
            f"{case.name} {case.label}: its bundle cannot be built or read here: "
            f"{type(e).__name__}: {one_line(e)}"
        ) from e


def bundle_of(case: Case, folder: Path) -> Path:
    """Return the bundle of a case in `folder`, built unless it is there.

    One of other weights or INT8 ranges than the package's is built again. BF16 is arithmetic of
    the engine on the FP32 graph. Building needs PyTorch; a machine without it runs the bundles that
    another one built: copy them to that folder.

    Raises:
        ScnetEdgeError: it cannot be built, or the bundle of somebody's own network is not there
            or of another precision or size.
    """
    precision = GRAPHS[case.precision]
    if case.is_folder:
        return _find_given(case, precision)
    size = "x".join(map(str, case.size_hw))
    bundle = folder / f"{case.model}-{size}-{precision}"
    card = find_card(case.model)
    if (bundle / MANIFEST).is_file() and _is_current(bundle, card):
        return bundle
    try:
        from scnet_edge.build import build_bundle
    except ModuleNotFoundError as e:
        raise BundleError(
            f"{bundle}: no bundle of these weights and ranges, and PyTorch and onnx to build it "
            f"are not here; {install_extra('build')}, or copy it from a machine that has them"
        ) from e
    from scnet_edge.bundle.recipe import Recipe

    recipe = Recipe(
        model=case.model,
        precision=precision,
        size_hw=case.size_hw,
        split_graphs=card.takes_prior,
    )
    build_bundle(recipe, bundle, overwrite=True)
    return bundle


def _is_current(bundle: Path, card: Card) -> bool:
    manifest, weights = read_manifest(bundle), weights_of(card)
    if manifest.model.sha256 != weights:
        return False
    ranges = manifest.calibration
    return ranges is None or ranges.key == find_ranges(card.name, weights).key


def _find_given(case: Case, precision: Precision) -> Path:
    """Return the bundle that the case names, which must be what the case says."""
    folder = Path(case.model)
    if not folder.is_dir():
        raise BundleError(
            f"{folder}: expected a folder of bundles, found none; the suite says what makes it"
        )
    if case.engine == "torch":
        raise BundleError(f"{folder}: PyTorch runs shipped weights, not bundles; leave it out")
    if not can_count():
        raise BundleError(
            f"{folder}: neither OpenVINO nor onnx is here to count its operations; pip install onnx"
        )
    bundle = folder / precision if (folder / precision).is_dir() else folder
    manifest = read_manifest(bundle)
    found = (manifest.precision, manifest.input.size_hw)
    if found != (precision, case.size_hw):
        raise BundleError(
            f"{bundle}: a bundle of {found[0]} at {found[1][0]}x{found[1][1]}, not for {case.label}"
        )
    return bundle


def gflop(case: Case, bundle: Path) -> float:
    """Return 1e9 operations of all convolutions, two a multiply-accumulate: the mean of frames."""
    if case.is_folder:
        parts = [FUSED] if case.hed_every == 1 else [SCNET, HED]
        scnet, *hed = (sum(gflop_of_convolutions(bundle / part).values()) for part in parts)
    else:
        chain = find_chain(find_card(case.model))
        scnet, *hed = (2 * card.gmac_at(case.size_hw) for card in chain)
    return round(scnet + sum(hed) / case.hed_every, 2)
