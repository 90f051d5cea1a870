"""Frames from a path: an image, a folder of images or a video, decoded ahead of their use."""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Full, Queue
from threading import Event
from typing import TypeAlias, TypeVar

import cv2

from scnet_edge.errors import InputError
from scnet_edge.runtime.frames import as_bgr, read_image
from scnet_edge.types import Frame

IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
VIDEO_SUFFIXES = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm"}
SUPPORTED = "an image, a folder of images or a video file"
POLL_S = 0.1  # how long the reader waits on a full queue before it looks whether to stop

logger = logging.getLogger(__name__)
T = TypeVar("T")
Named: TypeAlias = tuple[str, Frame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Named frames, read once.

    Attributes:
        frames: pairs of a name, unique in the source, and an (h, w, 3) uint8 BGR frame.
        count: how many frames there are; None where the file does not say.
        fps: frames per second of a video; None for images.
    """

    frames: Generator[Named]
    count: int | None
    fps: float | None = None

    def __iter__(self) -> Iterator[Named]:
        """Return the frames."""
        return self.frames


@contextmanager
def open_source(uri: str) -> Iterator[Source]:
    """Open an image, a folder of images (in natural order) or a video file; close it on leaving.

    A thread decodes at most three frames ahead; an error it meets is raised in the caller's loop.

    Raises:
        InputError: nothing there, nothing usable in it, or a file that cannot be decoded.
    """
    source = _open(uri)
    with read_ahead(source.frames, depth=2) as frames:
        yield replace(source, frames=frames)


@contextmanager
def read_ahead(items: Generator[T], *, depth: int) -> Iterator[Generator[T]]:
    """Run `items` in a thread, at most `depth` + 1 of them ahead of the caller.

    An exception of `items` is raised in the caller's loop, after the items before it. Leaving the
    context closes `items` and ends the thread, whether or not all was read.
    """
    slots: Queue[list[T]] = Queue(depth)  # one item each; an empty list ends the stream
    stop = Event()

    def put(slot: list[T]) -> None:
        while not stop.is_set():
            try:
                return slots.put(slot, timeout=POLL_S)
            except Full:
                continue

    def fill() -> None:
        try:
            with closing(items):
                for item in items:
                    put([item])
                    if stop.is_set():
                        break
        finally:
            put([])

    def drain() -> Generator[T]:
        while slot := slots.get():
            yield slot[0]
        reader.result()  # raises what the reader met

    with ThreadPoolExecutor(1, thread_name_prefix="reader") as pool:
        reader = pool.submit(fill)
        try:
            with closing(drain()) as ahead:
                yield ahead
        finally:
            stop.set()


def natural_key(path: Path) -> list[str | int]:
    """Return a sort key by which `frame-9` comes before `frame-10`."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def image_files(folder: Path) -> list[Path]:
    """Return the visible image files of a folder, by suffix, in natural order."""
    files = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()]
    return sorted((p for p in files if not p.name.startswith(".")), key=natural_key)


def _open(uri: str) -> Source:
    path = Path(uri)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", uri):
        raise InputError(f"{uri}: unknown kind of source, expected the path of {SUPPORTED}")
    if not path.exists():
        raise InputError(f"{uri}: no such file or folder, expected {SUPPORTED}")
    if path.is_dir():
        return _open_folder(path)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return Source(frames=_images([path], [path.stem]), count=1)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return _open_video(path)
    known = " ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
    raise InputError(f"{uri}: expected {SUPPORTED}, with one of the suffixes {known}")


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
    return Source(frames=_images(files, names), count=len(files))


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
    return Source(
        frames=_video_frames(capture, path, declared),
        count=declared if declared > 0 else None,
        fps=fps if 0 < fps <= 1000 else None,
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
        raise InputError(
            f"{path}: ends after {read} of {declared} frames, the file is cut or damaged; "
            f"copy it again, or pass --frames {read}"
        )
    if read < declared:
        logger.warning("%s: %d of %d declared frames decoded", path, read, declared)
