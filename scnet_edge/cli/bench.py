"""`scnet-edge bench`: FPS against F1, measured, reported and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scnet_edge.cli import app
from scnet_edge.files import write_file
from scnet_edge.folders import check_file

if TYPE_CHECKING:
    from scnet_edge.bench.changes import RowChange


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

    from scnet_edge.bench.figures import failure_lines, table
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
    if result.rows:
        typer.echo(table(result))
    for line in failure_lines(result):
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
    from scnet_edge.bench.figures import document
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

    Where ONNX Runtime or PyTorch in FP32 ran beside a row in both results, the speeds relative
    to it are compared. So a machine that is slower today is no regression.
    """
    from collections import Counter

    from scnet_edge.bench.changes import absolute, compare_results, differences, find_missing
    from scnet_edge.bench.schema import read_result

    a, b = read_result(before), read_result(after)
    changes, gone = compare_results(a, b), find_missing(a, b)
    for line in differences(a, b):
        typer.echo(f"differs: {line}")
    for change in changes:
        typer.echo(_change_text(change))
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


def _change_text(c: RowChange) -> str:
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
