"""`scnet-edge review`: a person's word on what a survey has found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from scnet_edge.cli import app
from scnet_edge.errors import ConfigError


@app.command()
def review(
    survey: Annotated[Path, typer.Argument(help="A survey's folder, as 'inspect' writes it.")],
    number: Annotated[int, typer.Argument(help="The observation, as the report numbers it.")],
    verdict: Annotated[
        Literal["needs_review", "accepted", "rejected"] | None,
        typer.Option(help="What it is from now on; what is rejected counts in no rating."),
    ] = None,
    remarks: Annotated[str | None, typer.Option(help="What the report shall say of it.")] = None,
) -> None:
    """Accept or reject an observation, and say why; the next report and export have it."""
    from scnet_edge.survey.review import review as reviewed

    if verdict is None and remarks is None:
        raise ConfigError("expected --verdict or --remarks, found neither")
    now = reviewed(survey, number, verdict=verdict, remarks=remarks)
    typer.echo(f"{number}: {now.review}{', with remarks' if now.remarks else ''}")
