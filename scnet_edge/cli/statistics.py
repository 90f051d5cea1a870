"""`scnet-edge statistics`: how many images, how rare cracks are (Table II of the paper)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scnet_edge.cli import app
from scnet_edge.config import write_json
from scnet_edge.folders import check_file


@app.command()
def statistics(
    data: Annotated[list[str], typer.Option(help="NAME:DIR; again for more rows.")],
    split: Annotated[str, typer.Option(help="train, test or all.")] = "all",
    json: Annotated[Path | None, typer.Option(help="Write them here as well.")] = None,
) -> None:
    """Read every image and mask of a data set, and count."""
    from rich.console import Console
    from rich.table import Table

    from scnet_edge.cli.evaluate import parse_split
    from scnet_edge.data.augment import PAPER_AUGMENTATION
    from scnet_edge.data.datasets import open_dataset
    from scnet_edge.data.statistics import statistics as count

    if json:
        check_file(json)
    rows = {
        spec: count(open_dataset(spec, parse_split(split)), how=PAPER_AUGMENTATION) for spec in data
    }
    table = Table()
    for title in ("data", "images", "cracked", "crack %", "background %", "crack % of 256 crops"):
        table.add_column(title)
    for spec, row in rows.items():
        shares = (row.crack_percent, row.background_percent, row.crop_crack_percent)
        table.add_row(spec, str(row.images), str(row.cracked), *(f"{x:.2f}" for x in shares))
    Console().print(table)
    if json:
        write_json(json, rows)
