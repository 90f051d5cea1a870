"""A run over files as a folder of results and a page: the sink behind `scnet-edge run --out`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from scnet_edge.events import Event
from scnet_edge.files import write_file
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.sinks.run_files import REPORT, RESULTS, FrameRecord, open_sinks
from scnet_edge.sinks.run_page import Gallery, render_page
from scnet_edge.sinks.run_scores import Scoreboard
from scnet_edge.types import Frame, Mask, Result

MAX_RECORDS = 20_000  # frames on the page: a camera may run for hours, memory may not


class RunFolder:
    """A sink that writes every frame's files and keeps what the page needs.

    Attributes:
        records: one per frame, of the first `MAX_RECORDS`; the files on disk have them all.
        scores: against the known masks, where `known_mask` gives any.
    """

    def __init__(
        self,
        folder: Path,
        write_files: Callable[[Frame, Result, FrameRecord], None],
        known_mask: Callable[[str], Mask] | None,
    ) -> None:
        self.records: list[FrameRecord] = []
        self.scores = Scoreboard()
        self._folder = folder
        self._write_files = write_files
        self._known_mask = known_mask
        self._gallery = Gallery()
        self._frames = 0

    def write(self, frame_result: FrameResult) -> None:
        """Write one frame's mask, overlay and line of JSON."""
        record = frame_record(frame_result)
        frame, result = frame_result.captured.frame, frame_result.result
        self._write_files(frame, result, record)
        known = self._known_mask(record.name) if self._known_mask else None
        if known is not None:
            self.scores.add(result.mask, known, where=record.name)
        self._frames += 1
        if self._frames <= MAX_RECORDS:
            at = len(self.records)
            self._gallery.add(at, frame, result.mask, edges=result.edges, truth=known)
            self.records.append(record)

    def note(self, event: Event) -> None:
        """Take no notice: a run over files has frames alone."""

    def close(self) -> None:
        """Leave the files to `open_run_folder`, which opened them."""

    def write_page(self, facts: Mapping[str, str]) -> None:
        """Write `report.html`, unless there was no frame to show."""
        if not self.records:
            return
        if self._frames > MAX_RECORDS:
            covers = f"the first {MAX_RECORDS:,} of {self._frames:,} frames; {RESULTS} has all"
            facts = {**facts, "This page": covers}
        page = render_page(self.records, self._gallery, facts=facts, scores=self.scores.counts)
        write_file(self._folder / REPORT, page.encode())


@contextmanager
def open_run_folder(
    folder: Path, *, fps: float | None, known_mask: Callable[[str], Mask] | None = None
) -> Iterator[RunFolder]:
    """Open the files of a run inside `folder`; `known_mask` maps a frame's name to its truth."""
    with open_sinks(folder, fps=fps) as write_files:
        yield RunFolder(folder, write_files, known_mask)


def frame_record(frame_result: FrameResult) -> FrameRecord:
    """Return one frame's line of JSON."""
    mask = frame_result.result.mask
    return FrameRecord(
        index=frame_result.captured.frame_id,
        name=frame_result.captured.name,
        size_hw=(mask.shape[0], mask.shape[1]),
        crack_area_px=int(mask.sum()),
        cracks=msgspec.to_builtins(frame_result.cracks),
        timing_ms=frame_result.timing_ms,
    )
