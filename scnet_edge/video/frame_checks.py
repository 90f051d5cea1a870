"""What is wrong with a frame, by reason, before a model sees it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.data.frames import MIN_SIDE_PX
from scnet_edge.events import Event, event_now
from scnet_edge.types import Captured, Frame
from scnet_edge.video.sources import Source

Moving: TypeAlias = Callable[[Captured], bool | None]
Grey = npt.NDArray[np.uint8]
SIDE_PX = 256  # frames are looked at with their longer side about this long
BLACK, DARK, BRIGHT = 16, 60, 250  # grey levels
# A screen without a picture, blue as a rule: so far are its channels apart, and its pixels within.
COLOURFUL, ONE_COLOUR = 60, 4
# What a decoder leaves where its data ran out, BGR: JPEG's mid grey, and the green of an empty
# YUV picture, in the two common matrices.
FILLERS_BGR = ((128, 128, 128), (0, 135, 0), (0, 77, 0), (0, 154, 0))
FILLER_SHARE = 0.1  # of the rows, from the bottom up
FOREIGN_FRAMES = 3  # in a row that are of another size: the camera has changed its mode
STILL_LEVELS = (
    0.25  # mean difference below which two pictures are one; FFmpeg's freezedetect: 0.255
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a frame counts as faulty.

    Attributes:
        black_share: `black` where at least this share of the pixels is, `blank` where it is of
            one bright colour: the blue screen of a recorder without a signal.
        dark_share: `underexposed` where at least this share is dark.
        bright_share: `overexposed` where at least this share is burnt out.
        sharpness: `blurred` below this: the standard deviation of the Laplacian, in grey levels,
            at the size frames are looked at; 0 never flags.
        frozen_s: `frozen` once the picture has stood still for so long.
    """

    black_share: float = 0.98
    dark_share: float = 0.95
    bright_share: float = 0.4
    sharpness: float = 1.2
    frozen_s: float = 2.0


def watch_frames(
    source: Source,
    *,
    limits: Limits | None = None,
    moving: Moving = lambda captured: None,
) -> Source:
    """Return the source with every frame's faults filled in.

    Args:
        source: Used up by this.
        limits: None for the defaults.
        moving: Whether the odometer moves when a frame is taken, None where there is none. A
            picture that stands still is `frozen` while the robot moves, and never while it
            stands. Without an odometer it is when not one grey level changes, which no sensor
            with noise does.
    """
    return replace(source, items=_watch(source, limits or Limits(), moving))


def _watch(source: Source, limits: Limits, moving: Moving) -> Generator[Captured | Event]:
    size, still = SizeWatch(), Stillness(limits.frozen_s)
    try:
        for item in source.items:
            if isinstance(item, Event):
                if item.kind == "camera_found":
                    size = SizeWatch()  # it has been asked anew
            elif not item.faults and size.differs(item.frame):
                item = replace(item, faults=("geometry",))
            elif not item.faults:
                if detail := size.take_change():
                    yield replace(event_now("geometry", detail=detail), mono_ns=item.mono_ns)
                few = _few_pixels(item.frame)
                grey = np.asarray(cv2.cvtColor(few, cv2.COLOR_BGR2GRAY), np.uint8)
                frozen = still.lasts(grey, item.mono_ns, moving(item))
                faults = _picture_faults(item.frame, few, grey, limits)
                item = replace(item, faults=faults)
                if frozen:
                    faults = (*faults, "frozen")
                    item = replace(item, faults=faults, still_since_ns=still.since_ns)
            yield item
    finally:
        source.items.close()


class SizeWatch:
    """Whether a frame is a picture of the size that the camera has."""

    def __init__(self) -> None:
        self._size: tuple[int, ...] | None = None
        self._before: tuple[int, ...] | None = None  # its size before it changed, until told
        self._foreign = 0

    def differs(self, frame: Frame) -> bool:
        """Take the next frame; the third in a row of another size makes that the camera's size."""
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            return True
        if min(frame.shape[:2]) < MIN_SIDE_PX:
            return True
        self._foreign = 0 if frame.shape == self._size else self._foreign + 1
        if self._size is None or self._foreign == FOREIGN_FRAMES:
            self._before, self._size, self._foreign = self._size, frame.shape, 0
        return self._foreign > 0

    def take_change(self) -> str:
        """Return, once, how the size has just changed; empty where it has not."""
        before, now, self._before = self._before, self._size, None
        if before is None or now is None:
            return ""
        return f"the frames have become {now[1]}x{now[0]} px, were {before[1]}x{before[0]} px"


def _picture_faults(frame: Frame, few: Frame, grey: Grey, limits: Limits) -> tuple[str, ...]:
    """Return what one picture tells; `few` is every n-th pixel of it, `grey` is those in grey."""
    if _has_filler(frame):
        return ("corrupt",)
    if _share(grey < BLACK) >= limits.black_share:
        return ("black",)
    if _share_of_one_colour(few) >= limits.black_share:
        return ("blank",)
    if _share(grey < DARK) >= limits.dark_share:
        return ("underexposed",)
    if _share(grey >= BRIGHT) >= limits.bright_share:
        return ("overexposed",)
    return ("blurred",) if sharpness(grey) < limits.sharpness else ()


def sharpness(small: Grey) -> float:
    """Return the standard deviation of the Laplacian in grey levels: little in a blurred picture.

    The picture is smoothed a little first, so that a sensor's noise does not pass for detail.
    """
    smooth = cv2.GaussianBlur(small.astype(np.float32), (0, 0), 1.0)
    return float(cv2.Laplacian(smooth, cv2.CV_32F).std())


class Stillness:
    """Whether the picture has not changed for longer than it may; `since_ns` says since when."""

    def __init__(self, limit_s: float) -> None:
        self._limit_ns = limit_s * 1e9
        self._reference: Grey | None = None
        self.since_ns = 0

    def lasts(self, small: Grey, mono_ns: int, moving: bool | None) -> bool:
        """Take the next picture; True where it is one of too many alike."""
        if moving is False or self._has_changed(small, 0.0 if moving is None else STILL_LEVELS):
            self._reference, self.since_ns = small, mono_ns
        return mono_ns - self.since_ns >= self._limit_ns

    def _has_changed(self, small: Grey, levels: float) -> bool:
        reference = self._reference
        if reference is None or reference.shape != small.shape:
            return True
        return float(cv2.absdiff(reference, small).mean()) > levels


def _few_pixels(frame: Frame) -> Frame:
    """Return every n-th pixel of every n-th row: not averaged, so noise stays."""
    step = max(1, max(frame.shape[:2]) // SIDE_PX)
    return np.ascontiguousarray(frame[::step, ::step])


def _share_of_one_colour(few: Frame) -> float:
    """Return how much of a picture is about of one colour; 0 where that is nearly grey.

    A wall of one grey, which is drawn, may have a crack.
    """
    median = np.median(few[::8, ::8], axis=(0, 1))
    if np.ptp(median) < COLOURFUL:
        return 0.0
    return _share(cv2.inRange(few, median - ONE_COLOUR, median + ONE_COLOUR) > 0)


def _has_filler(frame: Frame) -> bool:
    """Return whether the lowest rows are exactly one of the colours that decoders fill with."""
    rows = max(1, round(FILLER_SHARE * frame.shape[0]))
    corner = frame[-1, 0].astype(int)
    if min(int(np.abs(corner - filler).max()) for filler in np.array(FILLERS_BGR)) > 2:
        return False
    return bool((frame[-rows:] == frame[-1, 0]).all())


def _share(flags: npt.NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(flags)) / flags.size
