"""`scnet-edge import annotations`: masks drawn elsewhere, taken back into a survey."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scnet_edge.cli import app

import_ = typer.Typer(help="Take in what other programs have made.", no_args_is_help=True)
app.add_typer(import_, name="import")


@import_.callback()
def _import() -> None:
    """Take in what other programs have made."""


@import_.command("annotations")
def import_masks(
    survey: Annotated[Path, typer.Argument(help="A survey's folder, as 'inspect' writes it.")],
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="COCO, Label Studio or labelme JSON, PNG, a folder."),
    ],
    reject_empty: Annotated[
        bool, typer.Option("--reject-empty", help="A picture without a mask is of no crack.")
    ] = False,
    by: Annotated[str | None, typer.Option(help="Who has drawn; default: your user name.")] = None,
) -> None:
    """Take the masks of CVAT, Label Studio or labelme into a survey, and accept their records."""
    from scnet_edge.survey.exchange.annotations import import_annotations

    done = import_annotations(survey, path, reject_empty=reject_empty, by=by)
    typer.echo(
        f"{len(done.corrected)} masks corrected, {len(done.same)} as they were, "
        f"{len(done.rejected)} records rejected"
    )
    for name in done.unknown:
        typer.echo(f"{name}: belongs to no record of this survey", err=True)
