"""What `scnet-edge run` reads beside the frames and prints beside its files."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from scnet_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

    from scnet_edge.events import Event
    from scnet_edge.robot.run import Run
    from scnet_edge.runtime.delivery import FrameResult
    from scnet_edge.types import Mask


@contextmanager
def show() -> Iterator[TerminalSink]:
    """Yield a sink that shows a run on standard error, and its summary on standard output."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from scnet_edge.cli.progress import show_progress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=Console(stderr=True))
    with show_progress(progress, start=False):
        yield TerminalSink(progress)


class TerminalSink:
    """A progress bar and the fault log, on standard error."""

    def __init__(self, progress: Progress) -> None:
        from scnet_edge.runtime.counters import Latency

        self._progress = progress
        self._task = progress.add_task("Frames", total=None, visible=False)
        self._latency = Latency()
        self._cracks = 0
        self._scales: Counter[str] = Counter()
        self._tiles = 0
        self._ignored_px = self._pixels = 0
        self._frame_hw = (0, 0)

    def announce(self, url: str) -> None:
        """Print where the live page is; systemd's journal, which others read, gets no token."""
        if "INVOCATION_ID" in os.environ:
            url = url.partition("?")[0]
        self._print(f"live page: {url}")

    def begin(self, total: int | None, changed: str) -> None:
        """Show the bar, and what is done to a film's pictures before they are looked at."""
        if changed:
            self._print(f"film: {changed}")
        self._progress.update(self._task, total=total, visible=True)
        if self._progress.console.is_terminal:
            self._progress.start()

    def write(self, frame_result: FrameResult) -> None:
        """Move the bar."""
        self._latency.add({**frame_result.timing_ms, "total": sum(frame_result.timing_ms.values())})
        if frame_result.camera_to_mask_ms is not None:
            self._latency.add({"camera to mask": frame_result.camera_to_mask_ms})
        self._cracks += len(frame_result.cracks)
        self._scales[frame_result.result.scale] += 1
        self._tiles += frame_result.result.tiles
        mask, ignored = frame_result.result.mask, frame_result.result.ignored
        self._frame_hw = mask.shape[:2]
        self._pixels += mask.size
        self._ignored_px += 0 if ignored is None else int(ignored.sum())
        self._progress.advance(self._task)

    def note(self, event: Event) -> None:
        """Print an event as a line."""
        if event.kind != "run_closed":
            at = time.strftime("%H:%M:%S", time.localtime(event.utc_ns / 1e9))
            words = (at, event.kind, event.reason, event.detail)
            self._progress.console.print(
                " ".join(filter(None, words)), markup=False, soft_wrap=True
            )

    def _print(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the bar to its context."""

    def summary(self, run: Run) -> None:
        """Print the run's figures as a table, then where everything lies."""
        from rich.console import Console
        from rich.table import Table

        table = Table("figure", "value", "p95", "p99", show_edge=False)
        for column in table.columns[1:]:
            column.justify = "right"
        table.add_row("frames", str(run.counters.processed))
        for reason, count in sorted(run.counters.dropped.items()):
            table.add_row(f"dropped: {reason}", str(count))
        if self._scales:
            table.add_row("scale", self._scale(run.segmentation.pipeline.manifest.input.frame_hw))
        if self._ignored_px:
            table.add_row("not inspected", f"{self._ignored_px / self._pixels:.1%} of the pixels")
        table.add_row("cracks, summed over frames", str(self._cracks))
        for tolerance_px, counts in (run.results.scores.counts if run.results else {}).items():
            table.add_row(f"F1 within {tolerance_px} px", f"{counts.f1:.3f}")
        table.add_section()
        for stage, percentiles_ms in self._latency.summary_ms().items():
            table.add_row(f"{stage}, ms per frame", *(f"{ms:.1f}" for ms in percentiles_ms))
        Console().print(table)
        if run.options.out:
            _print_places(run.options.out)
        elif not run.source.live and not run.robot.sinks:
            typer.echo("nothing is kept: pass --out FOLDER for masks, overlay and a report")

    def _scale(self, model_hw: tuple[int, int]) -> str:
        """Return how the frames were brought to the model, in words."""
        tiles = self._tiles / self._scales.total()
        scales = " and ".join(sorted(self._scales))
        if scales != "fit":
            return f"{scales}, {tiles:.4g} tile{'' if tiles == 1 else 's'} a frame"
        shrunk = max(f / m for f, m in zip(self._frame_hw, model_hw, strict=True))
        return f"fit, {shrunk:.1f} times smaller" if shrunk > 1 else "fit, not made smaller"


def _print_places(out: Path) -> None:
    from scnet_edge.sinks.run_folder import MASKS, OVERLAY, REPORT, RESULTS

    for label, name in (
        ("masks", MASKS),
        ("overlay", OVERLAY),
        ("JSON lines", RESULTS),
        ("page", REPORT),
    ):
        if (out / name).exists():
            typer.echo(f"{label:>10}  {out / name}")


def read_known_masks(truth: Path) -> Callable[[str, int], Mask]:
    """Return a function from a frame's name and number to its known mask."""
    from scnet_edge.data.masks import read_mask
    from scnet_edge.data.picture_files import find_pictures, names_of
    from scnet_edge.simulation.clip import read_truth

    if truth.is_dir():
        files = find_pictures(truth)
        paths = dict(zip(names_of(files), files.pictures, strict=True))

        def read_named(name: str, number: int) -> Mask:
            if name not in paths:
                raise InputError(f"{truth}: no mask for frame {name}, expected {name}.png")
            return read_mask(paths[name]).crack

        return read_named
    masks = read_truth(truth)

    def read_numbered(name: str, number: int) -> Mask:
        if number >= len(masks):
            raise InputError(f"{truth}: holds fewer masks than there are frames; none for {name}")
        mask: Mask = masks[number]
        return mask

    return read_numbered


def quiet_decoders() -> None:
    """Keep OpenCV's and FFmpeg's own lines off standard error; what matters, we raise."""
    import os

    import cv2

    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # FFmpeg's AV_LOG_QUIET, read when a video opens
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
