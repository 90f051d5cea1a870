"""Picture files as cameras and phones write them, against the pixels that were put in."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from scnet_edge.data import tiff_pieces
from scnet_edge.data.exif import photograph_of
from scnet_edge.data.pictures import decode_image, read_image, read_picture, read_size, turn
from scnet_edge.errors import InputError

SIZE = (48, 64)
RNG = np.random.default_rng(0)
SMOOTH = np.asarray(cv2.resize(RNG.integers(0, 256, (6, 8, 3), np.uint8), SIZE[::-1]), np.uint8)
RGB = SMOOTH[..., ::-1]


def encoded(format: str, pixels: np.ndarray = RGB, mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    image = Image.fromarray(pixels)
    (image if mode == "RGB" else image.convert(mode)).save(out, format, **options)
    return out.getvalue()


@pytest.fixture
def heif() -> None:
    pytest.importorskip("pillow_heif", reason="pillow-heif is not installed").register_heif_opener()


@pytest.mark.parametrize(
    ("format", "options", "error"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("PPM", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 4),
        ("JPEG", {"quality": 95}, 3),
        ("JPEG", {"quality": 95, "progressive": True}, 3),
        ("JPEG2000", {}, 1),
        ("AVIF", {"quality": 95}, 4),
        ("HEIF", {"quality": 95}, 7),
    ],
)
@pytest.mark.usefixtures("heif")
def test_every_format_whatever_the_file_is_called(
    tmp_path: Path, format: str, options: dict[str, Any], error: float
) -> None:
    (tmp_path / "IMG_1.JPG").write_bytes(encoded(format, **options))
    frame = read_image(tmp_path / "IMG_1.JPG")
    assert frame.shape == (*SIZE, 3)
    assert frame.flags.c_contiguous
    assert np.abs(frame.astype(int) - SMOOTH).mean() <= error


@pytest.mark.parametrize(
    ("format", "mode"),
    [
        *(("PNG", mode) for mode in ("L", "LA", "RGBA", "P", "1")),
        *(("TIFF", mode) for mode in ("CMYK", "YCbCr")),
        *(("JPEG", mode) for mode in ("CMYK", "L")),
        ("WEBP", "RGBA"),
    ],
)
def test_every_mode_becomes_bgr(format: str, mode: str) -> None:
    expected = np.asarray(Image.fromarray(RGB).convert(mode).convert("RGB"))[..., ::-1]
    options = {"quality": 95} if format == "JPEG" else {"lossless": True} if mode == "RGBA" else {}
    found = decode_image(encoded(format, mode=mode, **options), where="x")
    assert np.abs(found.astype(int) - expected).mean() < (12 if format == "JPEG" else 1.5)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_orientation_is_applied_in_every_format(
    tmp_path: Path, orientation: int, format: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {"quality": 95}
    (tmp_path / "x").write_bytes(encoded(format, exif=exif, **options))
    upright = turn(SMOOTH, orientation)
    frame = read_image(tmp_path / "x")
    assert frame.shape == upright.shape
    assert np.abs(frame.astype(int) - upright).mean() < 4
    assert read_size(tmp_path / "x") == (upright.shape[:2], orientation)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_values_of_10_to_16_bits_are_scaled_by_what_they_use(
    tmp_path: Path, bits: int, channels: int, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    eight = SMOOTH[..., :channels].squeeze()
    deep = eight.astype(np.uint16) << (bits - 8)
    deep[0, 0] = (1 << bits) - 1
    cv2.imwrite(str(tmp_path / f"x{suffix}"), deep)
    frame = read_image(tmp_path / f"x{suffix}")
    assert np.array_equal(frame[1:, :, :channels].squeeze(), eight[1:])
    assert (f"end below {1 << bits} are taken for {bits} bits" in caplog.text) == (bits < 16)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_a_png_that_says_how_many_bits_it_uses_is_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dark = np.full(SIZE, 100, np.uint16)  # of 4095: nearly black
    data = cv2.imencode(".png", dark)[1].tobytes()
    (tmp_path / "x.png").write_bytes(data[:33] + chunk(b"sBIT", b"\x0c") + data[33:])
    assert (read_image(tmp_path / "x.png") == 100 >> 4).all()
    assert not caplog.messages


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_deep_pictures_are_turned_too(tmp_path: Path, orientation: int) -> None:
    tifffile = pytest.importorskip("tifffile", reason="comes with scikit-image")
    deep = SMOOTH.astype(np.uint16)[..., ::-1] * 257
    tags = [(274, "H", 1, orientation, True)]
    for pixels in (deep, deep[..., 0]):
        kind = "rgb" if pixels.ndim == 3 else "minisblack"
        tifffile.imwrite(tmp_path / "x.tif", pixels, photometric=kind, extratags=tags)
        expected = turn(SMOOTH if pixels.ndim == 3 else SMOOTH[..., 2:], orientation)
        assert np.array_equal(
            read_image(tmp_path / "x.tif"), np.broadcast_to(expected, (*expected.shape[:2], 3))
        )


@pytest.mark.parametrize(
    "format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "JPEG2000", "AVIF", "HEIF"]
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.usefixtures("heif")
def test_a_truncated_file_is_one_line_that_names_it(
    tmp_path: Path, format: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = encoded(format, np.kron(RGB, np.ones((4, 4, 1), np.uint8)))
    (tmp_path / "a.jpg").write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=r"a\.jpg: ") as caught:
        read_image(tmp_path / "a.jpg")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # libraries keep quiet


def test_a_card_that_lost_the_end_leaves_zeros(tmp_path: Path) -> None:
    data = encoded("JPEG", np.kron(RGB, np.ones((4, 4, 1), np.uint8)))
    half = len(data) // 2
    (tmp_path / "a.jpg").write_bytes(data[:half] + bytes(len(data) - half))
    with pytest.raises(InputError, match=r"a\.jpg: truncated"):
        read_image(tmp_path / "a.jpg")


def lossless_jpeg(grey: np.ndarray) -> bytes:
    """Return (h, w) uint16 as a lossless JPEG (ITU-T T.81, SOF3), each pixel by its left one."""
    height, width = grey.shape
    values = grey.astype(int)
    before = np.roll(values, 1, axis=1)
    before[:, 0] = np.concatenate([[1 << 15], values[:-1, 0]])
    bits = []
    for step in (values - before).ravel().tolist():
        size = abs(step).bit_length()  # its code is itself, of 5 bits
        low = step if step > 0 else step + (1 << size) - 1
        bits.append(f"{size:05b}" + (f"{low:0{size}b}" if size else ""))
    line = "".join(bits)
    line += "1" * (-len(line) % 8)
    data = int(line, 2).to_bytes(len(line) // 8, "big").replace(b"\xff", b"\xff\0")
    frame = struct.pack(">HBHHB", 11, 16, height, width, 1) + b"\1\x11\0"
    codes = bytes([0] * 4 + [17] + [0] * 11 + list(range(17)))
    table = struct.pack(">HB", 3 + len(codes), 0) + codes
    scan = struct.pack(">HB", 8, 1) + b"\1\0\1\0\0"
    return (
        b"\xff\xd8\xff\xc3" + frame + b"\xff\xc4" + table + b"\xff\xda" + scan + data + b"\xff\xd9"
    )


def dng_of(grey: np.ndarray, orientation: int = 1, *, packed: bool = False) -> bytes:
    """Return (h, w) uint16 as a DNG: each pixel of an RGGB mosaic has its grey, in linear light."""
    height, width = grey.shape
    pixels = lossless_jpeg(grey) if packed else grey.astype("<u2").tobytes()
    xyz_to_rgb = (32405, -15371, -4985, -9693, 18760, 416, 556, -2040, 10572)  # ten-thousandths
    tags: list[tuple[int, str, tuple[int, ...] | bytes]] = [
        *((256, "I", (width,)), (257, "I", (height,)), (258, "H", (16,))),
        (259, "H", (7 if packed else 1,)),
        *((262, "H", (32803,)), (271, "s", b"maker\0"), (272, "s", b"camera\0")),
        *((273, "I", ()), (274, "H", (orientation,)), (277, "H", (1,)), (278, "I", (height,))),
        *((279, "I", (len(pixels),)), (33421, "H", (2, 2)), (33422, "B", (0, 1, 1, 2))),
        *((50706, "B", (1, 4, 0, 0)), (50708, "s", b"camera\0"), (50714, "H", (0,))),
        (50717, "H", (65535,)),
        (50721, "i", tuple(v for x in xyz_to_rgb for v in (x, 10_000))),
        *((50728, "q", (1, 1) * 3), (50778, "H", (21,))),
    ]
    kinds = {
        "I": (4, "I"),
        "H": (3, "H"),
        "B": (1, "B"),
        "s": (2, ""),
        "i": (10, "i"),
        "q": (5, "I"),
    }
    at, entries, rest = 8 + 2 + 12 * len(tags) + 4, [], b""
    for tag, kind, values in tags:
        number, code = kinds[kind]
        raw = values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{code}", *values)
        count = len(values) // (2 if kind in "iq" else 1)
        if not values:  # where the pixels are: behind all the others
            count, raw = 1, b"HERE"
        elif len(raw) > 4:
            where, rest = at + len(rest), rest + raw + b"\0" * (len(raw) % 2)
            raw = struct.pack("<I", where)
        entries.append(struct.pack("<HHI", tag, number, count) + raw.ljust(4, b"\0"))
    directory = struct.pack("<H", len(tags)) + b"".join(entries) + bytes(4) + rest
    directory = directory.replace(b"HERE", struct.pack("<I", 8 + len(directory)))
    return b"II*\0" + struct.pack("<I", 8) + directory + pixels


def test_a_dng_is_developed_upright(tmp_path: Path) -> None:
    pytest.importorskip("rawpy", reason="the extra photos is not installed")
    grey = np.full((96, 128), 30_000, np.uint16)
    grey[40:50] = 3_000
    path = tmp_path / "a.dng"
    path.write_bytes(dng_of(grey))
    frame = read_image(path)
    assert frame.shape == (96, 128, 3)
    for row, linear in ((10, 30_000 / 65_535), (45, 3_000 / 65_535)):
        curved = 255 * (1.099 * linear**0.45 - 0.099)  # as ITU-R BT.709 has it
        np.testing.assert_allclose(frame[row, 64], curved, atol=4)
    path.write_bytes(dng_of(grey, orientation=6))
    turned_frame = read_image(path)
    assert read_size(path) == ((128, 96), 1)
    np.testing.assert_allclose(turned_frame[64, 96 - 1 - 45], frame[45, 64], atol=2)


@pytest.mark.parametrize("packed", [False, True])
def test_a_dng_that_was_cut_is_refused(tmp_path: Path, packed: bool) -> None:
    """LibRaw develops a cut one that is packed as lossless JPEG, and says nothing."""
    pytest.importorskip("rawpy", reason="the extra photos is not installed")
    rng = np.random.default_rng(0)
    grey = rng.integers(20_000, 40_000, (96, 128)).astype(np.uint16)
    data = dng_of(grey, packed=packed)
    path = tmp_path / "a.dng"
    path.write_bytes(data)
    np.testing.assert_allclose(read_image(path), decode_image(dng_of(grey), where="a"), atol=1)
    for share in (0.3, 0.7, 0.95):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(InputError, match=r"a\.dng: truncated image of \d+ bytes"):
            read_image(path)


def test_a_dng_that_claims_any_size_is_not_developed() -> None:
    pytest.importorskip("rawpy", reason="the extra photos is not installed")
    data = dng_of(np.full((96, 128), 30_000, np.uint16))
    for tag, side in ((256, 128), (257, 96)):
        entry = struct.pack("<HHII", tag, 4, 1, side)
        assert entry in data
        data = data.replace(entry, struct.pack("<HHII", tag, 4, 1, 40_000))
    with pytest.raises(InputError, match="40000x40000 px, expected at most 100 megapixels"):
        decode_image(data, where="a")


def test_tables_that_claim_the_whole_file_many_times_cost_no_more_than_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables, tags, size = 32, 1000, 800_000
    data, at = bytearray(size), 8
    data[:8] = struct.pack("<2sHI", b"II", 42, at)
    for _ in range(tables):
        claim = struct.pack("<HHII", 273, 4, size // 4, 0) + struct.pack("<HHII", 279, 4, 9, 0)
        table = struct.pack("<H", tags) + claim * (tags // 2)
        data[at : at + len(table) + 4] = table + struct.pack("<I", at + len(table) + 4)
        at += len(table) + 4
    read, numbers = [0], tiff_pieces._numbers

    def count(*asked: Any) -> Sequence[int]:
        found = numbers(*asked)
        read[0] += len(found)
        return found

    monkeypatch.setattr(tiff_pieces, "_numbers", count)
    assert tiff_pieces.pieces_end(bytes(data)) >= size // 4
    assert read[0] < tiff_pieces.MOST_NUMBERS + 10 * tables * tags


def test_without_rawpy_a_dng_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(InputError, match=r"a: a DNG picture needs rawpy; .*\[photos\]"):
        decode_image(dng_of(np.full((32, 32), 30_000, np.uint16)), where="a")


def test_a_stack_of_pictures_is_refused(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile", reason="comes with scikit-image")
    tifffile.imwrite(tmp_path / "x.tif", np.stack([RGB, RGB]), photometric="rgb")
    with pytest.raises(InputError, match=r"x\.tif: holds several pictures, expected one"):
        read_image(tmp_path / "x.tif")
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    frames[0].save(tmp_path / "x.webp", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="holds 2 pictures"):
        read_image(tmp_path / "x.webp")


def test_without_pillow_heif_the_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(InputError, match=r"a\.heic: .*\[photos\]"):
        read_image(tmp_path / "a.heic")


def exif_of(camera: dict[int, Any], gps: dict[int, Any]) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "Acme"
    exif.get_ifd(0x8769).update(camera)
    exif.get_ifd(0x8825).update(gps)
    return exif


NORTH_EAST = {1: "N", 2: (50.0, 0.0, 1.0), 3: "E", 4: (6.0, 30.0, 0.0)}
TAKEN = {0x9003: "2024:05:06 07:08:09"}


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "PNG", "AVIF", "HEIF"])
@pytest.mark.usefixtures("heif")
def test_time_and_place_are_read_in_every_format(tmp_path: Path, format: str) -> None:
    (tmp_path / "x.jpg").write_bytes(encoded(format, exif=exif_of(TAKEN, NORTH_EAST)))
    photograph = read_picture(tmp_path / "x.jpg", label="day 2/x.jpg").photograph
    assert photograph.file == "day 2/x.jpg"
    assert photograph.taken == "2024-05-06T07:08:09"
    assert photograph.utc_ns is None  # nobody knows the zone
    assert photograph.lonlat == pytest.approx((6.5, 50 + 1 / 3600), abs=1e-7)


LOCAL = datetime(2024, 5, 6, 7, 8, 9)
SUMMER = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("camera", "gps", "taken", "utc"),
    [
        (TAKEN, {}, "2024-05-06T07:08:09", None),
        (TAKEN | {0x9291: "25"}, {}, "2024-05-06T07:08:09.250000", None),
        (TAKEN | {0x9011: "+02:00"}, {}, "2024-05-06T07:08:09+02:00", LOCAL.replace(tzinfo=SUMMER)),
        (
            TAKEN,
            {7: (5.0, 8.0, 9.0), 29: "2024:05:06"},
            "2024-05-06T07:08:09",
            datetime(2024, 5, 6, 5, 8, 9, tzinfo=timezone.utc),
        ),
        ({0x9003: "0000:00:00 00:00:00"}, {}, None, None),
        ({0x9003: "    :  :     :  :  "}, {}, None, None),
        ({0x9003: "yesterday"}, {29: "2024:99:99", 7: (1.0, 2.0, 3.0)}, None, None),
    ],
)
def test_a_time_is_as_sure_as_the_camera_was(
    camera: dict[int, Any], gps: dict[int, Any], taken: str | None, utc: datetime | None
) -> None:
    image = Image.open(io.BytesIO(encoded("JPEG", exif=exif_of(camera, gps))))
    photograph = photograph_of(image, "x")
    assert photograph.taken == taken
    assert photograph.utc_ns == (None if utc is None else int(utc.timestamp()) * 10**9)


@pytest.mark.parametrize(
    ("gps", "lonlat"),
    [
        (NORTH_EAST | {1: "S", 3: "W"}, (-6.5, -50 - 1 / 3600)),
        ({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}, None),  # no fix
        ({1: "N", 2: (95.0, 0.0, 0.0), 3: "E", 4: (6.0, 0.0, 0.0)}, None),
        ({2: (50.0, 0.0, 0.0), 4: (6.0, 0.0, 0.0)}, None),
        ({1: "N", 2: (50.0,), 3: "E", 4: (6.0, 0.0, 0.0)}, None),
    ],
)
def test_a_place_is_one_or_none(gps: dict[int, Any], lonlat: tuple[float, float] | None) -> None:
    image = Image.open(io.BytesIO(encoded("JPEG", exif=exif_of({}, gps))))
    found = photograph_of(image, "x").lonlat
    assert found == (None if lonlat is None else pytest.approx(lonlat, abs=1e-7))


def test_broken_exif_costs_no_picture(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    data = encoded("JPEG", exif=exif_of(TAKEN, NORTH_EAST))
    at = data.index(b"Exif")
    (tmp_path / "x.jpg").write_bytes(data[: at + 14] + b"\xff" * 30 + data[at + 44 :])
    assert read_image(tmp_path / "x.jpg").shape == (*SIZE, 3)


def test_names_of_any_bytes_are_shown_on_one_line(tmp_path: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/Ri\xdf\n.png"))
    path.write_bytes(encoded("PNG"))
    assert read_picture(path).photograph.file.endswith("/Ri\\xdf\\n.png")
    path.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"/Ri\\xdf\\n\.png: not an image") as caught:
        read_image(path)
    assert str(caught.value).isprintable()
