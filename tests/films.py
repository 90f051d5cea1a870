"""Films made for the tests, by FFmpeg's own encoders through PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from scnet_edge.types import Frame

MS = Fraction(1, 1000)


def wall(index: int = 0, size_hw: tuple[int, int] = (96, 128), *, step_px: int = 4) -> Frame:
    """Return a wall with one dark crack, which has moved left by so many steps."""
    rng = np.random.default_rng(7)
    height_px, width_px = size_hw
    wide_px = 4 * width_px
    coarse = rng.normal(0, 1, (height_px // 8, wide_px // 8)).astype(np.float32)
    grey = 145 + 9 * cv2.resize(coarse, (wide_px, height_px), interpolation=cv2.INTER_CUBIC)
    x = np.arange(20, wide_px - 20, 12)
    y = np.clip(height_px / 2 + np.cumsum(rng.normal(0, 5, len(x))), 12, height_px - 12)
    points = np.stack([x, y], 1).astype(np.int32)
    cv2.polylines(grey, [points], False, 45.0, 3, cv2.LINE_AA)
    left_px = (index * step_px) % (wide_px - width_px)
    seen = np.clip(cv2.GaussianBlur(grey, (0, 0), 0.8), 0, 255).astype(np.uint8)
    seen = seen[:, left_px : left_px + width_px]
    return np.ascontiguousarray(cv2.merge([seen, seen, np.minimum(seen, 251) + 4]))


def walls(count: int, size_hw: tuple[int, int] = (96, 128), *, step_px: int = 4) -> list[Frame]:
    return [wall(i, size_hw, step_px=step_px) for i in range(count)]


def woven(fields: Sequence[Frame]) -> list[Frame]:
    """Return half as many frames: the even rows of one picture, the odd rows of the next."""
    frames = []
    for top, bottom in zip(fields[::2], fields[1::2], strict=True):
        frame = top.copy()
        frame[1::2] = bottom[1::2]
        frames.append(frame)
    return frames


def write_film(
    path: Path,
    frames: Sequence[Frame],
    codec: str = "libx264",
    *,
    fps: Fraction | int = 10,
    times_s: Sequence[float] | None = None,
    pixel_format: str = "yuv420p",
    pixel_aspect: Fraction | None = None,
    interlaced: bool = False,
    rotation_deg: int | None = None,
    mirrored: bool = False,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    format: str | None = None,
    colorspace: int | None = None,
    color_range: int | None = None,
) -> Path:
    """Write frames, (h, w, 3) uint8 BGR; at `times_s` where given."""
    with av.open(str(path), "w", format=format, options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        if times_s is not None:
            stream.time_base = stream.codec_context.time_base = MS
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation_deg is not None:
            stream.set_display_rotation(rotation_deg, hflip=mirrored)
        if interlaced:
            stream.codec_context.flags |= 0x00040000 | 0x20000000  # interlaced DCT and motion
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        if color_range is not None:
            stream.codec_context.color_range = color_range
        mark = _field_marker(frames[0].shape, pixel_format) if interlaced else None
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
            frame = frame.reformat(
                format=pixel_format, dst_colorspace=colorspace, dst_color_range=color_range
            )
            if mark is not None:
                mark.vpush(frame)
                frame = mark.vpull()
            if times_s is None:
                frame.pts, frame.time_base = i, 1 / Fraction(fps)
            else:
                frame.pts, frame.time_base = round(1000 * times_s[i]), MS
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _field_marker(shape: tuple[int, ...], pixel_format: str) -> av.filter.Graph:
    graph = av.filter.Graph()
    size = f"video_size={shape[1]}x{shape[0]}:pix_fmt={pixel_format}:time_base=1/1000"
    nodes = [graph.add("buffer", size), graph.add("setfield", "tff"), graph.add("buffersink")]
    graph.link_nodes(*nodes).configure()
    return graph
