"""`scnet-edge measure`: the cracks of a mask one already has, as a table and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scnet_edge.cli import app
from scnet_edge.errors import ConfigError, InputError, escape

if TYPE_CHECKING:
    from rich.table import Table

    from scnet_edge.inspection.measure import Crack
    from scnet_edge.types import Frame, Mask


@app.command()
def measure(
    mask: Annotated[Path, typer.Argument(help="An image of 0 and 255, or of 0 and 1.")],
    image: Annotated[
        Path | None, typer.Option(help="What the mask was made from: refines the widths.")
    ] = None,
    mm_per_px: Annotated[float | None, typer.Option(help="Millimetres per pixel.")] = None,
    mm_per_px_sigma: Annotated[
        float | None, typer.Option(help="Standard deviation of --mm-per-px; default 0.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the cracks here as well.")] = None,
) -> None:
    """Measure the cracks of a mask: length, width, direction, branches."""
    from rich.console import Console

    from scnet_edge.data.masks import MOST_CRACK, read_mask
    from scnet_edge.data.pictures import read_image
    from scnet_edge.inspection.measure import Scale, measure_cracks

    if mm_per_px is None and mm_per_px_sigma is not None:
        raise ConfigError("--mm-per-px-sigma needs --mm-per-px")
    scale = (
        None
        if mm_per_px is None
        else Scale(mm_per_px=mm_per_px, sigma_mm_per_px=mm_per_px_sigma or 0.0)
    )
    marked = read_mask(mask, exact=True).crack
    if marked.mean() > MOST_CRACK:
        raise InputError(
            f"{escape(mask)}: {100 * marked.mean():.0f} % of it is crack, so it looks inverted; "
            "crack is white: invert it"
        )
    frame = None if image is None else read_image(image)
    if frame is not None and frame.shape[:2] != marked.shape:
        raise InputError(
            f"{image}: {_size(frame)}, expected {_size(marked)} as the mask {mask} has; "
            "scale one to the other"
        )
    cracks = measure_cracks(marked, frame=frame, scale=scale)
    if json is not None:
        _write(json, cracks)
    Console().print(_table(cracks) if cracks else f"{mask}: no crack of at least 20 px")


def _size(array: Frame | Mask) -> str:
    return f"{array.shape[1]}x{array.shape[0]} px"


def _write(path: Path, cracks: list[Crack]) -> None:
    from scnet_edge.config import write_json

    try:
        write_json(path, {"cracks": cracks})
    except OSError as e:
        raise InputError(f"{path}: cannot be written ({e.strerror})") from e


def _table(cracks: list[Crack]) -> Table:
    """Return one row per crack, in millimetres where there is a scale."""
    from rich.table import Table

    scaled = cracks[0].length_mm is not None
    unit = "mm" if scaled else "px"
    sizes = [f"length {unit}", *(f"width {which} {unit}" for which in ("mean", "p95", "max"))]
    table = Table("#", *sizes, "angle", "forks", show_edge=False)
    for column in table.columns:
        column.justify = "right"
    for number, crack in enumerate(cracks, start=1):
        cells = _sizes_mm(crack) if scaled else _sizes_px(crack)
        table.add_row(str(number), *cells, f"{crack.angle_deg:.0f}°", str(crack.branches))
    return table


def _sizes_px(crack: Crack) -> list[str]:
    sizes_px = (crack.length_px, crack.width_mean_px, crack.width_p95_px, crack.width_max_px)
    return [f"{size_px:.1f}" for size_px in sizes_px]


def _sizes_mm(crack: Crack) -> list[str]:
    pairs = (
        (crack.length_mm, crack.length_mm_sigma),
        (crack.width_mean_mm, crack.width_mean_mm_sigma),
        (crack.width_p95_mm, crack.width_p95_mm_sigma),
        (crack.width_max_mm, crack.width_max_mm_sigma),
    )
    return ["under 3 px" if mm is None else f"{mm:.2f} ± {sigma:.2f}" for mm, sigma in pairs]
