"""`scnet-edge doctor`: can this machine run a bundle, and what would help?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scnet_edge.cli import app

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    from scnet_edge.doctor.deep import DeepReport, EngineTrial

COLOURS = {"ok": "green", "warn": "yellow", "missing": "red"}


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    deep: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="Try a bundle by every engine here: build, compare, time; cameras as well.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="With --deep: the report to write, to attach to an issue.")
    ] = Path("scnet-edge-doctor.json"),
    engine: Annotated[
        str | None, typer.Option(help="With --deep: this engine alone; default: all that are here.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, max=256, help="With --deep: CPU threads.")
    ] = None,
) -> None:
    """Look at CPU, GPU, engines and OpenCV; exit status 1 when no engine can run a bundle here.

    With --deep, exit status 1 as well when an engine fails or strays from PyTorch.
    """
    if deep is not None:
        raise typer.Exit(not _examine(deep, out, engine, threads))
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


def _examine(bundle: Path, out: Path, engine: str | None, threads: int | None) -> bool:
    """Write the report of a bundle on this machine; return whether all that was tried went well."""
    from rich.console import Console

    from scnet_edge.doctor.deep import encode_report, examine
    from scnet_edge.files import write_file
    from scnet_edge.folders import check_file

    check_file(out)
    console = Console()
    with console.status("starting") as status:
        report = examine(
            bundle,
            engines=None if engine is None else [engine],
            threads=threads,
            report=lambda step: status.update(f"{step} ..."),
        )
    write_file(out, encode_report(report))
    console.print(_table(report))
    for trial in report.trials:
        if trial.error:
            console.print(f"{trial.engine}, {trial.graph}: {trial.error}", markup=False)
    for compilation in report.compilations:
        said = compilation.error or f"{compilation.compile_s} s"
        console.print(f"compile by {compilation.engine}: {said}", markup=False)
    for camera in report.cameras:
        size = "x".join(map(str, reversed(camera.size_hw or ())))
        console.print(f"{camera.source}: {camera.error or size}", markup=False)
    console.print(f"report: {out}", markup=False, soft_wrap=True)
    failed = [c for c in report.compilations if c.error]
    return bool(report.trials) and not failed and all(map(_well, report.trials))


def _well(trial: EngineTrial) -> bool:
    return trial.holds and not trial.error


def _table(report: DeepReport) -> object:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{report.bundle}: {report.model}, {report.precision}")
    for column in ("engine", "graph", "opened", "mask F1", "p50", "p95", ""):
        table.add_column(column, overflow="fold")
    for trial in report.trials:
        p50, p95 = (f"{ms:.1f} ms" for ms in trial.latency_ms) if trial.latency_ms else ("", "")
        failed = "failed" if trial.error else f"under {report.min_mask_f1}"
        table.add_row(
            trial.engine,
            trial.graph,
            "" if trial.open_s is None else f"{trial.open_s:.1f} s",
            "" if trial.parity is None else f"{trial.parity.mask_f1:.4f}",
            p50,
            p95,
            Text("ok", style="green") if _well(trial) else Text(failed, style="red"),
        )
    return table
