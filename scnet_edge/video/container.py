"""A video file, open, and which of its streams is the film."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeGuard

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from scnet_edge.errors import InputError, escape
from scnet_edge.video.damage import listen

MAX_PIXELS = 100_000_000
# What FFmpeg takes for video and is none: text, raw bytes, pictures, lists of other files.
NO_FILMS = frozenset({"tty", "bin", "xbin", "adf", "idf", "rawvideo", "hls", "dash", "concat"})
# A damaged JPEG is an error, and no picture with a torn end. HEVC may hold a checksum of pictures.
STRICT = {"mjpeg": {"err_detect": "explode"}, "hevc": {"err_detect": "crccheck"}}
OPTIONS = {"protocol_whitelist": "file", "analyzeduration": "20000000", "probesize": "50000000"}

# PyAV before 19 refuses a film with tags that are not UTF-8, unless told; 19 has no such option.
ANY_TAGS: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)


def open_container(path: Path) -> InputContainer:
    """Return a video file, open; InputError where FFmpeg knows none in it."""
    try:
        if not path.stat().st_size:
            raise InputError(f"{escape(path)}: empty file, expected a video")
        path.open("rb").close()
    except OSError as e:
        raise InputError(f"{escape(path)}: cannot be read ({e.strerror})") from e
    listen()
    try:
        container: InputContainer = av.open(f"file:{path}", options=OPTIONS, **ANY_TAGS)
    except av.error.FFmpegError as e:
        raise InputError(_no_film(path, f"({e.strerror}), or it is cut short")) from e
    return container


def video_stream(path: Path, container: InputContainer) -> VideoStream:
    """Return the stream of pictures of a video file; InputError where there is none."""
    stream = container.streams.best("video")
    if others := _films_in(container, than=stream):  # a cover picture may be the best
        stream = stream if _is_film(stream) else others[0]
    names = set(container.format.name.split(","))
    pictures = any(name.endswith("_pipe") for name in names)
    if not _is_film(stream) or pictures or names & NO_FILMS:
        container.close()
        raise InputError(_no_film(path, f"(a file of format {container.format.name})"))
    if stream.codec_context is None:  # which PyAV's types do not know
        container.close()  # type: ignore[unreachable]
        raise InputError(_no_film(path, "that it can decode, its beginning may be damaged"))
    strict = STRICT.get(stream.codec_context.name, {})
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS), **strict}
    stream.codec_context.thread_count = 1  # FFmpeg's H.264 marks damage only without slice threads
    return stream


def _films_in(container: InputContainer, *, than: Stream | None) -> list[VideoStream]:
    """Return the streams of moving pictures in a file, other than one."""
    return [stream for stream in container.streams.video if stream != than and _is_film(stream)]


def _is_film(stream: Stream | None) -> TypeGuard[VideoStream]:
    cover = av.stream.Disposition.attached_pic
    return isinstance(stream, VideoStream) and not stream.disposition & cover


def _no_film(path: Path, found: str) -> str:
    expected = "expected an image, a folder of images or a video"
    return f"{escape(path)}: {expected}, FFmpeg finds no video in it {found}; export it again"


def say_choice(container: InputContainer, stream: VideoStream) -> str:
    """Return which of a file's films is read, for people; empty where it is the only one."""
    count = 1 + len(_films_in(container, than=stream))
    place = sum(s.index <= stream.index for s in container.streams.video if _is_film(s))
    return f"{count} films in the file, number {place} is read" if count > 1 else ""
