"""Pictures that claim to be enormous: refused from their header, before a decoder takes memory."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from misbehaving import picture

from scnet_edge.data.frames import MAX_PIXELS
from scnet_edge.data.pictures import decode_image
from scnet_edge.errors import InputError
from scnet_edge.runtime.loop import run_loop
from scnet_edge.types import Frame, Result
from scnet_edge.video.sources import open_source

SIDE_PX = 50_000
GROWTH = """
import resource, sys
from pathlib import Path
from scnet_edge.errors import InputError
from scnet_edge.data.pictures import read_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        read_image(Path(path))
        print("read", path)
    except InputError as e:
        assert "\\n" not in str(e)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def png_bomb() -> bytes:
    """Return a PNG of 50,000 x 50,000 grey pixels in a few kilobytes; the last rows are cut."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", SIDE_PX, SIDE_PX, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes((SIDE_PX + 1) * 200))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def jpeg_bomb() -> bytes:
    """Return a JPEG whose frame header says 50,000 x 50,000."""
    data = bytearray(picture())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", SIDE_PX, SIDE_PX)
    return bytes(data)


def long_exif() -> bytes:
    """Return a good JPEG behind 10 MB of EXIF."""
    segment = b"\xff\xe1" + struct.pack(">H", 65_535) + b"Exif\0\0".ljust(65_533, b"\0")
    return picture()[:2] + segment * 160 + picture()[2:]


def gif_bomb() -> bytes:
    """Return a GIF of 50,000 x 50,000, for a file named .png."""
    return b"GIF89a" + struct.pack("<HH", SIDE_PX, SIDE_PX) + bytes(3) + b";"


def test_bombs_in_files_take_no_memory(tmp_path: Path) -> None:
    bombs = {"a.png": png_bomb(), "b.jpg": jpeg_bomb(), "c.png": gif_bomb(), "d.jpg": long_exif()}
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, *(str(tmp_path / name) for name in bombs)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    *read, growth_kb = done.stdout.splitlines()
    assert read == [f"read {tmp_path / 'd.jpg'}"]  # much EXIF alone is no fault
    assert int(growth_kb) < 100_000


@pytest.mark.parametrize("bomb", [jpeg_bomb, png_bomb], ids=["jpeg", "png"])
def test_the_message_names_the_size_and_the_limit(bomb: Callable[[], bytes]) -> None:
    with pytest.raises(InputError, match=f"50000x50000 px, expected at most {MAX_PIXELS // 10**6}"):
        decode_image(bomb(), where="frame")


@pytest.mark.usefixtures("impatient")
def test_bombs_in_a_stream_are_corrupt_frames(mjpeg_camera: Callable[..., Any]) -> None:
    def send_all(send: Callable[[bytes], None], number: int) -> None:
        for part in (picture(60), jpeg_bomb(), gif_bomb(), long_exif(), picture(61)):
            send(part)

    def flat(frame: Frame) -> Result:
        mask = frame[..., 0] < 0
        return Result(mask=mask, probability=mask.astype("f4"), edges=None)

    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with open_source(mjpeg_camera(send_all).uri) as source:
        counters = run_loop(source, flat, [], frames=3, policy="every")
    assert counters.dropped["corrupt"] == 2
    assert counters.processed == 3
    grown_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss - before
    assert grown_kb < 200_000
