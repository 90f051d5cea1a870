"""`scnet-edge doctor`: can this machine run a bundle, and what would help?"""

from __future__ import annotations

from typing import Annotated

import typer

from scnet_edge.cli import app

COLOURS = {"ok": "green", "warn": "yellow", "missing": "red"}


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Look at CPU, GPU, engines and OpenCV; exit status 1 when no engine can run a bundle here."""
    import msgspec
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from scnet_edge.doctor.checks import can_run, checks

    found = checks()
    runs = can_run(found)
    if json:
        report = msgspec.json.encode({"runs_bundles": runs, "checks": found})
        typer.echo(msgspec.json.format(report, indent=2))
        raise typer.Exit(not runs)
    table = Table()
    for column in ("", "verdict", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for check in found:
        verdict = Text(check.verdict, style=COLOURS[check.verdict])
        table.add_row(check.name, verdict, Text(check.found), Text(check.remedy))
    console = Console()
    console.print(table)
    console.print("This machine can run bundles." if runs else "No engine can run a bundle here.")
    raise typer.Exit(not runs)
