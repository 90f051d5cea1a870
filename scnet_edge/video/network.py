"""Network cameras: RTSP by FFmpeg through PyAV, and Motion JPEG over HTTP.

Nothing here has a deadline of its own: `camera` kills this process at the one that it was given.
The parts of a multipart stream are checked before a decoder sees them. FFmpeg's own reader of
Motion JPEG is not used, for it gives a picture only once the next one begins, and one to three
pictures of a stream never (measured with PyAV 18.1, without probing).
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from email.message import Message
from typing import IO
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from scnet_edge.data.frames import as_bgr
from scnet_edge.data.pictures import decode_image
from scnet_edge.errors import InputError
from scnet_edge.types import Frame
from scnet_edge.video.damage import Damage, complaints, is_told, is_zeroed, listen
from scnet_edge.video.shared_frames import CameraTrouble
from scnet_edge.video.upright import Upright, look_of
from scnet_edge.video.uris import Camera

# Over TCP nothing is lost; without buffers a picture is as young as it can be.
RTSP_OPTIONS = {"rtsp_transport": "tcp", "fflags": "nobuffer", "analyzeduration": "500000"}
MAX_PART_BYTES = 2**25
MAX_HEADER_LINES = 64
MAX_LINE_BYTES = 65_536
LIVE_MAX_PIXELS = 36_000_000  # the largest sensor on a robot; a header that says more is a lie


def rtsp_frames(camera: Camera) -> Generator[Frame | None]:
    """Yield a stream's pictures, (h, w, 3) uint8 BGR; None for a damaged one.

    Each has its own size: interlaced ones are deinterlaced, pixels are made square.

    Raises:
        CameraTrouble: nobody answers, the answer is no video, or it ends.
    """
    with _open(camera) as container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            raise CameraTrouble("format", "the stream has no video in it")
        stream.codec_context.thread_count = 1  # a thread more is a picture's delay more
        yield from _decode(container, stream)
    raise CameraTrouble("ended", "the camera gives no more frames")


def _open(camera: Camera) -> InputContainer:
    listen()
    try:
        return av.open(camera.target, options=RTSP_OPTIONS)
    except av.error.FFmpegError as e:
        detail = f"no video stream there, or the password is wrong ({e.strerror})"
        raise CameraTrouble("unreachable", detail) from e


def _decode(container: InputContainer, stream: VideoStream) -> Generator[Frame | None]:
    upright, damage = Upright[None](live=True), Damage(stream.codec_context)
    codec = stream.codec_context.name
    packets = container.demux(stream)
    while packet := _next(packets):
        now_s = time.monotonic()
        damage.begin(packet, now_s)
        if packet.is_corrupt or is_zeroed(packet, codec):
            damage.note(now_s, torn=True)
        try:
            with complaints() as errors:
                frames = packet.decode()
        except av.error.FFmpegError:
            damage.note(now_s)
            yield None
            continue
        if is_told(errors, codec):
            damage.note(now_s, torn=True)
        for frame in frames:
            if damage.touches(frame, now_s):
                yield None
                continue
            look = look_of(frame, stream.codec_context.sample_aspect_ratio)
            for _, picture in upright.push(frame, look, None):
                yield _usable(picture)


def _next(packets: Iterator[Packet[VideoStream]]) -> Packet[VideoStream] | None:
    try:
        return next(packets, None)
    except av.error.FFmpegError as e:
        raise CameraTrouble("ended", f"the stream broke off ({e.strerror})") from e


def _usable(picture: Frame) -> Frame | None:
    try:
        return as_bgr(picture)
    except InputError:
        return None


def mjpeg_frames(url: str) -> Generator[Frame | None]:
    """Yield the pictures of a `multipart/x-mixed-replace` stream; None for a damaged one.

    A user name and password in the URL answer Basic and Digest authentication. It waits for as long
    as it is let: the deadlines are `camera`'s.

    Raises:
        CameraTrouble: nobody answers, the answer is no such stream, or it ends.
    """
    try:
        with _open_url(url) as response:
            for part in _parts(response, _boundary(response.headers)):
                yield _picture(part)
    except urllib.error.HTTPError as e:
        raise CameraTrouble("refused", f"HTTP status {e.code} {e.reason}") from e
    except (OSError, http.client.HTTPException) as e:
        raise CameraTrouble("unreachable", f"{getattr(e, 'reason', e)}") from e
    raise CameraTrouble("ended", "the stream ended")


def _open_url(url: str) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=_host(parts)))
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    if parts.username is not None:
        name, password = unquote(parts.username), unquote(parts.password or "")
        passwords.add_password(None, bare, name, password)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),  # a camera is on the robot's own network
        urllib.request.HTTPBasicAuthHandler(passwords),
        urllib.request.HTTPDigestAuthHandler(passwords),
    )
    response: http.client.HTTPResponse = opener.open(bare)
    return response


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _boundary(headers: Message) -> bytes:
    kind, boundary = headers.get_content_type(), headers.get_boundary()
    if not kind.startswith("multipart/") or not boundary:
        raise CameraTrouble(
            "format", f"expected a multipart stream of JPEG pictures, found {kind}", hopeless=True
        )
    return b"--" + boundary.removeprefix("--").encode()


def _parts(stream: IO[bytes], boundary: bytes) -> Generator[bytes]:
    """Yield the body of each part until the stream ends."""
    line = stream.readline(MAX_LINE_BYTES)
    while line:
        if not line.startswith(boundary):
            line = stream.readline(MAX_LINE_BYTES)
            continue
        if line.rstrip() == boundary + b"--":
            return
        length = _read_headers(stream)
        if length is None:
            part, line = _read_until(stream, boundary)
        else:
            part, line = stream.read(length), stream.readline(MAX_LINE_BYTES)
        yield part


def _read_headers(stream: IO[bytes]) -> int | None:
    """Return the length that a part states; None where it states none."""
    length = None
    for _ in range(MAX_HEADER_LINES):
        line = stream.readline(MAX_LINE_BYTES).strip()
        if not line:
            break
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = int(value)
    return None if length is None else _check_length(length)


def _read_until(stream: IO[bytes], boundary: bytes) -> tuple[bytes, bytes]:
    """Return what lies before the next boundary, and the line of that boundary."""
    lines, size = [], 0
    while (line := stream.readline(MAX_LINE_BYTES)) and not line.startswith(boundary):
        lines.append(line)
        size = _check_length(size + len(line))
    return b"".join(lines), line


def _check_length(length: int) -> int:
    if length > MAX_PART_BYTES:
        raise CameraTrouble("format", f"a picture of {length} bytes, at most {MAX_PART_BYTES}")
    return length


def _picture(part: bytes) -> Frame | None:
    try:
        return decode_image(part, where="picture", max_pixels=LIVE_MAX_PIXELS)
    except InputError:
        return None
