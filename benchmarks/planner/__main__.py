"""Which bundle for which device and rate; what nobody measured is estimated and says so.

python -m benchmarks.planner --device orin-nano --target-fps 30
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.planner.options import HERE, Option, choose, options, options_here
from benchmarks.planner.workload import workloads
from scnet_edge.bench.environment import environment
from scnet_edge.bench.schema import read_result
from scnet_edge.bundle.recipe import DEFAULT_SIZE_HW
from scnet_edge.cli import main
from scnet_edge.config import parse_size

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
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


def _speed(o: Option) -> str:
    fps, low, high = (f"{v:.{0 if v >= 10 else 1}f}" for v in (o.fps, o.low, o.high))
    return f"{fps} ({low} to {high})"


def _f1(o: Option) -> str:
    if o.f1 is None:
        return "not measured"
    return f"{o.f1:.4f}" if o.f1_of == o.precision else f"{o.f1:.4f} in FP32"


if __name__ == "__main__":
    main(app, "python -m benchmarks.planner")
