"""Network cameras that speak RTSP, by FFmpeg through PyAV.

Nothing here has a deadline of its own: `camera` kills this process at the one that it was given.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from scnet_edge.data.frames import as_bgr
from scnet_edge.errors import InputError
from scnet_edge.types import Frame
from scnet_edge.video.damage import Damage, complaints, is_told, is_zeroed, listen
from scnet_edge.video.trouble import CameraTrouble
from scnet_edge.video.upright import Upright, look_of
from scnet_edge.video.uris import Camera

# Over TCP nothing is lost; without buffers a picture is as young as it can be.
RTSP_OPTIONS = {"rtsp_transport": "tcp", "fflags": "nobuffer", "analyzeduration": "500000"}


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
    upright, damage, codec = Upright[None](), Damage(), stream.codec_context.name
    packets = container.demux(stream)
    while packet := _next(packets):
        now_s = time.monotonic()
        if packet.is_corrupt or is_zeroed(packet, codec):
            damage.note(now_s, packet.pts)
        try:
            with complaints() as errors:
                frames = packet.decode()
        except av.error.FFmpegError:
            damage.note(now_s)
            yield None
            continue
        if is_told(errors, codec):
            damage.note(now_s, packet.pts)
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
