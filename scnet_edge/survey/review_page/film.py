"""The film beside a survey: in ranges for a browser that plays it, else picture by picture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from scnet_edge.errors import InputError
from scnet_edge.video.container import open_container, video_stream
from scnet_edge.video.still import read_still

PIECE_BYTES = 2 * 2**20  # of a film in one answer: a browser asks on
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
JPEG_QUALITY = 88
# Containers and codecs that browsers play, with the type that a page asks its browser for.
PLAYED = {
    ("mp4", "h264"): 'video/mp4; codecs="avc1.640028"',
    ("mp4", "av1"): 'video/mp4; codecs="av01.0.08M.08"',
    ("webm", "vp8"): 'video/webm; codecs="vp8"',
    ("webm", "vp9"): 'video/webm; codecs="vp9"',
    ("webm", "av1"): 'video/webm; codecs="av01.0.08M.08"',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmFile:
    """A film that is at hand.

    Attributes:
        kind: its type, for a browser; empty where none plays it.
        length_s: as the file states it; None where it does not.
    """

    path: Path
    kind: str
    length_s: float | None


def find_film(source: str, folder: Path) -> FilmFile | None:
    """Return the film that a survey was made of; None where it is not there, or was no film."""
    try:
        return open_film_file(folder / source)
    except InputError:
        return None


def open_film_file(path: Path) -> FilmFile:
    """Return a film that is at hand.

    Raises:
        InputError: it cannot be read, or holds no video.
    """
    container = open_container(path)
    with container:
        codec = video_stream(path, container).codec_context
        names = container.format.name.split(",")
        plain = codec.pix_fmt in ("yuv420p", "yuvj420p")
        kinds = [PLAYED.get((name, codec.name.removeprefix("lib"))) for name in names]
        kind = next(filter(None, kinds), "") if plain else ""
        duration = container.duration
    return FilmFile(path=path, kind=kind, length_s=duration / 1e6 if duration else None)


def send_piece(film: FilmFile, request: Request) -> Response:
    """Return the range of a film's bytes that is asked for, a piece at a time."""
    size = film.path.stat().st_size
    match = RANGE.fullmatch(request.headers.get("range", "bytes=0-"))
    if match is None or match[0] == "bytes=-":
        return _refuse_range(size)
    if match[1]:
        first = int(match[1])
        last = int(match[2]) if match[2] else size - 1
    else:
        first, last = max(0, size - int(match[2])), size - 1
    last = min(last, size - 1, first + PIECE_BYTES - 1)
    if first > last:
        return _refuse_range(size)
    with film.path.open("rb") as f:
        f.seek(first)
        piece = f.read(last - first + 1)
    headers = {"Content-Range": f"bytes {first}-{last}/{size}", "Accept-Ranges": "bytes"}
    return Response(piece, 206, headers, media_type=film.kind.partition(";")[0] or None)


def send_still(film: FilmFile, request: Request) -> Response:
    """Return the picture of a film at `?t=` seconds, as JPEG."""
    text = request.query_params.get("t", "")
    if not re.fullmatch(r"\d{1,7}(\.\d{1,6})?", text):
        return PlainTextResponse("Expected ?t=SECONDS.\n", 400)
    try:
        frame = read_still(film.path, float(text))
    except InputError as e:
        return PlainTextResponse(f"{e}\n", 404)
    _, jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return Response(jpeg.tobytes(), media_type="image/jpeg")


def _refuse_range(size: int) -> Response:
    return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
