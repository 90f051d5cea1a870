"""Pictures of a run: the overlay as a video, the masks as files, and the room they leave on a disk.

When the disk runs full, room is kept for the records: pictures stop first.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np

from scnet_edge.errors import ConfigError, InputError
from scnet_edge.events import Event
from scnet_edge.files import free_bytes, write_file
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.runtime.overlay import draw_overlay
from scnet_edge.types import Frame, Mask

VIDEO_SUFFIXES = {".avi", ".mkv"}
VIDEO_FPS = 15.0
IMAGES_FPS = 5.0  # of an overlay video, when the source is images
MAX_VIDEO_SIDE_PX = 1920
VIDEO_ROOM_BYTES = 256 * 2**20  # the video and the replay file stop with less than this free
MASKS_ROOM_BYTES = 128 * 2**20  # then the masks; records are written to the last byte


def draw_result(frame_result: FrameResult) -> Frame:
    """Return the frame with its cracks drawn, and a caption, as (h, w, 3) uint8, BGR."""
    captured, result = frame_result.captured, frame_result.result
    lengths_px = [crack.length_px for crack in frame_result.cracks]
    words = [
        f"frame {captured.frame_id}",
        f"{len(lengths_px)} crack{'' if len(lengths_px) == 1 else 's'}",
        *([f"longest {max(lengths_px):.0f} px"] if lengths_px else []),
        f"{frame_result.camera_to_mask_ms or sum(frame_result.timing_ms.values()):.0f} ms",
        *captured.faults,
        *result.flags,
    ]
    return draw_overlay(
        captured.frame,
        result.mask,
        caption="   ".join(words),
        edges=result.edges,
        ignored=result.ignored,
    )


def mask_png(mask: Mask) -> bytes:
    """Return a mask, (h, w) bool, as a PNG file: 255 where a crack is and 0 elsewhere."""
    return cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes()


@contextmanager
def video_writer(
    path: Path, *, fps: float | None, codec: str = "mp4v"
) -> Iterator[Callable[[Frame], None]]:
    """Yield a function that appends a frame to a video, at most 1920 px a side.

    `codec` is its four letters, `mp4v` for MPEG-4 part 2; the suffix of `path` is the container.

    The first frame sets the size; one of another size is fitted in, with black bars.
    """
    writer, size_hw = cv2.VideoWriter(), (0, 0)

    def write(frame: Frame) -> None:
        nonlocal size_hw
        if not writer.isOpened():
            size_hw = _video_hw(frame)
            if path.is_symlink():  # OpenCV would write to what it leads to
                raise ConfigError(f"{path}: expected a file or nothing, found a link; remove it")
            fourcc = cv2.VideoWriter.fourcc(*codec)
            writer.open(str(path), cv2.CAP_FFMPEG, fourcc, fps or IMAGES_FPS, size_hw[::-1])
            if not writer.isOpened():
                raise InputError(f"{path}: OpenCV cannot write it; install its FFmpeg build")
        writer.write(_fit(frame, size_hw))

    try:
        yield write
    finally:
        writer.release()


def _video_hw(frame: Frame) -> tuple[int, int]:
    """Return the video's size: the frame's, within the largest side, made even for the codec."""
    factor = min(1.0, MAX_VIDEO_SIDE_PX / max(frame.shape[:2]))
    height_px, width_px = (max(16, round(side * factor)) // 2 * 2 for side in frame.shape[:2])
    return height_px, width_px


def _fit(frame: Frame, size_hw: tuple[int, int]) -> Frame:
    """Return the frame scaled into `size_hw`, centred on black."""
    if frame.shape[:2] == size_hw:
        return frame
    factor = min(size_hw[0] / frame.shape[0], size_hw[1] / frame.shape[1])
    height_px, width_px = (max(1, round(side * factor)) for side in frame.shape[:2])
    top, left = (size_hw[0] - height_px) // 2, (size_hw[1] - width_px) // 2
    canvas = np.zeros((*size_hw, 3), np.uint8)
    canvas[top : top + height_px, left : left + width_px] = cv2.resize(
        frame, (width_px, height_px), interpolation=cv2.INTER_AREA
    )
    return canvas


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
        overlay = draw_result(item)
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
        write_file(self._folder / f"{name}.png", mask_png(mask), durable=False)

    def flush(self) -> None:
        """Leave it to the file system: each file is whole by itself."""

    def close(self) -> None:
        """Leave no empty folder."""
        with suppress(OSError):
            self._folder.rmdir()


def require_room(folder: Path, room_bytes: int) -> None:
    """Raise OSError unless the file system of `folder` has that much free."""
    if free_bytes(folder) < room_bytes:
        mib = room_bytes / 2**20
        raise OSError(
            errno.ENOSPC, f"less than {mib:g} MiB free, kept for the records", str(folder)
        )


def require_writable(folder: Path) -> None:
    """Raise OSError unless a file can be made in `folder`, by making one."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as e:
        raise OSError(e.errno, e.strerror, str(folder)) from e


def free_path(path: Path) -> Path:
    """Return the path, or the first of NAME-001.SUFFIX, NAME-002.SUFFIX, ... that is not taken."""
    found, number = path, 0
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}-{number:03d}{path.suffix}")
    return found
