"""Pictures as a person would see them, against what was drawn and against known turns."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from films import wall, walls, woven, write_film

from scnet_edge.types import Frame
from scnet_edge.video.film import Picture, Remark, open_film

FULL, TV = 2, 1
BT709, BT601 = 1, 5


def frames_of(path: Path) -> list[Frame]:
    return [i.frame for i in open_film(path).items if isinstance(i, Picture)]


def apart(one: Frame, other: Frame) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def combing(frame: Frame) -> float:
    """Return how much more a row differs from the next than from the one after that."""
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY).astype(float)
    beside = np.abs(grey[2:] - 2 * grey[1:-1] + grey[:-2]).mean()
    return float(beside)


INTERLACED = [
    ("a.mpg", "mpeg2video", "yuv420p", {"b": "8M", "bf": "2"}),
    ("a.ts", "libx264", "yuv420p", {"crf": "16", "x264-params": "interlaced=1:tff=1"}),
    ("a.mov", "prores_ks", "yuv422p10le", {}),
    ("a.avi", "ffv1", "yuv420p", {}),
]


@pytest.mark.parametrize(("name", "codec", "pixel_format", "options"), INTERLACED)
def test_interlaced_pictures_are_as_sharp_as_progressive_ones(
    tmp_path: Path, name: str, codec: str, pixel_format: str, options: dict[str, str]
) -> None:
    fields = walls(20, (128, 160), step_px=3)
    path = write_film(
        tmp_path / name,
        woven(fields),
        codec,
        fps=25,
        interlaced=True,
        pixel_format=pixel_format,
        options=options,
    )
    items = list(open_film(path).items)
    found = [i for i in items if isinstance(i, Picture)]
    [said] = [i for i in items if isinstance(i, Remark)]
    assert "(as the file says): deinterlaced" in said.detail
    assert [i.time_s for i in found] == pytest.approx([i / 25 for i in range(10)], abs=0.001)
    for i, (picture, first_field, comb) in enumerate(
        zip(found, fields[::2], woven(fields), strict=True)
    ):
        assert apart(picture.frame, first_field) < 4, i
        assert combing(picture.frame) < 0.6 * combing(comb)


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [("a.avi", "mjpeg", "yuvj422p"), ("a.wmv", "wmv2", "yuv420p"), ("a.mp4", "libx264", "yuv420p")],
)
def test_interlaced_film_without_a_mark_is_told_by_its_combs(
    tmp_path: Path, name: str, codec: str, pixel_format: str
) -> None:
    """As recorders write it that know no mark, or whoever copied a DVD without a filter."""
    fields = walls(20, (576, 720), step_px=6)
    options = {"crf": "12"} if codec == "libx264" else {"qmin": "1", "qmax": "3", "b": "60M"}
    kinds = {"fps": 25, "pixel_format": pixel_format, "options": options}
    path = write_film(tmp_path / name, woven(fields), codec, **kinds)
    items = list(open_film(path).items)
    found = [i for i in items if isinstance(i, Picture)]
    [said] = [i for i in items if isinstance(i, Remark)]
    assert "top field first (found by its combs, the file does not say so)" in said.detail
    assert said.time_s < 0.2
    assert [i.time_s for i in found] == pytest.approx([i / 25 for i in range(10)], abs=0.002)
    for picture, comb, first_field in zip(found, woven(fields), fields[::2], strict=True):
        assert combing(picture.frame) < 0.6 * combing(comb)
        assert apart(picture.frame, first_field) < 4
    whole = write_film(tmp_path / f"whole-{name}", walls(10, (576, 720)), codec, **kinds)
    with av.open(str(whole)) as container:
        plain = [f.to_ndarray(format="bgr24") for f in container.decode(video=0)]
    for frame, expected in zip(frames_of(whole), plain, strict=True):
        assert combing(frame) > 0.98 * combing(expected)  # not blurred


def test_only_interlaced_pictures_are_touched(tmp_path: Path) -> None:
    moving = walls(10, (128, 160))
    still = write_film(tmp_path / "p.ts", moving, fps=25, options={"crf": "1"})
    fields = write_film(
        tmp_path / "i.ts",
        woven(walls(20, (128, 160), step_px=2)),
        fps=25,
        interlaced=True,
        options={"x264-params": "interlaced=1:tff=1"},
    )
    plain = frames_of(still)
    joined = tmp_path / "turns.ts"
    joined.write_bytes(still.read_bytes() + fields.read_bytes())
    found = [f for f in frames_of(joined) if f.size]
    assert len(found) >= 16
    for frame, expected in zip(found[:6], plain, strict=False):
        np.testing.assert_array_equal(frame, expected)
    assert combing(found[-1]) < 1.2 * combing(plain[-1])


@pytest.mark.parametrize(
    ("size_wh", "aspect", "square_wh"),
    [
        ((720, 576), Fraction(64, 45), (1024, 576)),
        ((720, 576), Fraction(16, 15), (768, 576)),
        ((720, 480), Fraction(8, 9), (640, 480)),
        ((720, 480), Fraction(32, 27), (853, 480)),
        ((704, 288), Fraction(6, 11), (704, 528)),
        ((320, 240), Fraction(1, 1), (320, 240)),
        ((320, 240), Fraction(100, 1), (320, 240)),  # a broken header
    ],
)
def test_pixels_are_made_square(
    tmp_path: Path, size_wh: tuple[int, int], aspect: Fraction, square_wh: tuple[int, int]
) -> None:
    canvas = np.full((square_wh[1], square_wh[0], 3), 200, np.uint8)
    centre, radius = (square_wh[0] // 2, square_wh[1] // 2), square_wh[1] // 3
    cv2.circle(canvas, centre, radius, (40, 40, 40), -1)
    coded = cv2.resize(canvas, size_wh, interpolation=cv2.INTER_AREA)
    path = write_film(tmp_path / "a.mp4", [coded] * 3, pixel_aspect=aspect)
    frame = frames_of(path)[0]
    assert frame.shape[1::-1] == square_wh
    dark = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) < 120
    across, down = dark.any(axis=0).sum(), dark.any(axis=1).sum()
    assert across == pytest.approx(2 * radius, abs=3)
    assert down == pytest.approx(2 * radius, abs=3)


def test_an_aspect_that_changes_within_a_stream(tmp_path: Path) -> None:
    parts = []
    for aspect in (Fraction(16, 15), Fraction(64, 45)):
        path = tmp_path / f"{aspect.numerator}.mpg"
        write_film(
            path, walls(6, (96, 120)), "mpeg2video", fps=25, pixel_aspect=aspect, format="vob"
        )
        parts.append(path.read_bytes())
    (tmp_path / "joined.mpg").write_bytes(b"".join(parts))
    widths = [frame.shape[1] for frame in frames_of(tmp_path / "joined.mpg") if frame.size]
    assert widths[0] == 128
    assert widths[-1] == 171


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_phone_s_picture_is_upright(tmp_path: Path, turns: int, mirrored: bool) -> None:
    drawn = wall(0, (96, 128))
    path = write_film(tmp_path / "a.mp4", [drawn] * 3, rotation_deg=90 * turns, mirrored=mirrored)
    frame = frames_of(path)[0]
    expected = np.rot90(drawn, turns)  # counter-clockwise, as the container's matrix was made
    if mirrored:
        expected = expected[:, ::-1]
    assert frame.shape == expected.shape
    assert apart(frame, expected) < 4
    assert frame.flags.c_contiguous


def test_a_turned_picture_has_its_pixels_made_square_before(tmp_path: Path) -> None:
    path = write_film(
        tmp_path / "a.mp4", walls(3, (96, 120)), pixel_aspect=Fraction(16, 15), rotation_deg=90
    )
    film = open_film(path)
    assert [i.frame.shape[:2] for i in film.items if isinstance(i, Picture)] == [(128, 96)] * 3
    assert film.changed.endswith("pixels 16:15 made square: 128x96 px, turned upright")


COLOURS = [
    ("yuv444p", "ffv1", BT601, TV),
    ("yuv444p", "ffv1", BT709, TV),
    ("yuv422p10le", "ffv1", BT709, TV),
    ("yuv420p", "libx264", BT709, TV),
    ("yuv420p", "libx264", BT601, FULL),
    ("yuv420p10le", "libx264", BT709, TV),
    ("yuvj420p", "mjpeg", None, None),
    ("yuvj422p", "mjpeg", None, None),
    ("yuv444p", "ffv1", None, None),
    ("yuv411p", "ffv1", None, None),
    ("bgr0", "ffv1", None, None),
    ("gbrp10le", "ffv1", None, None),
    ("gray", "ffv1", None, None),
    ("gray10le", "ffv1", None, None),
    ("gray16le", "ffv1", None, None),
    ("bgr24", "rawvideo", None, None),
    ("yuyv422", "rawvideo", None, None),
    ("nv12", "rawvideo", None, None),
    ("rgb565le", "rawvideo", None, None),
]


@pytest.mark.parametrize(("pixel_format", "codec", "colorspace", "color_range"), COLOURS)
@pytest.mark.parametrize("interlaced", [False, True])  # by way of the deinterlacer, too
def test_colours_are_those_that_were_filmed(
    tmp_path: Path,
    pixel_format: str,
    codec: str,
    colorspace: int | None,
    color_range: int | None,
    interlaced: bool,
) -> None:
    patches = [(30, 40, 200), (200, 60, 30), (40, 180, 60), (16, 16, 16), (240, 240, 240)]
    if pixel_format.startswith("gray"):
        patches = [(level,) * 3 for level in (10, 60, 128, 200, 250)]
    drawn = np.zeros((64, 320, 3), np.uint8)
    for i, colour in enumerate(patches):
        drawn[:, 64 * i : 64 * (i + 1)] = colour
    path = write_film(
        tmp_path / ("a.mkv" if codec != "rawvideo" else "a.nut"),
        [drawn] * 3,
        codec,
        pixel_format=pixel_format,
        colorspace=colorspace,
        color_range=color_range,
        interlaced=interlaced and codec != "mjpeg",
        options={"libx264": {"crf": "4"}, "mjpeg": {"qmin": "1"}}.get(codec, {}),
    )
    frames = frames_of(path)
    assert len(frames) == 3
    for i, colour in enumerate(patches):
        middle = frames[1][24:40, 64 * i + 24 : 64 * i + 40].reshape(-1, 3).astype(int)
        far = np.abs(middle - colour).max()
        assert far <= (9 if "565" in pixel_format else 4), (colour, middle[0])


def bgr_by_the_standard(planes: list[int], matrix: int | None, color_range: int | None) -> Frame:
    """Return the colour of one Y, Cb, Cr by BT.601 or BT.709, as the standards have it."""
    red, blue = (0.2126, 0.0722) if matrix == BT709 else (0.299, 0.114)
    y, cb, cr = planes[0] - 16.0, planes[1] - 128.0, planes[2] - 128.0
    if color_range == FULL:
        y += 16
    else:
        y, cb, cr = y * 255 / 219, cb * 255 / 224, cr * 255 / 224
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    g = (y - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.round([b, g, r]), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p"])
@pytest.mark.parametrize("matrix", [None, BT601, BT709])
@pytest.mark.parametrize("color_range", [None, TV, FULL])
def test_grey_levels_are_those_of_the_standard(
    tmp_path: Path, pixel_format: str, matrix: int | None, color_range: int | None
) -> None:
    """FFmpeg's fast way rounds down: 1 grey level too dark in the mean, 3 at most."""
    side_px, shades = 16, [(y, 128, 128) for y in range(20, 230, 7)]
    colours = [*shades, (90, 110, 150), (150, 140, 105), (60, 128, 140), (200, 120, 128)]
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = side_px, side_px * len(colours)
        stream.pix_fmt = pixel_format
        frame = av.VideoFrame(stream.width, side_px, pixel_format)
        if matrix is not None:
            stream.codec_context.colorspace = frame.colorspace = matrix
        if color_range is not None:
            stream.codec_context.color_range = frame.color_range = color_range
        for number, plane in enumerate(frame.planes):
            row = np.repeat([colour[number] for colour in colours], plane.width // len(colours))
            rows = np.zeros((plane.height, plane.line_size), np.uint8)
            rows[:, : plane.width] = row
            plane.update(rows.tobytes())
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    [found] = frames_of(path)
    for i, colour in enumerate(colours):
        middle = found[4:12, side_px * i + 6 : side_px * i + 10].astype(int)
        expected = bgr_by_the_standard(list(colour), matrix, color_range)
        assert np.abs(middle - expected).max() <= 1, colour
        if i < len(shades):
            assert (middle == expected).all(), colour


@pytest.mark.parametrize(
    ("name", "size_hw", "fps", "pixel_format", "square_hw"),
    [
        ("pal.avi", (576, 720), Fraction(25), "yuv420p", (576, 768)),
        ("pal.dv", (576, 720), Fraction(25), "yuv420p", (576, 768)),
        ("ntsc.avi", (480, 720), Fraction(30000, 1001), "yuv411p", (480, 640)),
    ],
)
def test_dv_is_interlaced_and_not_square(
    tmp_path: Path,
    name: str,
    size_hw: tuple[int, int],
    fps: Fraction,
    pixel_format: str,
    square_hw: tuple[int, int],
) -> None:
    frames = walls(4, size_hw)
    path = write_film(
        tmp_path / name, frames, "dvvideo", fps=fps, pixel_format=pixel_format, interlaced=True
    )
    film = open_film(path)
    items = list(film.items)
    found = [i for i in items if isinstance(i, Picture)]
    assert film.fps == pytest.approx(float(fps))
    assert "deinterlaced" in {i.kind for i in items if isinstance(i, Remark)}
    assert [i.frame.shape[:2] for i in found] == [square_hw] * 4
    assert [i.time_s for i in found] == pytest.approx([i / fps for i in range(4)], abs=0.001)
    wide = cv2.resize(frames[2], square_hw[::-1], interpolation=cv2.INTER_CUBIC)
    assert apart(found[2].frame, wide) < 5


@pytest.mark.parametrize(
    "colours", [(65, 66, 67), (1, 1, 8), (1, 1, 14), (0, 1, 1), (1, 9, 1), (3, 3, 3)], ids=str
)
def test_colours_that_ffmpeg_cannot_turn_leave_light_and_dark(
    tmp_path: Path, colours: tuple[int, int, int]
) -> None:
    """Primaries, curve and matrix of MPEG-2's display extension, as damage or a camera writes."""
    drawn = walls(3)
    path = write_film(tmp_path / "a.m2v", drawn, "mpeg2video", fps=25, colorspace=1)
    data = bytearray(path.read_bytes())
    extension = re.compile(rb"\0\0\x01\xb5[\x20-\x2f]")  # its number is 2
    places = [found.start() for found in extension.finditer(data)]
    for place in places:
        assert data[place + 4] & 1, "the colours are described"
        data[place + 5 : place + 8] = bytes(colours)
    path.write_bytes(data)
    pictures = [item for item in open_film(path).items if isinstance(item, Picture)]
    assert places
    assert len(pictures) == len(drawn)
    for picture, frame in zip(pictures, drawn, strict=True):
        grey = [
            cv2.cvtColor(each, cv2.COLOR_BGR2GRAY).astype(int) for each in (picture.frame, frame)
        ]
        assert np.abs(grey[0] - grey[1]).mean() < 8
