"""`scnet-edge run`: a bundle over a camera or files, to a folder, sinks and a live page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scnet_edge.cli import app
from scnet_edge.cli.robot_options import (
    Bundle,
    Cache,
    Frames,
    LiveMayStandAlone,
    SourceUri,
    replace_given,
    takes_robot,
)

if TYPE_CHECKING:
    from scnet_edge.robot.robot_toml import Robot


@app.command(cls=LiveMayStandAlone)
@takes_robot
def run(
    bundle: Bundle,
    robot: Robot,
    source: SourceUri = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A folder, new or empty, for masks, overlay, JSON lines and a page."),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Known masks to score against: an .npz or a folder.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run.")] = False,
    frames: Frames = None,
    cache: Cache = None,
) -> None:
    """Segment cracks in a camera's frames or in files; Ctrl-C ends a run in good order."""
    from scnet_edge.cli.run_output import known_masks, quiet_decoders, show
    from scnet_edge.errors import ConfigError
    from scnet_edge.orthophoto.raster import is_raster
    from scnet_edge.robot.run import RunOptions, open_run

    quiet_decoders()
    robot = replace_given(robot, source=source)
    if is_raster(robot.source):
        for name, given in (("--truth", truth), ("--frames", frames)):
            if given is not None:
                raise ConfigError(f"{name}: not for a picture by windows; leave it out")
        _run_orthophoto(bundle, robot, out, overwrite=overwrite, cache=cache)
        return
    if truth and not out:
        raise ConfigError("--truth: the scores go into the page of --out; pass that, too")
    options = RunOptions(
        out=out,
        overwrite=overwrite,
        known_mask=None if truth is None else known_masks(truth),
        frames=frames,
        cache=cache,
    )
    with show() as terminal, open_run(bundle, robot, options, terminal=terminal) as opened:
        trouble = opened.loop()
    terminal.summary(opened)
    if trouble:
        raise trouble


def _run_orthophoto(
    bundle: Path, robot: Robot, out: Path | None, *, overwrite: bool, cache: Path | None
) -> None:
    """Segment a picture by windows, with a bar, and print what it gave."""
    import threading

    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from scnet_edge.cli.progress import show_progress
    from scnet_edge.errors import ConfigError
    from scnet_edge.orthophoto.run import NAMES, run_orthophoto
    from scnet_edge.robot.monitoring import stop_on_signals

    if out is None:
        raise ConfigError("--out: a picture by windows needs a folder; name one")
    if robot.sinks or robot.live is not None:
        raise ConfigError("--sink, --live: not for a picture by windows; --out has all")
    stop = threading.Event()
    bars = Progress(console=Console(stderr=True))
    bar = bars.add_task("Strips", total=None)
    with stop_on_signals(stop), show_progress(bars):
        summary = run_orthophoto(
            bundle,
            robot,
            out,
            overwrite=overwrite,
            cache=cache,
            stop=stop,
            progress=lambda done, total: bars.update(bar, completed=done, total=total),
        )
    table = Table("figure", "value", show_edge=False)
    table.columns[1].justify = "right"
    table.add_row("picture", f"{summary.width_px} x {summary.height_px} px")
    table.add_row("inspected", f"{summary.inspected_px / summary.width_px / summary.height_px:.1%}")
    if summary.mm_per_px is not None:
        table.add_row("pixel on the ground", f"{summary.mm_per_px:.3g} mm")
    table.add_row("cracks", str(summary.cracks))
    table.add_row("length together", f"{summary.length_px:.0f} px")
    if summary.length_mm is not None:
        table.add_row("", f"{summary.length_mm / 1000:.2f} m")
    Console().print(table)
    for name in NAMES:
        if (out / name).exists():
            typer.echo(f"{Path(name).stem:>10}  {out / name}")
