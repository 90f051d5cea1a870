"""`scnet-edge run`: a bundle over images or a video, to masks, overlay, JSON lines and a page."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scnet_edge.cli import app
from scnet_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from scnet_edge.runtime.delivery import Sink
    from scnet_edge.runtime.pipeline import Pipeline
    from scnet_edge.runtime.score import Counts
    from scnet_edge.runtime.sinks import FrameRecord
    from scnet_edge.types import Mask


@app.command()
def run(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder, as 'build' writes it.")],
    source: Annotated[str, typer.Option(help="An image, a folder of images or a video.")],
    out: Annotated[Path, typer.Option(help="The folder to write to, new or empty.")],
    engine: Annotated[
        str | None, typer.Option(help="openvino, onnxruntime or tensorrt; default: the best here.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keep what the engine compiles here for the next start.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Known masks to score against: an .npz or a folder.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run.")] = False,
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after this many.")] = None,
) -> None:
    """Segment cracks in images or a video: masks, overlay video, JSON lines and an HTML page."""
    from scnet_edge.inspection.measure import measure_cracks
    from scnet_edge.runtime.loop import run_loop
    from scnet_edge.runtime.pipeline import Pipeline
    from scnet_edge.runtime.run_folder import open_run_folder
    from scnet_edge.runtime.sinks import output_folder
    from scnet_edge.runtime.sources import open_source

    _quiet_decoders()
    known_mask = None if truth is None else _truth_reader(truth)
    with (
        output_folder(out, overwrite=overwrite) as folder,
        open_source(source) as opened,
        Pipeline.open(bundle, engine=engine, threads=threads, cache=cache) as pipeline,
        open_run_folder(folder, fps=opened.fps, known_mask=known_mask) as results,
    ):
        total = min((n for n in (opened.count, frames) if n is not None), default=None)
        with _progress(total) as progress:
            run_loop(
                opened,
                pipeline,
                [results, progress],
                frames=frames,
                measure=lambda mask, frame: measure_cracks(mask, frame=frame),
            )
        results.write_page(_facts(bundle, source, pipeline))
    _print_summary(out, results.records, results.scores.counts)


def _truth_reader(truth: Path) -> Callable[[str], Mask]:
    """Return a function from a frame's name to its known mask, called once per frame, in order."""
    import numpy as np

    from scnet_edge.runtime.frames import read_image
    from scnet_edge.runtime.sources import image_files
    from scnet_edge.simulation.clip import read_truth

    if truth.is_dir():
        paths = {path.stem: path for path in image_files(truth)}

        def read_named(name: str) -> Mask:
            if name not in paths:
                raise InputError(f"{truth}: no mask for frame {name}, expected {name}.png")
            return np.asarray(read_image(paths[name])[..., 0] > 127, np.bool_)

        return read_named
    masks: Iterator[Mask] = iter(read_truth(truth))

    def read_next(name: str) -> Mask:
        mask = next(masks, None)
        if mask is None:
            raise InputError(f"{truth}: holds fewer masks than there are frames; none for {name}")
        return mask

    return read_next


@contextmanager
def _progress(total: int | None) -> Iterator[Sink]:
    """Yield a sink that moves a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from scnet_edge.runtime.delivery import CallbackSink

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("Frames", total=total)
        yield CallbackSink(lambda observed: progress.advance(task))


def _facts(bundle: Path, source: str, pipeline: Pipeline) -> dict[str, str]:
    """Return what the page says of the run."""
    from datetime import datetime, timezone

    from scnet_edge import __version__
    from scnet_edge.runtime.page import machine_name

    manifest = pipeline.manifest
    (height_px, width_px), prior = manifest.input.size_hw, manifest.model.prior
    return {
        "Source": source,
        "Bundle": str(bundle),
        "Model": manifest.model.name + (f" with {prior.upper()} edges" if prior != "none" else ""),
        "Precision": manifest.precision.upper(),
        "Model size": f"{width_px} x {height_px} px",
        "Threshold": f"{manifest.threshold:.3g}",
        "Engine": pipeline.engine,
        "Machine": machine_name(),
        "Date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "Version": f"scnet-edge {__version__}",
    }


def _print_summary(out: Path, records: list[FrameRecord], scores: Mapping[int, Counts]) -> None:
    """Print the run's figures as a table, then where everything lies."""
    from rich.console import Console
    from rich.table import Table

    from scnet_edge.runtime.score import percentiles_ms
    from scnet_edge.runtime.sinks import MASKS, OVERLAY, REPORT, RESULTS

    table = Table("figure", "value", "p95", show_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("frames", str(len(records)))
    table.add_row("cracks found", str(sum(len(record.cracks) for record in records)))
    for tolerance_px, counts in scores.items():
        table.add_row(f"F1 within {tolerance_px} px", f"{counts.f1:.3f}")
    table.add_section()
    stages = percentiles_ms([record.timing_ms for record in records])
    for stage, (p50_ms, p95_ms) in stages.items():
        table.add_row(f"{stage}, ms per frame", f"{p50_ms:.1f}", f"{p95_ms:.1f}")
    Console().print(table)
    for label, name in (
        ("masks", MASKS),
        ("overlay", OVERLAY),
        ("JSON lines", RESULTS),
        ("page", REPORT),
    ):
        typer.echo(f"{label:>10}  {out / name}")


def _quiet_decoders() -> None:
    """Keep OpenCV's and FFmpeg's own lines off standard error; what matters, we raise."""
    import os

    import cv2

    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # FFmpeg's AV_LOG_QUIET, read when a video opens
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
