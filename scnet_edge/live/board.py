"""The newest frame of a run; a sink that costs nothing while nobody looks."""

from __future__ import annotations

from threading import Lock

import cv2
import numpy as np

from scnet_edge.events import Event
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.runtime.overlay import draw_overlay

MAX_SIDE_PX = 960
JPEG_QUALITY = 75


class Board:
    """A `Sink` that keeps the newest frame and draws it for whoever asks, once for all of them.

    Attributes:
        frame_id: of the newest frame; -1 before the first.
    """

    def __init__(self) -> None:
        self.frame_id = -1
        self._newest: FrameResult | None = None
        self._drawn: tuple[int, bytes] = (-1, b"")
        self._drawing = Lock()

    def write(self, frame_result: FrameResult) -> None:
        """Keep a frame."""
        self._newest, self.frame_id = frame_result, frame_result.captured.frame_id

    def note(self, event: Event) -> None:
        """Leave events to the fault log."""

    def close(self) -> None:
        """Do nothing: the last frame stays to be looked at."""

    def jpeg(self) -> tuple[int, bytes]:
        """Return the newest frame's id and its overlay as JPEG, at most 960 px a side.

        (-1, b"") before the first frame. Safe from any thread.
        """
        newest = self._newest
        if newest is None:
            return -1, b""
        with self._drawing:
            if self._drawn[0] != newest.captured.frame_id:
                self._drawn = newest.captured.frame_id, _draw(newest)
            return self._drawn


def _draw(frame_result: FrameResult) -> bytes:
    frame, result = frame_result.captured.frame, frame_result.result
    mask, ignored = result.mask, result.ignored
    scale = min(1.0, MAX_SIDE_PX / max(frame.shape[:2]))
    if scale < 1:
        size_wh = (round(scale * frame.shape[1]), round(scale * frame.shape[0]))
        frame = cv2.resize(frame, size_wh, interpolation=cv2.INTER_AREA).astype(np.uint8)
        share = cv2.resize(mask.astype(np.float32), size_wh, interpolation=cv2.INTER_AREA)
        mask = share > 0.2  # a crack of two pixels stays visible
        if ignored is not None:
            nearest = cv2.INTER_NEAREST
            ignored = cv2.resize(ignored.astype(np.uint8), size_wh, interpolation=nearest) > 0
    drawn = draw_overlay(frame, mask, ignored=ignored)
    encoded = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return encoded.tobytes()
