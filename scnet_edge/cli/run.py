"""`scnet-edge run`: a bundle over a camera or files, to a folder, sinks and a live page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scnet_edge.cli import app
from scnet_edge.cli.robot_options import (
    Bundle,
    Cache,
    Config,
    EngineName,
    FailClosed,
    Fallback,
    Frames,
    Isolate,
    Live,
    LiveMayStandAlone,
    Point,
    PolicyName,
    RequireSignature,
    ScaleName,
    Sinks,
    SourceUri,
    Threads,
    read_robot_with,
)


@app.command(cls=LiveMayStandAlone)
def run(
    bundle: Bundle,
    source: SourceUri = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A folder, new or empty, for masks, overlay, JSON lines and a page."),
    ] = None,
    policy: PolicyName = None,
    sink: Sinks = None,
    fail_closed: FailClosed = False,
    live: Live = None,
    config: Config = None,
    engine: EngineName = None,
    isolate: Isolate = None,
    fallback: Fallback = None,
    operating_point: Point = None,
    require_signature: RequireSignature = None,
    threads: Threads = None,
    scale: ScaleName = None,
    cache: Cache = None,
    truth: Annotated[
        Path | None, typer.Option(help="Known masks to score against: an .npz or a folder.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run.")] = False,
    frames: Frames = None,
) -> None:
    """Segment cracks in a camera's frames or in files; Ctrl-C ends a run in good order."""
    from scnet_edge.cli.run_output import known_masks, quiet_decoders, show
    from scnet_edge.errors import ConfigError
    from scnet_edge.robot.run import RunOptions, open_run

    quiet_decoders()
    robot = read_robot_with(
        config,
        source=source,
        policy=policy,
        sinks=tuple(sink or ()),
        fail_closed=fail_closed or None,
        live=live,
        engine=engine,
        isolate=isolate,
        fallback=fallback,
        operating_point=operating_point,
        require_signature=require_signature,
        threads=threads,
        scale=scale,
    )
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
