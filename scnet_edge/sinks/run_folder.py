"""A run as a folder: the sink behind `scnet-edge run --out`. It appears when the run has ended.

OUT/
  masks/NAME.png   (h, w) uint8, 255 where a crack is
  overlay.mp4      the cracks drawn on the frames, MPEG-4 part 2
  results.jsonl    the run, then one record a frame or event, as `--sink jsonl:` writes them
  report.html      the page

A run without a frame has neither overlay nor page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.errors import InputError
from scnet_edge.events import Event
from scnet_edge.files import name_errors, write_file
from scnet_edge.folders import new_folder
from scnet_edge.runtime.counters import Latency
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.sinks.media import draw_result, mask_png, video_writer
from scnet_edge.sinks.run_page import Gallery, render_page
from scnet_edge.sinks.run_records import FrameRecord, Recorder
from scnet_edge.types import Frame, Mask, PixelCounts

MASKS, OVERLAY, RESULTS, REPORT = "masks", "overlay.mp4", "results.jsonl", "report.html"
KnownMask: TypeAlias = Callable[[str, int], Mask]  # from a frame's name and number
MAX_UNREAD = 20  # pictures that the page names
MAX_RECORDS = 20_000  # frames on the page: a camera may run for hours, memory may not
TOLERANCES_PX = (0, 2)


class RunFolder:
    """A sink that writes every frame's files and keeps what the page needs.

    Attributes:
        records: one per frame, of the first `MAX_RECORDS`; the files on disk have them all.
        scores: against the known masks, where `known_mask` gives any.
    """

    def __init__(
        self,
        folder: Path,
        recorder: Recorder,
        write_bytes: Callable[[bytes], None],
        write_overlay: Callable[[Frame], None],
        known_mask: KnownMask | None,
    ) -> None:
        self.records: list[FrameRecord] = []
        self.scores = Scoreboard()
        self._folder, self._recorder, self._write_bytes = folder, recorder, write_bytes
        self._write_overlay = write_overlay
        self._known_mask = known_mask
        self._gallery = Gallery()
        self._latency = Latency()
        self._frames = 0
        self._unread: list[str] = []
        self._write_line(recorder.run)

    def write(self, frame_result: FrameResult) -> None:
        """Write one frame's mask, overlay and line of JSON."""
        record = self._recorder.frame_record(frame_result)
        frame, result = frame_result.captured.frame, frame_result.result
        png = self._folder / MASKS / f"{record.name}.png"
        write_file(png, mask_png(result.mask), durable=False)
        self._write_line(record)
        self._write_overlay(draw_result(frame_result))
        known = self._known_mask(record.name, record.frame_id) if self._known_mask else None
        if known is not None:
            self.scores.add(result.mask, known, where=record.name)
        self._latency.add({**record.timing_ms, "total": sum(record.timing_ms.values())})
        self._frames += 1
        if self._frames <= MAX_RECORDS:
            at = len(self.records)
            self._gallery.add(
                at, frame, result.mask, edges=result.edges, truth=known, ignored=result.ignored
            )
            self.records.append(record)

    def note(self, event: Event) -> None:
        """Write the event's line of JSON."""
        self._write_line(self._recorder.record(event))
        if event.file:
            self._unread.append(event.detail)

    def close(self) -> None:
        """Leave the files to `open_run_folder`, which opened them."""

    def write_page(self, facts: Mapping[str, str]) -> None:
        """Write `report.html`, unless there was no frame to show."""
        if not self.records:
            return
        if self._frames > MAX_RECORDS:
            covers = f"the first {MAX_RECORDS:,} of {self._frames:,} frames; {RESULTS} has all"
            facts = {**facts, "This page": covers}
        if self._unread:
            named = "; ".join(self._unread[:MAX_UNREAD])
            facts = {**facts, "Not read": f"{len(self._unread)} pictures: {named}"}
        page = render_page(
            self.records,
            self._gallery,
            facts=facts,
            scores=self.scores.counts,
            latency=self._latency,
        )
        write_file(self._folder / REPORT, page.encode())

    def _write_line(self, record: msgspec.Struct) -> None:
        self._write_bytes(msgspec.json.encode(record) + b"\n")


@contextmanager
def open_run_folder(
    folder: Path,
    recorder: Recorder,
    fps: float | None,
    known_mask: KnownMask | None = None,
) -> Iterator[RunFolder]:
    """Open the files of a run inside `folder`; `known_mask` is as in `RunOptions`."""
    (folder / MASKS).mkdir()
    with (
        _open_lines(folder / RESULTS) as write_bytes,
        video_writer(folder / OVERLAY, fps=fps) as write_overlay,
    ):
        yield RunFolder(folder, recorder, write_bytes, write_overlay, known_mask)


@contextmanager
def _open_lines(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Yield what writes to a new file; a full disk names it."""
    file = path.open("wb")

    def write(data: bytes) -> None:
        with name_errors(path):
            file.write(data)

    try:
        yield write
    finally:
        with name_errors(path):
            file.close()


@contextmanager
def output_folder(out: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a folder that becomes `out` when the run has ended; as `new_folder`.

    A run that fails leaves what it had by then; before its first frame it leaves all as it was.
    """
    failure: BaseException | None = None
    names = (MASKS, OVERLAY, REPORT, RESULTS)
    with new_folder(out, marker=RESULTS, names=names, overwrite=overwrite) as folder:
        try:
            yield folder
        except BaseException as e:
            if not any(folder.glob(f"{MASKS}/*")):
                raise
            failure = e
    if failure is not None:
        raise failure


def count_pixels(mask: Mask, truth: Mask, *, tolerance_px: int = 0) -> PixelCounts:
    """Return one frame's counts; a pixel matches another within `tolerance_px`, Euclidean.

    Args:
        mask: (h, w) bool, predicted.
        truth: (h, w) bool, known.
        tolerance_px: How far apart a match may lie; annotators differ by a pixel or two.
    """
    return PixelCounts(
        predicted=int(mask.sum()),
        right=int((mask & _grow(truth, tolerance_px)).sum()),
        true=int(truth.sum()),
        found=int((truth & _grow(mask, tolerance_px)).sum()),
    )


class Scoreboard:
    """Running counts at each tolerance; empty until the first frame with a known mask.

    Attributes:
        counts: tolerance in pixels -> counts over the frames so far.
    """

    def __init__(self) -> None:
        self.counts: dict[int, PixelCounts] = {}

    def add(self, mask: Mask, truth: Mask, *, where: str = "frame") -> None:
        """Count one frame.

        Raises:
            InputError: the masks differ in size.
        """
        if mask.shape != truth.shape:
            raise InputError(f"{where}: truth mask has shape {truth.shape}, expected {mask.shape}")
        for tolerance_px in TOLERANCES_PX:
            counts = count_pixels(mask, truth, tolerance_px=tolerance_px)
            self.counts[tolerance_px] = self.counts.get(tolerance_px, PixelCounts()) + counts


def _grow(mask: Mask, radius_px: int) -> Mask:
    if not radius_px:
        return mask
    y, x = np.ogrid[-radius_px : radius_px + 1, -radius_px : radius_px + 1]
    disc: npt.NDArray[np.uint8] = (x * x + y * y <= radius_px * radius_px).astype(np.uint8)
    return cv2.dilate(mask.view(np.uint8), disc).astype(np.bool_)
