"""Frames from a path: an image, a folder of images or a video."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import cv2

from scnet_edge.errors import CutShort, InputError
from scnet_edge.events import Event
from scnet_edge.redaction import redacted
from scnet_edge.types import Captured, Frame
from scnet_edge.video.camera import FRAME_S, OPEN_S, camera_items
from scnet_edge.video.frames import as_bgr, read_image
from scnet_edge.video.uris import SUPPORTED, Camera, parse_camera

IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
VIDEO_SUFFIXES = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm"}
FILES = "an image, a folder of images or a video file"

logger = logging.getLogger(__name__)
Named: TypeAlias = tuple[str, Frame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Frames, read once, and what happens between them; iterating gives the frames alone.

    Attributes:
        items: `Captured` frames and `Event`s, in the order they happened.
        count: how many frames there are; None where nobody knows.
        fps: frames per second of a video; None for images.
        live: a camera, whose frames are lost when nobody takes them.
        stop: set it, from any thread, to end the items soon; a camera that hangs included.
    """

    items: Generator[Captured | Event]
    count: int | None
    fps: float | None = None
    live: bool = False
    stop: threading.Event = field(default_factory=threading.Event)

    def __iter__(self) -> Iterator[Captured]:
        """Yield the frames."""
        return (item for item in self.items if isinstance(item, Captured))


@contextmanager
def open_source(uri: str, *, open_s: float = OPEN_S, frame_s: float = FRAME_S) -> Iterator[Source]:
    """Open what a URI names; close it on leaving.

    Args:
        uri: A camera (`uris.SUPPORTED` lists the schemes), an image, a folder of images (taken in
            natural order) or a video file. A camera that is absent is waited for.
        open_s, frame_s: How long a camera may take to its first frame, and from one to the next,
            before its process is replaced.

    Raises:
        InputError: an unknown scheme; nothing there, nothing usable in it, or a file that cannot
            be decoded.
    """
    camera = parse_camera(uri)
    source = _open_file(uri) if camera is None else _open_camera(camera, open_s, frame_s)
    with closing(source.items):
        yield source


def natural_key(path: Path) -> list[str | int]:
    """Return a sort key by which `frame-9` comes before `frame-10`."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def image_files(folder: Path) -> list[Path]:
    """Return the visible image files of a folder, by suffix, in natural order."""
    files = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()]
    return sorted((p for p in files if not p.name.startswith(".")), key=natural_key)


def _open_camera(camera: Camera, open_s: float, frame_s: float) -> Source:
    stop = threading.Event()
    items = camera_items(camera, stop, open_s=open_s, frame_s=frame_s)
    return Source(items=items, count=None, live=True, stop=stop)


def _open_file(uri: str) -> Source:
    path = Path(uri)
    if not path.exists():
        raise InputError(f"{redacted(uri)}: no such file or folder, expected {SUPPORTED}")
    if path.is_dir():
        return _open_folder(path)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return Source(items=_captured(_images([path], [path.stem])), count=1)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return _open_video(path)
    known = " ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
    raise InputError(f"{redacted(uri)}: expected {FILES}, with one of the suffixes {known}")


def _open_folder(folder: Path) -> Source:
    try:
        files = image_files(folder)
    except OSError as e:
        raise InputError(f"{folder}: cannot be listed ({e.strerror})") from e
    if not files:
        known = " ".join(sorted(IMAGE_SUFFIXES))
        raise InputError(f"{folder}: no image in this folder, expected files named {known}")
    stems = [path.stem for path in files]
    names = stems if len(set(stems)) == len(stems) else [path.name for path in files]
    return Source(items=_captured(_images(files, names)), count=len(files))


def _captured(named: Generator[Named], fps: float | None = None) -> Generator[Captured]:
    """Number the frames of a file; those of a video lie as far apart as they were filmed."""
    start_ns = time.monotonic_ns()
    with closing(named):
        for i, (name, frame) in enumerate(named):
            mono_ns = start_ns + round(i * 1e9 / fps) if fps else time.monotonic_ns()
            yield Captured(frame_id=i, name=name, frame=frame, mono_ns=mono_ns)


def _images(files: list[Path], names: list[str]) -> Generator[Named]:
    for path, name in zip(files, names, strict=True):
        yield name, read_image(path)


def _open_video(path: Path) -> Source:
    try:
        size_bytes = path.stat().st_size
        path.open("rb").close()
    except OSError as e:
        raise InputError(f"{path}: cannot be read ({e.strerror})") from e
    if not size_bytes:
        raise InputError(f"{path}: empty file, expected a video")
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise InputError(f"{path}: not a video FFmpeg can open, or cut short; export it again")
    declared = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    fps = capture.get(cv2.CAP_PROP_FPS)
    known_fps = fps if 0 < fps <= 1000 else None
    return Source(
        items=_captured(_video_frames(capture, path, declared), known_fps),
        count=declared if declared > 0 else None,
        fps=known_fps,
    )


def _video_frames(capture: cv2.VideoCapture, path: Path, declared: int) -> Generator[Named]:
    """Yield the decoded frames; fewer than the file declares is an error.

    Two frames or 2 % may be missing: some containers only estimate their length.
    """
    read = 0
    try:
        while (got := capture.read())[0]:
            yield f"{path.stem}-{read:05d}", as_bgr(got[1], where=f"{path}, frame {read}")
            read += 1
    finally:
        capture.release()
    if not read:
        raise InputError(f"{path}: no frame could be decoded; convert it to H.264 or MJPEG")
    if declared - read > max(2, 0.02 * declared):
        raise CutShort(
            f"{path}: ends after {read} of {declared} frames, the file is cut or damaged; "
            f"copy it again, or pass --frames {read}"
        )
    if read < declared:
        logger.warning("%s: %d of %d declared frames decoded", path, read, declared)
