"""Frames from a path: an image, a folder of images or a video.

A picture that cannot be read is named and counted, and the others go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from scnet_edge.data.frames import as_bgr
from scnet_edge.data.picture_files import (
    FOREIGN_SUFFIXES,
    PICTURE_SUFFIXES,
    RAW_SUFFIXES,
    PictureFiles,
    find_pictures,
    names_of,
    unread_reason,
)
from scnet_edge.data.pictures import read_picture
from scnet_edge.errors import CutShort, Incomplete, InputError, escape
from scnet_edge.events import Event, event_now
from scnet_edge.redaction import redact
from scnet_edge.types import Captured
from scnet_edge.video.camera import FRAME_S, OPEN_S, camera_items
from scnet_edge.video.film import Film, Missing, Remark, open_film
from scnet_edge.video.uris import SUPPORTED, Camera, parse_camera

UNREADABLE = "unreadable"  # the reason of the gap that a picture leaves
MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Frames, read once, and what happens between them; iterating gives the pictures alone.

    Attributes:
        items: `Captured` frames and `Event`s, in the order they happened.
        count: about how many frames there are, for a progress bar; None where nobody knows.
        fps: frames per second of a video, the mean; None for images.
        changed: which of a file's videos is read and what is done to its pictures before they are
            given (pixels made square, turned upright), for people; empty where nothing is.
        live: a camera, whose frames are lost when nobody takes them.
        stop: set it, from any thread, to end the items soon; a camera that hangs included.
        files: of a folder, its pictures, as their `Photograph` calls them.
        left_out: one line on the files of a folder that are no pictures; empty where all are.
    """

    items: Generator[Captured | Event]
    count: int | None
    fps: float | None = None
    changed: str = ""
    live: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    files: tuple[str, ...] = ()
    left_out: str = ""

    @property
    def length_s(self) -> float | None:
        """About how long a film is; None where nobody knows."""
        return self.count / self.fps if self.count and self.fps else None

    @property
    def step_s(self) -> float | None:
        """The mean time from one frame of a film to the next; None for cameras and images."""
        return 1 / self.fps if self.fps and not self.live else None

    def __iter__(self) -> Iterator[Captured]:
        """Yield the frames that could be decoded."""
        return (i for i in self.items if isinstance(i, Captured) and i.frame.size)


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


def _open_camera(camera: Camera, open_s: float, frame_s: float) -> Source:
    stop = threading.Event()
    items = camera_items(camera, stop, open_s=open_s, frame_s=frame_s)
    return Source(items=items, count=None, live=True, stop=stop)


def _open_file(uri: str) -> Source:
    path = Path(uri)
    if not path.exists():
        raise InputError(f"{escape(redact(uri))}: no such file or folder, expected {SUPPORTED}")
    if path.is_dir():
        return _open_folder(path)
    if path.suffix.lower() in PICTURE_SUFFIXES | RAW_SUFFIXES | FOREIGN_SUFFIXES:
        return Source(items=_one_picture(path), count=1)
    film = open_film(path)
    items = _film_items(path, film)
    return Source(items=items, count=film.count, fps=film.fps, changed=film.changed)


def _open_folder(folder: Path) -> Source:
    files = find_pictures(folder)
    if not files.pictures:
        known = " ".join(sorted(PICTURE_SUFFIXES))
        also = f"; {files.describe_left_out()}" if files.others else ""
        raise InputError(
            f"{escape(folder)}: no image in this folder, expected files named {known}{also}"
        )
    return Source(
        items=photographs(files),
        count=len(files.pictures),
        files=tuple(map(files.relative, files.pictures)),
        left_out=files.describe_left_out(),
    )


def _one_picture(path: Path) -> Generator[Captured]:
    yield capture(path, 0, escape(path.stem), escape(path))


def _film_items(path: Path, film: Film) -> Generator[Captured | Event]:
    """Number a film's pictures, which lie as far apart in time as they were filmed.

    Raises:
        CutShort: after the last one, where the file ends before the length that it states.
    """
    start_ns, number, frames = time.monotonic_ns(), 0, 0
    stem, label = escape(path.stem), f"{escape(path)}, frame"

    def mono_ns(time_s: float) -> int:
        return start_ns + round(time_s * 1e9)

    with closing(film.items):
        for item in film.items:
            if isinstance(item, Missing):
                missing_s = item.to_s - item.from_s
                gap = event_now("gap", "cut", f"{missing_s:.1f} s are missing in the file")
                yield replace(gap, from_mono_ns=mono_ns(item.from_s), mono_ns=mono_ns(item.to_s))
                raise CutShort(
                    f"{escape(path)}: ends after {frames}{_of(film)} frames, "
                    f"{missing_s:.1f} s are missing, the file is cut or damaged; copy it again, "
                    f"or pass --frames {frames}"
                )
            if isinstance(item, Remark):
                event = event_now(item.kind, detail=item.detail)
                yield replace(event, mono_ns=mono_ns(item.time_s))
                continue
            seen = item.frame.size > 0
            yield Captured(
                frame_id=number,
                name=f"{stem}-{number:05d}",
                frame=as_bgr(item.frame, where=f"{label} {number}") if seen else item.frame,
                mono_ns=mono_ns(item.time_s),
                time_s=item.time_s,
                faults=() if seen else ("corrupt",),
            )
            number, frames = number + 1, frames + seen


def _of(film: Film) -> str:
    return "" if film.count is None else f" of about {film.count}"


def photographs(files: PictureFiles) -> Generator[Captured | Event]:
    """Yield the frames of a folder's pictures, and a gap for each that cannot be read.

    Raises:
        Incomplete: some could not be read; after the last of the others.
    """
    unread: list[str] = []
    for i, (path, name) in enumerate(zip(files.pictures, names_of(files), strict=True)):
        label = files.relative(path)
        try:
            yield capture(path, i, name, label)
        except InputError as e:
            reason = str(e).removeprefix(f"{label}: ")
            unread.append(f"{label} ({reason.partition(';')[0]})")
            gap = event_now("gap", UNREADABLE, f"{label}: {reason}")
            yield replace(gap, first_frame_id=i, last_frame_id=i, file=label)
    if unread:
        raise Incomplete(_summary(files, unread))


def capture(path: Path, frame_id: int, name: str, label: str) -> Captured:
    """Return one picture as a frame; `label` is what its photograph and messages call it.

    Raises:
        InputError: it cannot be read.
    """
    if reason := unread_reason(path):
        raise InputError(f"{label}: {reason}")
    picture = read_picture(path, label=label)
    return Captured(
        frame_id=frame_id,
        name=name,
        frame=picture.frame(),
        mono_ns=time.monotonic_ns(),
        utc_ns=picture.photograph.utc_ns,
        photograph=picture.photograph,
    )


def _summary(files: PictureFiles, unread: list[str]) -> str:
    named = ", ".join([*unread[:MOST_NAMED], *(["..."] if len(unread) > MOST_NAMED else [])])
    return (
        f"{escape(files.folder)}: {len(unread)} of {len(files.pictures)} pictures could not be "
        f"read, the others were: {named}"
    )
