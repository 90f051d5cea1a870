"""The bundle that a case runs, built once for all cases of its model, size and precision."""

from __future__ import annotations

from pathlib import Path

from scnet_edge.bench.schema import Case
from scnet_edge.bundle.manifest import Precision
from scnet_edge.errors import BundleError

GRAPHS: dict[str, Precision] = {"fp32": "fp32", "bf16": "fp32", "fp16": "fp16", "int8": "int8"}


def bundle_of(case: Case, folder: Path) -> Path:
    """Return the bundle of a case in `folder`, built there unless it is there already.

    BF16 is arithmetic of the engine on the FP32 graph. Building needs PyTorch; a machine without
    it runs the bundles that another one built: copy them to that folder.

    Raises:
        ScnetEdgeError: it cannot be built.
    """
    precision = GRAPHS[case.precision]
    size = "x".join(map(str, case.size_hw))
    bundle = folder / f"{case.model}-{size}-{precision}"
    if (bundle / "manifest.json").is_file():
        return bundle
    try:
        from scnet_edge.bundle.build import build_bundle
    except ModuleNotFoundError as e:
        raise BundleError(
            f"{bundle}: no such bundle, and PyTorch and onnx to build it are not installed here; "
            "pip install 'scnet-edge[build]', or copy it from a machine that has them"
        ) from e
    from scnet_edge.bundle.recipe import Recipe

    build_bundle(
        Recipe(model=case.model, precision=precision, size_hw=case.size_hw), bundle, overwrite=True
    )
    return bundle
