"""`scnet-edge export`: a survey for spreadsheets, maps, data sets and other inspection software."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scnet_edge.cli import app
from scnet_edge.cli.report import MinConfidence
from scnet_edge.errors import ConfigError


@app.command()
def export(
    survey: Annotated[Path, typer.Argument(help="A survey's folder, as 'inspect' writes it.")],
    format: Annotated[
        str,
        typer.Option(help="csv, json, geojson, coco, pacp-csv, isybau-xml, m150-xml or training."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where to write; default: SURVEY/export.")
    ] = None,
    locale: Annotated[
        str | None,
        typer.Option(help="Of csv: de, fr, ... for semicolons and decimal commas, as Excel there."),
    ] = None,
    codes: Annotated[Path | None, typer.Option(help="A table of codes of your own, TOML.")] = None,
    min_confidence: MinConfidence = 0.7,
) -> None:
    """Write a survey in a format that other programs read."""
    from scnet_edge.survey.codes import read_codes
    from scnet_edge.survey.exchange import WRITERS
    from scnet_edge.survey.exchange import export as written
    from scnet_edge.survey.folder import read_survey
    from scnet_edge.survey.sorting import count_aside, set_aside

    chosen = next((known for known in WRITERS if known == format), None)
    if chosen is None:
        raise ConfigError(f"--format {format}: expected one of {', '.join(WRITERS)}")
    read = set_aside(read_survey(survey), min_confidence)
    folder = out or survey / "export"
    for path in written(read, read_codes(codes), chosen, folder, locale=locale):
        typer.echo(path)
    if read.aside and chosen != "training":
        typer.echo(f"left out: {count_aside(read)}; --min-confidence 0 takes all", err=True)
