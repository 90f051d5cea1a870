"""`scnet-edge report`: a survey as one HTML page, and as PDF."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scnet_edge.cli import app

MinConfidence = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Joints, roots, water lines and what is short or less sure stand aside; 0 for none.",
    ),
]


@app.command()
def report(
    survey: Annotated[Path, typer.Argument(help="A survey's folder, as 'inspect' writes it.")],
    pdf: Annotated[bool, typer.Option("--pdf", help="Print it as PDF, too.")] = False,
    limit: Annotated[
        str, typer.Option(help="The width that widths are judged by: water-0.1, ...")
    ] = "concrete-0.3",
    codes: Annotated[
        Path | None, typer.Option(help="A table of codes and limits of your own, TOML.")
    ] = None,
    min_confidence: MinConfidence = 0.7,
) -> None:
    """Make a survey's report: report.html in its folder, which opens without a network."""
    from scnet_edge.files import write_file
    from scnet_edge.survey.codes import find_limit, read_codes
    from scnet_edge.survey.folder import read_survey
    from scnet_edge.survey.report.page import REPORT, render_report
    from scnet_edge.survey.report.pdf import print_pdf
    from scnet_edge.survey.sorting import count_aside, set_aside

    table = read_codes(codes)
    read = set_aside(read_survey(survey), min_confidence)
    page = render_report(read, table, limit, find_limit(table, limit))
    write_file(survey / REPORT, page.encode())
    typer.echo(survey / REPORT)
    if read.aside:
        typer.echo(f"stand aside, in a section of their own: {count_aside(read)}", err=True)
    if pdf:
        printed = (survey / REPORT).with_suffix(".pdf")
        print_pdf(survey / REPORT, printed)
        typer.echo(printed)
