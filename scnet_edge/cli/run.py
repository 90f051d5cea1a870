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
    from scnet_edge.robot.run import RunOptions, open_run

    quiet_decoders()
    if truth and not out:
        raise ConfigError("--truth: the scores go into the page of --out; pass that, too")
    options = RunOptions(
        out=out,
        overwrite=overwrite,
        known_mask=None if truth is None else known_masks(truth),
        frames=frames,
        cache=cache,
    )
    robot = replace_given(robot, source=source)
    with show() as terminal, open_run(bundle, robot, options, terminal=terminal) as opened:
        trouble = opened.loop()
    terminal.summary(opened)
    if trouble:
        raise trouble
