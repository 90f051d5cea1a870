"""`scnet-edge sensitivity`: which layers does INT8 hurt?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scnet_edge.cli import app
from scnet_edge.folders import check_file

if TYPE_CHECKING:
    from scnet_edge.bundle.recipe import Recipe
    from scnet_edge.quantization.layer_sensitivity import Sensitivity


@app.command()
def sensitivity(
    subject: Annotated[Path, typer.Argument(metavar="BUNDLE_OR_RECIPE", help="Folder or .toml.")],
    json: Annotated[Path | None, typer.Option(help="Write the ranking here as well.")] = None,
    data: Annotated[
        str | None, typer.Option(help="NAME:DIR whose test split is scored; default: drawn frames.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="How many, evenly spaced.")] = 24,
) -> None:
    """Quantise one layer at a time and rank the layers by the F1 that each loses."""
    from scnet_edge.cli.progress import show_steps
    from scnet_edge.config import write_json
    from scnet_edge.quantization.layer_sensitivity import measure

    if json:
        check_file(json)
    recipe = _recipe(subject)
    with show_steps("tracing") as report:
        found = measure(recipe, data=data, images=images, report=report)
    if json:
        write_json(json, found)
    print(_summary(found))


def _recipe(subject: Path) -> Recipe:
    """Return the recipe of a file, or the one that a bundle was built from.

    A bundle that was built in FP16 or FP32 without INT8 being judged has no ranges of its own; the
    model's are taken.
    """
    from scnet_edge.bundle.manifest import CALIBRATION, read_manifest
    from scnet_edge.bundle.recipe import Recipe, read_recipe
    from scnet_edge.data.frames import EDGE_THRESHOLD

    if not subject.is_dir():
        return read_recipe(subject)
    manifest = read_manifest(subject)
    return Recipe(
        precision="int8",
        model=manifest.model.name,
        size_hw=manifest.input.size_hw,
        frame_hw=manifest.input.frame_hw,
        threshold=manifest.threshold,
        calibration=str(subject / CALIBRATION) if CALIBRATION in manifest.files else None,
        edge_threshold=manifest.edge_threshold or EDGE_THRESHOLD,
    )


def _summary(found: Sensitivity) -> str:
    lines = [
        f"{found.model} on {found.images} frames of {found.data}, {found.engine}, threshold "
        f"{found.threshold:.2f}: F1 {found.f1_fp32:.4f} in FP32",
        f"ranges: {found.ranges}",
        "INT8 in one network, the others exact:" if len(found.chain) > 1 else "INT8 throughout:",
    ]
    for part in found.chain:
        flips = part.prior_flip_rate
        lines.append(
            f"  {part.part:6} loses {part.lost_f1:+.4f} F1"
            + (f", {flips:.3%} of the prior flips" if flips is not None else "")
        )
    lines.append("INT8 in one layer, everything else exact, the worst first:")
    lines += [
        f"  {layer.name:24} loses {layer.lost_f1:+.5f} F1, mean error {layer.mean_abs_error:.2g}"
        for layer in found.layers
    ]
    names = ", ".join(f'"{name}"' for name in found.exclude)
    lines.append(f"exclude = [{names}]" if names else "no layer is worth excluding")
    return "\n".join(lines)
