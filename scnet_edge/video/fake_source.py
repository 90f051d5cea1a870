"""A camera without a camera, so that users can test their robots: drawn frames, and faults."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from threading import Event as Flag

import cv2
import numpy as np

from scnet_edge.events import Event
from scnet_edge.types import Captured, Frame
from scnet_edge.video.sources import Source


def fake_source(
    frames: Iterable[Frame | Event],
    *,
    fps: float | None = None,
    live: bool = True,
    name: str = "fake",
    faults: Callable[[Frame], tuple[str, ...]] = lambda frame: (),
) -> Source:
    """Return a source that gives `frames`, numbered from 0, and events where they stand.

    Args:
        frames: (h, w, 3) uint8 BGR each, such as `drawn_frames()`; may be endless.
        fps: How fast they come; None for as fast as they are taken.
        live: Whether the loop shall take it for a camera.
        name: What the frames' names begin with.
        faults: Frame -> what is wrong with it.
    """
    stop = Flag()
    items = _items(iter(frames), fps, name, faults, stop)
    return Source(items=items, count=None, fps=fps, live=live, stop=stop)


def drawn_frames(count: int | None = None, size_hw: tuple[int, int] = (96, 128)) -> Iterator[Frame]:
    """Yield grey frames with one dark line, 3 px wide, that moves down; each is another."""
    for i in itertools.count() if count is None else range(count):
        frame = np.full((*size_hw, 3), 190, np.uint8)
        y_px = 8 + i % (size_hw[0] - 16)
        cv2.line(frame, (8, y_px), (size_hw[1] - 9, y_px), (20, 20, 20), 3)
        yield frame


def _items(
    frames: Iterator[Frame | Event],
    fps: float | None,
    name: str,
    faults: Callable[[Frame], tuple[str, ...]],
    stop: Flag,
) -> Generator[Captured | Event]:
    start_s, frame_id = time.monotonic(), 0
    for item in frames:
        if isinstance(item, Event):
            yield item
            continue
        if fps and stop.wait(max(0.0, start_s + frame_id / fps - time.monotonic())):
            return
        yield Captured(
            frame_id=frame_id,
            name=f"{name}-{frame_id:06d}",
            frame=item,
            mono_ns=time.monotonic_ns(),
            utc_ns=time.time_ns(),
            faults=faults(item),
        )
        frame_id += 1
