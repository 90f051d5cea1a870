"""`scnet-edge run`: a bundle over images or a video, to masks, overlay, JSON lines and a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from scnet_edge.cli import app
from scnet_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from scnet_edge.runtime.pipeline import Pipeline
    from scnet_edge.runtime.score import Counts
    from scnet_edge.runtime.sinks import FrameRecord
    from scnet_edge.types import Frame, Mask, Result

T = TypeVar("T")


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
    from itertools import islice

    from scnet_edge.runtime.page import Gallery, render_page
    from scnet_edge.runtime.pipeline import Pipeline
    from scnet_edge.runtime.score import Scoreboard
    from scnet_edge.runtime.sinks import REPORT, open_sinks, output_folder
    from scnet_edge.runtime.sources import open_source

    _quiet_decoders()
    read_mask = None if truth is None else _truth_reader(truth)
    records: list[FrameRecord] = []
    gallery, scores = Gallery(), Scoreboard()
    with (
        output_folder(out, overwrite=overwrite) as folder,
        open_source(source) as opened,
        Pipeline.open(bundle, engine=engine, threads=threads, cache=cache) as pipeline,
        open_sinks(folder, fps=opened.fps) as write,
    ):
        total = min((n for n in (opened.count, frames) if n is not None), default=None)
        for index, (name, frame) in enumerate(_progress(islice(opened, frames), total)):
            result, record = _segment(pipeline, index, name, frame)
            write(frame, result, record)
            known = None if read_mask is None else read_mask(name)
            if known is not None:
                scores.add(result.mask, known, where=name)
            gallery.add(index, frame, result.mask, edges=result.edges, truth=known)
            records.append(record)
        facts = _facts(bundle, source, pipeline)
        page = render_page(records, gallery, facts=facts, scores=scores.counts)
        (folder / REPORT).write_text(page, encoding="utf-8")
    _print_summary(out, records, scores.counts)


def _segment(pipeline: Pipeline, index: int, name: str, frame: Frame) -> tuple[Result, FrameRecord]:
    """Return the pipeline's result and the record of it, its cracks measured."""
    from time import perf_counter

    import msgspec

    from scnet_edge.inspection.measure import measure_cracks
    from scnet_edge.runtime.sinks import FrameRecord

    result = pipeline(frame)
    start_s = perf_counter()
    cracks = measure_cracks(result.mask, frame=frame)
    measure_ms = 1e3 * (perf_counter() - start_s)
    record = FrameRecord(
        index=index,
        name=name,
        size_hw=(frame.shape[0], frame.shape[1]),
        crack_area_px=int(result.mask.sum()),
        cracks=msgspec.to_builtins(cracks),
        timing_ms={**result.timing, "measure": measure_ms},
    )
    return result, record


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


def _progress(items: Iterable[T], total: int | None) -> Iterator[T]:
    """Yield the items under a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield from progress.track(items, total=total, description="Frames")


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
