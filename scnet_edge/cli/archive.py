"""`scnet-edge archive`: thousands of inspection films, and the human coding beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scnet_edge.cli import app
from scnet_edge.errors import ConfigError, install_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from scnet_edge.archive.folder import Done

archive = typer.Typer(
    help="Inspect an archive of films and hold it against the human coding.", no_args_is_help=True
)
app.add_typer(archive, name="archive")
Results = Annotated[Path, typer.Argument(help="The folder that 'archive run' wrote.")]


@archive.callback()
def _archive() -> None:
    """Inspect an archive of films and hold it against the human coding."""
    missing = [name for name in ("lxml", "pyarrow", "scipy") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"{', '.join(missing)} not installed; {install_extra('archive')}")


@archive.command()
def scan(
    folder: Annotated[Path, typer.Argument(help="The archive; nothing in it is changed.")],
    out: Annotated[Path, typer.Option(help="The manifest to write, a Parquet file.")],
) -> None:
    """Find out what films, pictures and databases there are, and what belongs together."""
    from scnet_edge.archive.manifest import write_manifest
    from scnet_edge.archive.scan import scan as scanned
    from scnet_edge.archive.scan import summary
    from scnet_edge.folders import check_file

    check_file(out)
    manifest = scanned(folder)
    write_manifest(out, manifest)
    for what, count in summary(manifest).items():
        typer.echo(f"{count:8,d}  {what}")
    for state in ("unreadable", "claimed", "missing"):  # what is to be mended comes first
        rows = [row for row in manifest.rows if row.state == state]
        for row in rows[:8]:
            typer.echo(f"{row.kind} {row.path}: {row.reason}", err=True)
        if len(rows) > 8:
            typer.echo(f"... and {len(rows) - 8} more {state}, each with its reason", err=True)
    typer.echo(f"   run  scnet-edge archive run {out} --bundle BUNDLE --out ARCHIVE")


@archive.command()
def run(
    manifest: Annotated[Path, typer.Argument(help="The manifest that 'archive scan' wrote.")],
    bundle: Annotated[Path, typer.Option(help="A bundle folder, as 'build' writes it.")],
    out: Annotated[Path, typer.Option(help="The results: a new folder, or one to go on with.")],
    workers: Annotated[int, typer.Option(min=1, max=1000, help="Films at a time.")] = 2,
    pipe: Annotated[
        Path | None, typer.Option(help="pipe.toml for all films; without it sizes in pixels.")
    ] = None,
    odometry: Annotated[
        str | None,
        typer.Option(help="As 'inspect' takes it, osd:// too; else the databases' times."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Where the films are now, if not where they were scanned.")
    ] = None,
    engine: Annotated[
        Literal["processes", "ray"], typer.Option(help="Worker processes here, or a Ray cluster.")
    ] = "processes",
    address: Annotated[
        str, typer.Option(help="Of the Ray cluster: auto, HOST:6379; local starts one here.")
    ] = "auto",
    gpus: Annotated[float, typer.Option(min=0, help="Share of a GPU for a Ray worker.")] = 0.0,
    runtime: Annotated[
        str | None, typer.Option(help="openvino, onnxruntime or tensorrt; default: the best.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each worker's engine.")] = 1,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed before.")
    ] = False,
) -> None:
    """Inspect every film; the same command goes on where it was stopped or killed."""
    import threading

    from scnet_edge.archive.folder import Job
    from scnet_edge.archive.manifest import read_manifest as read_films
    from scnet_edge.archive.run import run_archive, status_of
    from scnet_edge.bundle.manifest import FUSED, read_manifest
    from scnet_edge.cli.run_output import quiet_decoders
    from scnet_edge.inspection.setup import Setup, read_setup
    from scnet_edge.robot.monitoring import stop_on_signals

    quiet_decoders()
    job = Job(
        root=str((root or read_films(manifest).root).absolute()),
        bundle=str(bundle.absolute()),
        sha256=read_manifest(bundle).files[FUSED],
        setup=Setup(mode="wall") if pipe is None else read_setup(pipe),
        odometry=odometry,
        engine=runtime,
        threads=threads,
    )
    stop = threading.Event()
    with stop_on_signals(stop), _progress() as (begin, report):
        run_archive(
            manifest,
            job,
            out,
            workers=workers,
            crew=engine,
            address=address,
            gpus=gpus,
            retry_failed=retry_failed,
            report=report,
            begin=begin,
            stop=stop,
        )
    counts, reasons = status_of(out)
    _print_status(counts, reasons)
    if counts["waiting"]:
        typer.echo("not finished: the same command goes on where this one was stopped")
    typer.echo(f"   report   scnet-edge archive report {out}")
    typer.echo(f"   compare  scnet-edge archive compare {out}")


@archive.command()
def status(results: Results) -> None:
    """Say how many films are done, and why others failed."""
    from scnet_edge.archive.run import status_of

    _print_status(*status_of(results))


def _print_status(counts: dict[str, int], reasons: dict[str, int]) -> None:
    for what, count in counts.items():
        typer.echo(f"{count:8,d}  {what}")
    for reason, count in reasons.items():
        typer.echo(f"{count:8,d}  x {reason}")


@contextmanager
def _progress() -> Iterator[tuple[Callable[[int, int], None], Callable[[Done], None]]]:
    """Yield what to call at the start and with every film: a bar on standard error."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from scnet_edge.cli.progress import show_progress

    columns = (TextColumn("Films"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
    task = bar.add_task("Films", total=None)

    def report(done: Done) -> None:
        if done.state != "inspected":
            bar.console.print(done.reason, markup=False, highlight=False, soft_wrap=True)
        bar.advance(task)

    with show_progress(bar):
        yield lambda done, total: bar.update(task, completed=done, total=total), report


@archive.command()
def report(
    results: Results,
    limit: Annotated[
        str, typer.Option(help="The width that widths are judged by: water-0.1, ...")
    ] = "concrete-0.3",
    codes: Annotated[
        Path | None, typer.Option(help="A table of codes and limits of your own, TOML.")
    ] = None,
) -> None:
    """Make one page over all pipes, worst first: index.html, and a report of every film."""
    from scnet_edge.archive.report import write_report
    from scnet_edge.survey.codes import find_limit, read_codes

    table = read_codes(codes)
    typer.echo(write_report(results, table, limit, find_limit(table, limit)))


@archive.command()
def compare(
    results: Results,
    distance: Annotated[
        float, typer.Option(min=0, max=100, help="Metres that two records may be apart.")
    ] = 0.5,
    clock: Annotated[
        float, typer.Option(min=0, max=6, help="Hours that they may be apart, around the pipe.")
    ] = 1.5,
    json: Annotated[Path | None, typer.Option(help="Write every pairing to this file.")] = None,
    for_training: Annotated[
        Path | None, typer.Option(help="Write what the coding confirms as a corpus to train on.")
    ] = None,
) -> None:
    """Hold our records against the human coding: what agrees, differs, and stands alone."""
    from scnet_edge.archive.agreement import (
        compare_archive,
        totals,
        write_confirmed,
        write_pairings,
    )
    from scnet_edge.archive.compare import VERDICTS
    from scnet_edge.archive.likeness import Tolerances
    from scnet_edge.archive.report import write_disagreements
    from scnet_edge.folders import check_file

    if json is not None:
        check_file(json)
    tolerances = Tolerances(distance_m=distance, clock_h=clock)
    agreements, left = compare_archive(results, tolerances)
    counts, score = totals(agreements)
    typer.echo(f"{len(agreements)} films compared, within {distance:g} m and {clock:g} h")
    for verdict in VERDICTS:
        typer.echo(f"{counts[verdict]:8,d}  {verdict}")
    for name, value in score.items():
        typer.echo(f"{'-' if value is None else f'{100 * value:.1f} %':>8}  {name}")
    for reason, count in left.items():
        typer.echo(f"{count:8,d}  films {reason}")
    typer.echo(write_disagreements(results, agreements, left, tolerances))
    if json is not None:
        write_pairings(json, agreements, tolerances)
        typer.echo(json)
    if for_training is not None:
        frames, missed = write_confirmed(for_training, results, agreements)
        typer.echo(f"{for_training}: {frames} confirmed frames, {missed} pictures of missed cracks")
