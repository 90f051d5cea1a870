"""`scnet-edge soak`: a bundle under faults for some minutes, and whether anything leaks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scnet_edge.cli import app


@app.command()
def soak(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder, as 'build' writes it.")],
    minutes: Annotated[float, typer.Option(min=0.1, max=10_080, help="How long.")] = 30.0,
    faults: Annotated[
        str, typer.Option(help="all, none, or some with commas; an unknown one lists them.")
    ] = "all",
    engine: Annotated[
        str | None, typer.Option(help="openvino, onnxruntime or tensorrt; default: the best here.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=256, help="CPU threads.")] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write all that was found to this file.")
    ] = None,
) -> None:
    """Hurt a run on a simulated camera again and again; exit status 1 if it fails or leaks."""
    from scnet_edge.config import write_json
    from scnet_edge.soak.soak import parse_faults, run_soak

    names = parse_faults(faults)
    report = run_soak(
        bundle,
        minutes=minutes,
        faults=names,
        engine=engine,
        threads=threads,
        progress=lambda line: typer.echo(line, err=True),
    )
    if json:
        write_json(json, report)
    memory = report.growth["rss_mb"]
    done = sum(fault.injected for fault in report.faults.values())
    typer.echo(
        f"{report.verdict}: {done} faults in {minutes:g} min, {report.processed} frames, "
        f"memory {memory.settled:.0f} -> {memory.end:.0f} MB"
        + "".join(f"; {reason}" for reason in report.reasons)
    )
    raise typer.Exit(report.verdict != "pass")
