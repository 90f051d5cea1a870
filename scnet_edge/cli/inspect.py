"""`scnet-edge inspect`: a bundle over a drive along a pipe or wall, to a survey that can resume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scnet_edge.cli import app

if TYPE_CHECKING:
    from scnet_edge.survey.journal import Journal


@app.command()
def inspect(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder, as 'build' writes it.")],
    source: Annotated[str, typer.Option(help="A camera, a video, an image or a folder of them.")],
    out: Annotated[Path, typer.Option(help="The survey's folder: new, empty, or to go on with.")],
    pipe: Annotated[
        Path | None, typer.Option(help="pipe.toml; without it a flat wall, in pixels.")
    ] = None,
    odometry: Annotated[
        str | None,
        typer.Option(help="A CSV or JSONL file, udp://, serial://, speed://, step://, visual://."),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="openvino, onnxruntime or tensorrt; default: the best here.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keep what the engine compiles here for the next start.")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after this many.")] = None,
) -> None:
    """Inspect a pipe or a wall: every crack found once, measured, placed and recorded."""
    from scnet_edge import __version__
    from scnet_edge.cli.run_output import quiet_decoders, show
    from scnet_edge.inspection.odometry import moves, open_odometry, usual_odometry
    from scnet_edge.inspection.setup import Setup, read_setup
    from scnet_edge.redaction import redacted
    from scnet_edge.robot.monitoring import stopped_by_signals
    from scnet_edge.robot.sources import open_any
    from scnet_edge.runtime.pipeline import Pipeline
    from scnet_edge.sinks.run_page import machine_name
    from scnet_edge.survey.begin import facts_of, open_survey
    from scnet_edge.survey.drive import drive
    from scnet_edge.survey.folder import next_segment, read_survey
    from scnet_edge.survey.inspector import Inspector
    from scnet_edge.video.frame_checks import watched

    quiet_decoders()
    setup = Setup(mode="wall") if pipe is None else read_setup(pipe)
    with (
        open_any(source) as opened,
        Pipeline.open(
            bundle, engine=engine, threads=threads, cache=cache, isolate=opened.live
        ) as pipeline,
    ):
        facts = facts_of(
            pipeline.manifest,
            setup,
            source=redacted(source),
            odometry=None if odometry is None else redacted(odometry),
            engine=pipeline.engine,
            machine=machine_name(),
            version=__version__,
            fps=opened.fps,
        )
        with open_survey(out, facts, live=opened.live) as journal:
            if journal.progress is not None and journal.progress.finished and not opened.live:
                typer.echo(f"{out}: finished before; to look again, choose another folder")
                return _print_summary(journal)
            first_segment = next_segment(read_survey(out)) if opened.live else 0
            separate = opened.fps is None and not opened.live and odometry is None
            uri = odometry if odometry or separate else usual_odometry(setup)
            with (
                open_odometry(uri, setup, first_segment=first_segment) as where,
                stopped_by_signals(opened.stop),
                show(frames) as terminal,
            ):
                inspector = Inspector(
                    journal,
                    setup,
                    where,
                    live=opened.live,
                    separate=separate,
                )
                if opened.live:
                    opened = watched(opened, moving=lambda: moves(where))
                terminal.begin(opened.count)
                cut = drive(opened, pipeline, inspector, [terminal], frames=frames)
            _print_summary(journal)
            if cut is not None:
                raise cut


def _print_summary(journal: Journal) -> None:
    """Print what is recorded by now, and what to do with it."""
    progress = journal.progress
    count, folder = journal.acknowledged, journal.folder
    length = ""
    if progress is not None and progress.chainage_m is not None:
        length = f" over {progress.chainage_m:.2f} m"
    seen = 0 if progress is None else progress.frames
    typer.echo(f"{count} crack{'' if count == 1 else 's'} recorded in {seen} frames{length}")
    if progress is not None and not progress.finished:
        typer.echo("not finished: the same command goes on where this one was stopped")
    typer.echo(f"   survey  {folder}")
    typer.echo(f"   report  scnet-edge report {folder}")
