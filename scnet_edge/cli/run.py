"""`scnet-edge run`: a bundle over a camera or files, to a folder, sinks and a live page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.core import TyperCommand

from scnet_edge.cli import app


class LiveMayStandAlone(TyperCommand):
    """Takes `--live` without an address as well."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put an empty address, which stands for the usual one, after a bare `--live`."""
        full = []
        for word, following in zip(args, [*args[1:], "-"], strict=True):
            full += [word, ""] if word == "--live" and following.startswith("-") else [word]
        return super().parse_args(ctx, full)


@app.command(cls=LiveMayStandAlone)
def run(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder, as 'build' writes it.")],
    source: Annotated[
        str | None,
        typer.Option(
            help="csi://0, v4l2:///dev/video0, rtsp://..., http://... (MJPEG), gst:PIPELINE, "
            "sim://pipe, an image, a folder of images or a video."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A folder, new or empty, for masks, overlay, JSON lines and a page."),
    ] = None,
    policy: Annotated[
        Literal["newest", "every"] | None,
        typer.Option(help="Drop frames the engine is too slow for, or make the source wait."),
    ] = None,
    sink: Annotated[
        list[str] | None,
        typer.Option(
            help="jsonl:PATH, mcap:PATH, video:PATH.avi, masks:FOLDER, mqtt://HOST/TOPIC or "
            "prometheus://HOST:PORT; may be given again."
        ),
    ] = None,
    fail_closed: Annotated[
        bool,
        typer.Option("--fail-closed", help="End with exit status 74 when a sink cannot write."),
    ] = False,
    live: Annotated[
        str | None,
        typer.Option(metavar="[HOST:PORT]", help="Show the run on a live page, by default here."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A robot.toml; the options here override it.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="openvino, onnxruntime or tensorrt; default: the best here.")
    ] = None,
    isolate: Annotated[
        bool | None,
        typer.Option(
            "--isolate/--no-isolate",
            help="Run the engine in a process of its own, which may crash; default: for cameras.",
        ),
    ] = None,
    fallback: Annotated[
        str | None, typer.Option(help="Another engine, for when the isolated one keeps crashing.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=256, help="CPU threads.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keep what the engine compiles here for the next start.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Known masks to score against: an .npz or a folder.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run.")] = False,
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after this many.")] = None,
) -> None:
    """Segment cracks in a camera's frames or in files; Ctrl-C ends a run in good order."""
    from msgspec.structs import replace

    from scnet_edge.cli.run_output import known_masks, quiet_decoders, show
    from scnet_edge.errors import ConfigError
    from scnet_edge.robot.config import Robot, read_robot
    from scnet_edge.robot.run import RunOptions, run_robot

    quiet_decoders()
    given = {
        "source": source,
        "policy": policy,
        "sinks": tuple(sink) if sink else None,
        "fail_closed": fail_closed or None,
        "live": live,
        "engine": engine,
        "isolate": isolate,
        "fallback": fallback,
        "threads": threads,
    }
    robot = replace(
        read_robot(config) if config else Robot(),
        **{key: value for key, value in given.items() if value is not None},
    )
    if not robot.source:
        raise ConfigError("source: expected a camera or files; pass --source or set it in --config")
    if truth and not out:
        raise ConfigError("--truth: the scores go into the page of --out; pass that, too")
    wishes = RunOptions(out=out, overwrite=overwrite, frames=frames, cache=cache)
    known_mask = None if truth is None else known_masks(truth)
    with show(frames) as terminal:
        done = run_robot(bundle, robot, wishes, terminal=terminal, known_mask=known_mask)
    terminal.summary(done)
