"""What a run leaves behind: a folder that appears whole or not at all.

OUT/
  masks/NAME.png   (h, w) uint8, 255 where a crack is
  overlay.mp4      the cracks drawn on the frames, MPEG-4 part 2
  results.jsonl    one `FrameRecord` a line
  report.html      the page

Of a run without a frame there is neither overlay nor page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import cv2
import msgspec
import numpy as np

from scnet_edge.errors import InputError
from scnet_edge.files import write_image
from scnet_edge.folders import new_folder
from scnet_edge.runtime.overlay import draw_overlay
from scnet_edge.types import Frame, Mask, Result

MASKS, OVERLAY, RESULTS, REPORT = "masks", "overlay.mp4", "results.jsonl", "report.html"
IMAGES_FPS = 5.0  # of the overlay video, when the source is images
MAX_VIDEO_SIDE_PX = 1920


class FrameRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One frame's line of `results.jsonl`; cracks as the measurement gives them, in pixels."""

    index: int
    name: str
    size_hw: tuple[int, int]
    crack_area_px: int
    cracks: Sequence[Mapping[str, object]]
    timing_ms: Mapping[str, float]


def output_folder(out: Path, *, overwrite: bool = False) -> AbstractContextManager[Path]:
    """Return the context of a folder that becomes `out` when all went well; as `new_folder`."""
    return new_folder(
        out, marker=RESULTS, names=(MASKS, OVERLAY, REPORT, RESULTS), overwrite=overwrite
    )


@contextmanager
def open_sinks(
    folder: Path, *, fps: float | None
) -> Iterator[Callable[[Frame, Result, FrameRecord], None]]:
    """Yield a function that writes one frame's mask, its overlay and its line of JSON."""
    (folder / MASKS).mkdir()
    with (
        record_writer(folder / RESULTS) as write_record,
        video_writer(folder / OVERLAY, fps=fps) as write_overlay,
    ):

        def write(frame: Frame, result: Result, record: FrameRecord) -> None:
            write_mask(folder / MASKS, record.name, result.mask)
            write_record(record)
            caption = overlay_caption(record)
            write_overlay(draw_overlay(frame, result.mask, caption=caption, edges=result.edges))

        yield write


def overlay_caption(record: FrameRecord) -> str:
    """Return the line along the bottom of the overlay."""
    lengths_px = [float(str(crack["length_px"])) for crack in record.cracks]
    cracks = f"{len(lengths_px)} crack{'' if len(lengths_px) == 1 else 's'}"
    longest = f"   longest {max(lengths_px):.0f} px" if lengths_px else ""
    return f"frame {record.index + 1}   {cracks}{longest}   {sum(record.timing_ms.values()):.0f} ms"


def write_mask(folder: Path, name: str, mask: Mask) -> None:
    """Write `NAME.png`, 255 where a crack is and 0 elsewhere."""
    write_image(folder / f"{name}.png", mask.astype(np.uint8) * 255, durable=False)


@contextmanager
def record_writer(path: Path) -> Iterator[Callable[[FrameRecord], None]]:
    """Yield a function that appends a record as one line of JSON."""
    with path.open("wb") as f:

        def write(record: FrameRecord) -> None:
            f.write(msgspec.json.encode(record) + b"\n")

        yield write


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
            fourcc = cv2.VideoWriter.fourcc(*codec)
            writer.open(str(path), cv2.CAP_FFMPEG, fourcc, fps or IMAGES_FPS, size_hw[::-1])
            if not writer.isOpened():
                raise InputError(f"{path}: OpenCV cannot write it; install its FFmpeg build")
        writer.write(_fitted(frame, size_hw))

    try:
        yield write
    finally:
        writer.release()


def _video_hw(frame: Frame) -> tuple[int, int]:
    """Return the video's size: the frame's, within the largest side, made even for the codec."""
    factor = min(1.0, MAX_VIDEO_SIDE_PX / max(frame.shape[:2]))
    height_px, width_px = (max(16, round(side * factor)) // 2 * 2 for side in frame.shape[:2])
    return height_px, width_px


def _fitted(frame: Frame, size_hw: tuple[int, int]) -> Frame:
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
