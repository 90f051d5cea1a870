"""`scnet-edge calibrate`: INT8 ranges from frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scnet_edge.cli import app

if TYPE_CHECKING:
    from scnet_edge.types import Frame


@app.command()
def calibrate(
    data: Annotated[str, typer.Option(help="Frames: a folder of images, or a video.")],
    out: Annotated[Path, typer.Option(help="The .toml file to write, as calibration/NAME.toml.")],
    model: Annotated[str | None, typer.Option(help="A name of 'scnet-edge models'.")] = None,
    size: Annotated[str | None, typer.Option(help="Size of the networks, HEIGHTxWIDTH.")] = None,
    frames: Annotated[int, typer.Option(min=1, help="How many, evenly spaced.")] = 64,
) -> None:
    """Collect the range of every convolution's input over frames, for 'build --int8'."""
    from rich.console import Console

    from scnet_edge.bundle.collect import collect_ranges
    from scnet_edge.bundle.recipe import DEFAULT_MODEL, DEFAULT_SIZE_HW, Recipe, parse_size
    from scnet_edge.graph.ranges import write_ranges

    size_hw = parse_size(size) if size else DEFAULT_SIZE_HW
    recipe = Recipe(precision="int8", model=model or DEFAULT_MODEL, size_hw=size_hw)
    console = Console()
    with console.status("reading frames ...") as status:
        chosen = _evenly(data, frames, size_hw)
        status.update(f"running {len(chosen)} frames through {recipe.model} ...")
        where, (height, width) = "/".join(Path(data).resolve().parts[-2:]), size_hw
        source = f"{len(chosen)} frames of {where}, evenly spaced, at {height}x{width}"
        calibration = collect_ranges(recipe, chosen, source=source)
    write_ranges(out, calibration)
    console.print(f"{out}: {len(calibration.ranges)} ranges from {source}", highlight=False)


def _evenly(data: str, count: int, size_hw: tuple[int, int]) -> list[tuple[str, Frame]]:
    """Return up to `count` evenly spaced frames of a source, resized."""
    from scnet_edge.data.preprocess import resized
    from scnet_edge.runtime.sources import open_source

    with open_source(data) as source:
        everything = [(item.name, resized(item.frame, size_hw)) for item in source]
    step = max(1, len(everything) / count)
    return [everything[int(i * step)] for i in range(min(count, len(everything)))]
