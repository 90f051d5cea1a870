"""`scnet-edge bench`: FPS against F1, measured, reported, compared and planned with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scnet_edge.cli import app
from scnet_edge.files import write_file
from scnet_edge.folders import check_file

if TYPE_CHECKING:
    from scnet_edge.bench.compare import Change
    from scnet_edge.bench.plan import Option


class SuiteFirst(typer.core.TyperGroup):
    """A group whose first word may be a suite: without a command of its own, it runs one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` before arguments that begin with no command."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


bench = typer.Typer(
    name="bench",
    help="Measure FPS against F1: bench [SUITE] [--quick] --data deepcrack:DIR --out RESULT.json.",
    cls=SuiteFirst,
    no_args_is_help=False,
    rich_markup_mode=None,
)
app.add_typer(bench)


@bench.command()
def run(
    out: Annotated[Path, typer.Option(help="The result file.", show_default=False)],
    suite: Annotated[
        Path | None, typer.Argument(help="A suite of benchmarks/; default: the full one.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Annotated images: deepcrack:DIR and the like.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="The small suite, two minutes.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew.")] = False,
) -> None:
    """Run a suite; one that was cut short goes on; exit status 1 when no row was measured."""
    import shlex
    import sys

    from rich.console import Console

    from scnet_edge.bench.markdown import not_measured, table
    from scnet_edge.bench.runner import run_suite
    from scnet_edge.bench.suite import find_suite

    name, chosen = find_suite(suite, quick=quick)
    progress = Console(stderr=True)
    try:
        result = run_suite(
            chosen,
            name,
            out,
            data=data,
            command="scnet-edge " + shlex.join(sys.argv[1:]),
            overwrite=overwrite,
            report=lambda step: progress.print(step, highlight=False, soft_wrap=True),
        )
    except KeyboardInterrupt:
        progress.print(f"{out}: cut short; the same command without --overwrite goes on with it")
        raise
    typer.echo(table(result))
    for line in not_measured(result):
        typer.echo(f"not measured: {line}", err=True)
    if not result.rows:
        typer.echo(f"{out}: no row was measured; mend that and pass --overwrite", err=True)
        raise typer.Exit(1)


@bench.command()
def report(
    results: Annotated[list[Path], typer.Argument(help="Result files, of one or more machines.")],
    html: Annotated[Path, typer.Option(help="The page to write.", show_default=False)],
    markdown: Annotated[Path | None, typer.Option(help="Write the table as Markdown, too.")] = None,
) -> None:
    """Make one self-contained HTML page of results: Pareto plot, tables, limits, environment."""
    from scnet_edge.bench.markdown import document
    from scnet_edge.bench.report import page
    from scnet_edge.bench.schema import read_result

    for path in (html, markdown):
        if path:
            check_file(path)
    read = [read_result(path) for path in results]
    write_file(html, page(read).encode())
    text = document(read)
    if markdown:
        write_file(markdown, f"{text}\n".encode())
    typer.echo(f"{text}\n\n{html}")


@bench.command()
def compare(
    before: Annotated[Path, typer.Argument(help="The earlier result.")],
    after: Annotated[Path, typer.Argument(help="The later result, of the same machine.")],
) -> None:
    """Say what changed between two results; exit status 1 when a row became worse or is gone.

    A row is held to ONNX Runtime or PyTorch in FP32 where they ran beside it in both results:
    a machine that is slower today is no regression.
    """
    from collections import Counter

    from scnet_edge.bench.compare import absolute, differences, missing
    from scnet_edge.bench.compare import compare as changes_of
    from scnet_edge.bench.schema import read_result

    a, b = read_result(before), read_result(after)
    changes, gone = changes_of(a, b), missing(a, b)
    for line in differences(a, b):
        typer.echo(f"differs: {line}")
    for change in changes:
        typer.echo(_changed(change))
    for row in gone:
        typer.echo(f"{row.model} {row.label}, {row.scope}: only in {before}")
    if line := absolute(changes):
        typer.echo(line)
    worse, kinds = sum(bool(c.worse) for c in changes), Counter(w for c in changes for w in c.worse)
    typer.echo(
        f"{worse} of {len(changes)} rows became worse beyond the noise, {len(gone)} are gone"
        + "".join(f"; {count} {kind}" for kind, count in kinds.items())
    )
    raise typer.Exit(bool(worse or gone))


@bench.command()
def plan(
    device: Annotated[str, typer.Option(help="nano ... orin-nano ... thor, or here.")],
    target_fps: Annotated[float, typer.Option(min=0.1, help="Frames a second to reach.")] = 30.0,
    size: Annotated[
        str | None, typer.Option(help="Size of the networks, HEIGHTxWIDTH, as of 'build'.")
    ] = None,
    results: Annotated[
        list[Path] | None,
        typer.Option(help="Result files to use where they are of the device and size."),
    ] = None,
) -> None:
    """Name the bundle for a device and a rate, marking estimates; exit status 1 when none is."""
    from rich.console import Console
    from rich.table import Table

    from scnet_edge.bench.environment import environment
    from scnet_edge.bench.plan import HERE, choose, options, options_here
    from scnet_edge.bench.schema import read_result
    from scnet_edge.bench.workload import workloads
    from scnet_edge.bundle.recipe import DEFAULT_SIZE_HW, parse_size

    read = [read_result(path) for path in results or []]
    size_hw = parse_size(size) if size else DEFAULT_SIZE_HW
    if device == HERE:
        name, found = options_here(environment(), read, size_hw)
    else:
        name, found = options(device, workloads(size_hw, read), read, size_hw)
    table = Table("model", "precision", "FPS", "F1", "basis", box=None, pad_edge=False)
    table.padding = (0, 2, 0, 0)
    bases = list(dict.fromkeys(o.basis for o in found))
    for o in found:
        basis = f"{'measured' if o.measured else 'estimate'} ({bases.index(o.basis) + 1})"
        table.add_row(o.model, o.precision, _speed(o), _f1(o), basis)
    height, width = size_hw
    title = f"{name}, {height}x{width}, target {target_fps:g} FPS"
    if not all(o.measured for o in found):
        title += "\nestimates are of the engine alone, measurements from camera to mask"
    Console().print(title, table, sep="\n", highlight=False)
    for i, basis in enumerate(bases, 1):
        typer.echo(f"({i}) {basis}")
    if any(o.f1_of != o.precision for o in found):
        typer.echo("F1: INT8 as scored in OpenVINO; 'in FP32' for FP16, which is held to its masks")
    best = choose(found, target_fps)
    if best is None:
        typer.echo(
            f"none reaches {target_fps:g} FPS on {name}; the fastest is {found[0].model} "
            f"{found[0].precision}, {_speed(found[0])} FPS. A smaller --size may"
        )
        raise typer.Exit(1)
    estimate = "an estimate of the engine alone; nothing of ours ran on this device"
    how = f"measured {best.basis}" if best.measured else estimate
    typer.echo(f"{best.model} {best.precision}: {_speed(best)} FPS, F1 {_f1(best)}; {how}")


def _changed(c: Change) -> str:
    speed = "{:.3f}x as fast [{:.3f}, {:.3f}]".format(*c.speed)
    if c.relative:
        speed += ", {:.3f}x [{:.3f}, {:.3f}] beside ".format(*c.relative) + str(c.gauge)
    elif c.gauge:
        speed += ", the engine that others are held to"
    else:
        speed += ", no other engine beside it"
    f1 = "F1 not compared" if c.f1 is None else f"F1 {c.f1:+.4f}"
    weights = " with other weights or graph" if c.weights else ""
    verdict = f"  WORSE: {', '.join(c.worse)}" if c.worse else ""
    return (
        f"{c.row.model} {c.row.label}, {c.row.scope}: {speed}, {f1}{weights}, "
        f"memory {c.rss:.2f}x{verdict}"
    )


def _speed(o: Option) -> str:
    fps, low, high = (f"{v:.{0 if v >= 10 else 1}f}" for v in (o.fps, o.low, o.high))
    return f"{fps} ({low} to {high})"


def _f1(o: Option) -> str:
    if o.f1 is None:
        return "not measured"
    return f"{o.f1:.4f}" if o.f1_of == o.precision else f"{o.f1:.4f} in FP32"
