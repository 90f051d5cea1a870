"""`scnet-edge inspect`: a bundle over a drive along a pipe or wall, to a survey that can resume."""

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
    from scnet_edge.survey.journal import Journal


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
        typer.echo(f"{len(survey.aside)} more stand aside: {count_aside(survey)}")
    if progress is not None and not progress.finished:
        typer.echo("not finished: the same command goes on where this one was stopped")
    typer.echo(f"   survey  {folder}")
    typer.echo(f"   report  scnet-edge report {folder}")
