"""A table of the paper, trained and evaluated row by row.

python -m benchmarks.ablate VII --data deepcrack:DIR --out runs/tables
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from benchmarks.paper_ablation import ablate as make
from benchmarks.paper_tables import find_table
from scnet_edge.cli import main
from scnet_edge.cli.train import Compiled, Device, PrecisionName, Workers, hardware_of, precision_of
from scnet_edge.folders import check_folder

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def ablate(
    table: Annotated[str, typer.Argument(help="III to X, or 3 to 10.")],
    data: Annotated[list[str], typer.Option(help="NAME:DIR; again for more columns.")],
    out: Annotated[Path, typer.Option(help="Folder of all runs.", show_default=False)],
    width: Annotated[
        float, typer.Option(min=0.01, max=2, help="Of every SCNet; 0.25 for a CPU.")
    ] = 1.0,
    steps: Annotated[int | None, typer.Option(min=1, help="Updates of each run.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Crops per update.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of weights and crops.")] = None,
    precision: PrecisionName = None,
    device: Device = "auto",
    workers: Workers = None,
    compiled: Compiled = False,
) -> None:
    """Train each row of a table of the paper and score it; run again to go on."""
    check_folder(out)
    number, rows = find_table(table)
    options = {"steps": steps, "batch": batch, "seed": seed, "precision": precision_of(precision)}
    with Progress(console=Console(stderr=True)) as progress:

        def begin(name: str, total: int) -> Callable[[int, float], None]:
            task = progress.add_task(name, total=total, visible=False)
            return lambda step, loss: progress.update(task, completed=step, visible=True)

        make(
            number,
            rows,
            data,
            out,
            width=width,
            on=hardware_of(device, workers, compiled),
            changes={key: value for key, value in options.items() if value is not None},
            report=progress.console.print,
            begin=begin,
        )
    print((out / f"table-{number}.md").read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    main(app, "python -m benchmarks.ablate")
