"""Distance counters drawn over made films, and how they are read."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from scnet_edge.inspection.osd_counter import CounterPlace
from scnet_edge.inspection.osd_odometry import EVERY_S, Counter, read_counter
from scnet_edge.simulation.clip import render_clip
from scnet_edge.types import Frame

FPS, FRAMES, SIZE_HW = 25, 750, (576, 720)
NEAR_M = 0.05
COMBED = ("-vf", "tinterlace=interleave_top", "-flags", "+ilme+ildct", "-r", str(FPS))
Corner = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Style:
    """How an inspection system draws its counter.

    Attributes:
        form: of the metres, as `str.format` takes it.
        at: x and y of the lower left corner of the text.
        box: draw the text on a dark bar.
        codec: how FFmpeg writes the film.
        font: one of OpenCV's, or None for Pillow's own outline font.
        suffix: of the film.
        frames_per_s: that are drawn; an interlaced film shows two of them as one.
    """

    form: str
    at: Corner
    size: float
    box: bool
    codec: tuple[str, ...]
    font: int | None = cv2.FONT_HERSHEY_SIMPLEX
    suffix: str = ".mpg"
    frames_per_s: int = FPS


STYLES = {
    "bar": Style("{:06.2f} m", (40, 548), 0.9, True, ("-c:v", "mpeg2video", "-b:v", "4M")),
    "outlined": Style(
        "DIST {:05.2f}m", (480, 44), 0.8, False, ("-c:v", "mpeg2video", "-b:v", "3M")
    ),
    "interlaced": Style(
        "{:.2f} m",
        (560, 540),
        0.9,
        True,
        ("-c:v", "mpeg2video", "-b:v", "5M", "-flags", "+ilme+ildct", "-vf", "setfield=tff"),
    ),
    "small": Style(
        "{:.1f}m", (40, 40), 0.6, False, ("-c:v", "mpeg4", "-b:v", "1500k"), suffix=".avi"
    ),
    "combed": Style(
        "{:07.2f} m",
        (60, 540),
        0.9,
        False,
        (*("-c:v", "mpeg2video", "-b:v", "3M"), *COMBED),
        frames_per_s=2 * FPS,
    ),
    "outline font": Style(
        "{:.2f}m", (500, 60), 34, False, ("-c:v", "mpeg2video", "-b:v", "2M"), font=None
    ),
    "serif, DV": Style(
        "{:06.2f}",
        (60, 60),
        1.0,
        True,
        ("-c:v", "dvvideo", "-pix_fmt", "yuv420p"),
        font=cv2.FONT_HERSHEY_COMPLEX,
        suffix=".avi",
    ),
    "thin, WMV": Style(
        "{:.2f} m",
        (540, 540),
        1.8,
        False,
        ("-c:v", "wmv2", "-b:v", "1500k"),
        font=cv2.FONT_HERSHEY_PLAIN,
        suffix=".wmv",
    ),
}


def measure_counters(folder: Path) -> dict[str, Any]:
    """Return for every style how many of its readings are right, with and without its place."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {}
    for name, style in STYLES.items():
        film = folder / f"{name}{style.suffix}"
        shown, place = _write(film, style)
        rows[f"{name}, place given"] = _read(film, shown, place, style)
        rows[f"{name}, place found"] = _read(film, shown, None, style)
    asked, near = (sum(row[name] for row in rows.values()) for name in ("asked", "within"))
    return {"styles": rows, "within_share": round(near / asked, 4), "near_m": NEAR_M}


def _read(
    film: Path, shown: list[float], place: CounterPlace | None, style: Style
) -> dict[str, Any]:
    readings = read_counter(film, Counter(place=place)).readings
    rate = style.frames_per_s
    off_m = np.array(
        [abs(metres - shown[min(round(t * rate), FRAMES - 1)]) for t, metres in readings]
    )
    return {
        "asked": math.ceil(FRAMES * FPS / rate / math.ceil(EVERY_S * FPS)),
        "readings": len(readings),
        "within": int((off_m <= NEAR_M + 1e-9).sum()),
        "most_off_m": round(float(off_m.max(initial=0.0)), 3),
    }


def _write(film: Path, style: Style) -> tuple[list[float], CounterPlace]:
    """Write a film with a counter, and return the metres that each frame shows, and where."""
    shown = [
        float(style.form[style.form.index("{") : style.form.index("}") + 1].format(m))
        for m in _metres(style)
    ]
    size = f"{SIZE_HW[1]}x{SIZE_HW[0]}"
    source = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", size]
    source += ["-r", str(style.frames_per_s), "-i", "-"]
    command = ["ffmpeg", "-v", "error", "-y", *source, *style.codec, "-an", str(film)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as writer:
        assert writer.stdin is not None
        for frame, metres in zip(_frames(), _metres(style), strict=False):
            writer.stdin.write(_draw(frame, style.form.format(metres), style).tobytes())
    if writer.returncode:
        raise SystemExit(f"ffmpeg could not write {film}")
    (width, height), _ = _extent(style.form.format(100.0), style)
    x, y = style.at
    return shown, CounterPlace(x=x - 8, y=y - height - 10, width=width + 24, height=height + 22)


def _frames() -> Iterator[Frame]:
    """Yield a short drive, there and back, over and over."""
    clip = [frame for frame, _ in render_clip(60, SIZE_HW, seed=4)]
    while True:
        yield from clip
        yield from clip[::-1]


def _metres(style: Style) -> list[float]:
    """Return a drive: forward, a stop at a crack, on, a little back."""
    speeds = (0.12, 0.0, 0.2, -0.05, 0.15)
    steps = [speeds[i * len(speeds) // FRAMES] / style.frames_per_s for i in range(FRAMES)]
    return list(np.maximum(np.cumsum([9.2, *steps[1:]]), 0.0))


def _extent(text: str, style: Style) -> tuple[Corner, int]:
    if style.font is None:
        left, top, right, bottom = _outline_font(style).getbbox(text, anchor="ls")
        return (round(right - left), round(-top)), round(bottom)
    (width, height), base = cv2.getTextSize(text, style.font, style.size, 2)
    return (int(width), int(height)), int(base)


def _outline_font(style: Style) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(style.size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _draw(frame: Frame, text: str, style: Style) -> Frame:
    drawn, (x, y) = frame.copy(), style.at
    (width, height), _ = _extent(text, style)
    if style.box:
        drawn[y - height - 8 : y + 10, x - 6 : x + width + 6] = (60, 20, 20)
    if style.font is None:
        image = Image.fromarray(drawn)
        ImageDraw.Draw(image).text(
            style.at,
            text,
            "white",
            _outline_font(style),
            anchor="ls",
            stroke_width=2,
            stroke_fill="black",
        )
        return np.asarray(image)
    for colour, thickness in (((0, 0, 0), 5), ((255, 255, 255), 2)):
        cv2.putText(drawn, text, style.at, style.font, style.size, colour, thickness, cv2.LINE_AA)
    return drawn
