"""`scnet-edge compare`: which cracks have grown from one survey to the next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scnet_edge.cli import app
from scnet_edge.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from scnet_edge.survey.compare import Comparison
    from scnet_edge.survey.folder import Survey


@app.command()
def compare(
    survey_a: Annotated[Path, typer.Argument(help="The earlier survey.")],
    survey_b: Annotated[Path, typer.Argument(help="The later survey of the same pipe or wall.")],
    tolerance_m: Annotated[
        float, typer.Option(min=0.001, help="Cracks found further apart than this are two.")
    ] = 0.2,
    offset_m: Annotated[
        float, typer.Option(help="Add this to the later chainages, if their zero lies elsewhere.")
    ] = 0.0,
    json: Annotated[Path | None, typer.Option(help="Write the comparison here as well.")] = None,
) -> None:
    """Compare two surveys by position: growth, cracks that appeared, cracks that vanished."""
    from rich.console import Console

    from scnet_edge.config import write_json
    from scnet_edge.survey.compare import compare as compared
    from scnet_edge.survey.folder import read_survey

    before, after = read_survey(survey_a), read_survey(survey_b)
    found = compared(before, after, tolerance_m=tolerance_m, offset_m=offset_m)
    if json is not None:
        try:
            write_json(json, found)
        except OSError as e:
            raise InputError(f"{json}: cannot be written ({e.strerror})") from e
    if found.pairs:
        Console().print(_table(before, found))
    for label, numbers in (
        ("appeared, of the later survey", found.appeared),
        ("vanished, of the earlier survey", found.vanished),
        ("the later survey did not look at, of the earlier", found.not_seen[0]),
        ("the earlier survey did not look at, of the later", found.not_seen[1]),
    ):
        if numbers:
            typer.echo(f"{label}: {', '.join(map(str, numbers))}")
    grown = sum(pair.change == "grown" for pair in found.pairs)
    typer.echo(f"{len(found.pairs)} cracks in both, {grown} surely grown")


def _table(before: Survey, found: Comparison) -> Table:
    """Return one row per crack that is in both."""
    from rich.table import Table

    from scnet_edge.survey.report.words import clock_text, place_text, with_sigma

    records = {o.seq: o for o in before.observations}
    table = Table("before", "after", "place", "length", "width", "change", show_edge=False)
    for pair in found.pairs:
        record = records[pair.before]
        table.add_row(
            str(pair.before),
            str(pair.after),
            f"{place_text(record)}  {clock_text(record)}",
            with_sigma(pair.length_growth_mm, "mm"),
            with_sigma(pair.width_growth_mm, "mm"),
            pair.change,
        )
    return table
