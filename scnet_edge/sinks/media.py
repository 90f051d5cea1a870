"""Pictures of a run: the overlay as a video, and the masks as files."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np

from scnet_edge.errors import ConfigError, InputError
from scnet_edge.events import Event
from scnet_edge.files import write_image
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.runtime.overlay import draw_overlay
from scnet_edge.sinks.room import (
    MASKS_ROOM_BYTES,
    VIDEO_ROOM_BYTES,
    free_path,
    require_room,
    require_writable,
)
from scnet_edge.sinks.run_files import video_writer
from scnet_edge.types import Frame, Mask

VIDEO_SUFFIXES = {".avi", ".mkv"}
VIDEO_FPS = 15.0


def overlay_of(frame_result: FrameResult) -> Frame:
    """Return the frame with its cracks drawn and a caption."""
    cracks = len(frame_result.cracks)
    ms = frame_result.camera_to_mask_ms or sum(frame_result.timing_ms.values())
    caption = (
        f"frame {frame_result.captured.frame_id}   {cracks} crack{'' if cracks == 1 else 's'}   "
        f"{ms:.0f} ms   {' '.join((*frame_result.captured.faults, *frame_result.result.flags))}"
    )
    return draw_overlay(
        frame_result.captured.frame, frame_result.result.mask, caption=caption.rstrip()
    )


class OverlayVideo:
    """An `Outlet` that appends the overlay to a Motion JPEG video, readable up to a power cut.

    An older file is kept: the video is then named NAME-001. Its frames are played at `fps`, however
    fast they came.
    """

    depth = 4

    def __init__(
        self, path: Path, *, fps: float | None, room_bytes: int = VIDEO_ROOM_BYTES
    ) -> None:
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            raise ConfigError(
                f"{path}: expected a name that ends in {' or '.join(sorted(VIDEO_SUFFIXES))}; "
                "an MP4 that a power cut leaves without its end cannot be opened"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        require_writable(path.parent)  # OpenCV makes the file with the first frame
        self._folder, self._room_bytes = path.parent, room_bytes
        self._stack = ExitStack()
        self._write = self._stack.enter_context(
            video_writer(free_path(path), fps=fps or VIDEO_FPS, codec="MJPG")
        )

    def prepare(self, item: FrameResult | Event) -> FrameResult | None:
        """Return the frame; events have no picture."""
        return item if isinstance(item, FrameResult) else None

    def put(self, item: FrameResult) -> None:
        """Draw and append."""
        require_room(self._folder, self._room_bytes)  # OpenCV would not say that the disk is full
        overlay = overlay_of(item)
        try:
            self._write(overlay)
        except InputError as e:
            raise OSError(str(e)) from e

    def flush(self) -> None:
        """Leave it to FFmpeg, which writes every 256 KiB."""

    def close(self) -> None:
        """Write the video's index."""
        self._stack.close()


class MaskFiles:
    """An `Outlet` that writes FOLDER/NAME.png, 255 where a crack is, for frames with a crack.

    The folder is of this run alone, since a camera's frames have the same names in every run.
    """

    depth = 4

    def __init__(self, folder: Path, *, room_bytes: int = MASKS_ROOM_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._room_bytes = folder, room_bytes

    def prepare(self, item: FrameResult | Event) -> tuple[str, Mask] | None:
        """Return the frame's name and mask if there is a crack in it."""
        if not isinstance(item, FrameResult) or not item.result.mask.any():
            return None
        return item.captured.name, item.result.mask

    def put(self, item: tuple[str, Mask]) -> None:
        """Write the file, whole or not at all."""
        require_room(self._folder, self._room_bytes)
        name, mask = item
        write_image(self._folder / f"{name}.png", mask.astype(np.uint8) * 255, durable=False)

    def flush(self) -> None:
        """Leave it to the file system: each file is whole by itself."""

    def close(self) -> None:
        """Leave no empty folder."""
        with suppress(OSError):
            self._folder.rmdir()
