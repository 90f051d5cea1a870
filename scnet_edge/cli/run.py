"""`scnet-edge run`, `inspect`, `demo` and `recover`: a bundle over a camera or files."""

from __future__ import annotations

import shlex
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
    from scnet_edge.survey.journal import Journal


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
    from scnet_edge.cli.run_output import quiet_decoders, read_known_masks, show
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
        known_mask=None if truth is None else read_known_masks(truth),
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


@app.command(cls=LiveMayStandAlone)
@takes_robot
def inspect(
    bundle: Bundle,
    robot: Robot,
    out: Annotated[Path, typer.Option(help="The survey's folder: new, empty, or to go on with.")],
    source: SourceUri = None,
    pipe: Annotated[
        Path | None, typer.Option(help="pipe.toml; without it a flat wall, in pixels.")
    ] = None,
    odometry: Annotated[
        str | None,
        typer.Option(
            help="A CSV or JSONL file, udp, serial, rosbag:FOLDER, ros2://TOPIC, speed, "
            "step, visual or osd://x,y,w,h or osd://auto."
        ),
    ] = None,
    frames: Frames = None,
    cache: Cache = None,
) -> None:
    """Inspect a pipe or a wall: every crack found once, measured, placed and recorded."""
    from scnet_edge.cli.run_output import quiet_decoders, show
    from scnet_edge.robot.run import RunOptions, open_run

    quiet_decoders()
    robot = replace_given(robot, source=source, pipe=pipe and str(pipe), odometry=odometry)
    options = RunOptions(survey=out, frames=frames, cache=cache)
    with show() as terminal, open_run(bundle, robot, options, terminal=terminal) as opened:
        assert opened.inspection is not None
        journal = opened.inspection.journal
        if opened.inspection.finished:
            typer.echo(f"{out}: finished before; to look again, choose another folder")
            return _print_summary(journal)
        try:
            trouble = opened.loop()
        finally:
            _print_summary(journal)
    if trouble:
        raise trouble


def _print_summary(journal: Journal) -> None:
    """Print what is recorded by now, and what to do with it."""
    from scnet_edge.survey.folder import read_survey
    from scnet_edge.survey.sorting import count_aside, set_aside

    progress, folder = journal.progress, journal.folder
    survey = set_aside(read_survey(folder))
    count, length_m = len(survey.counted), survey.length_m
    length = "" if length_m is None else f" over {length_m:.2f} m"
    seen = 0 if progress is None else progress.frames
    typer.echo(f"{count} crack{'' if count == 1 else 's'} recorded in {seen} frames{length}")
    if survey.aside:
        typer.echo(f"set aside: {count_aside(survey)}")
    if progress is not None and not progress.finished:
        typer.echo("not finished: the same command goes on where this one was stopped")
    typer.echo(f"   survey  {folder}")
    typer.echo(f"   report  scnet-edge report {folder}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="A folder, new or empty.")] = Path("demo"),
) -> None:
    """Try it: segment, score and inspect the packaged film; each command is shown, then run."""
    from scnet_edge.errors import ConfigError
    from scnet_edge.folders import check_folder
    from scnet_edge.sample import FILM, ODOMETRY, PIPE, TRUTH, sample_file, unpack_bundle

    check_folder(out)
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out}: not empty; name another folder by --out")
    bundle, survey = out / "bundle", out / "survey"
    film, truth, pipe = (str(sample_file(name)) for name in (FILM, TRUTH, PIPE))
    unpack_bundle(bundle)
    typer.echo(f"a bundle of the default model, made beforehand: {bundle}")
    for line in (
        ["run", str(bundle), "--source", film, "--truth", truth, "--out", str(out / "run")],
        [
            *("inspect", str(bundle), "--source", film, "--pipe", pipe),
            *("--odometry", ODOMETRY, "--out", str(survey)),
        ],
        ["report", str(survey)],
    ):
        typer.echo(f"\n$ scnet-edge {shlex.join(line)}")
        app(line, standalone_mode=False)


@app.command()
def recover(
    file: Annotated[Path, typer.Argument(help="A .jsonl or .mcap file of a run.")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; default: NAME-recovered beside it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Copy every whole record of a torn file into a new one, and say how much was lost."""
    import msgspec

    from scnet_edge.sinks.recover import recover_file

    target = out or file.with_name(f"{file.stem}-recovered{file.suffix}")
    done = recover_file(file, target)
    if json:
        typer.echo(msgspec.json.encode(done).decode())
    else:
        typer.echo(f"{done.out}: {done.records} records; {done.lost_bytes} bytes could not be used")
