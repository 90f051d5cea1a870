"""Whatever a camera or a file gives, made a BGR frame by stated rules or refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.errors import InputError
from scnet_edge.types import Frame

MIN_SIDE_PX = 16
MAX_PIXELS = 100_000_000
MAX_FILE_BYTES = 2**30
PNG_MAGIC, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
JPEG_MAGIC, JPEG_END = b"\xff\xd8", b"\xff\xd9"
NO_FRAME_MARKERS = {0xC4, 0xC8, 0xCC}  # in C0..CF, yet not a JPEG frame header


def as_bgr(image: npt.NDArray[Any], *, where: str = "frame") -> Frame:
    """Return (h, w, 3) uint8 BGR, contiguous; a frame that is one already comes back uncopied.

    Rules: (h, w) and (h, w, 1) are grey, repeated in three channels; (h, w, 4) is BGRA, whose alpha
    is dropped; uint16 is full scale 0..65535, of which the high byte is kept (shift the frames of
    a 10- or 12-bit camera up first).

    Raises:
        InputError: another shape or dtype, a side under 16 px, or more than 100 megapixels.
    """
    if not isinstance(image, np.ndarray) or image.dtype not in (np.uint8, np.uint16):
        found = getattr(image, "dtype", type(image).__name__)
        raise InputError(f"{where}: expected a uint8 or uint16 array, found {found}")
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise InputError(f"{where}: expected (h, w), (h, w, 3) or (h, w, 4), found {image.shape}")
    check_size(image.shape[0], image.shape[1], where)
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(image[..., :3])  # (h, w, 3) uint8 BGR


def check_size(height_px: int, width_px: int, where: str, *, max_pixels: int = MAX_PIXELS) -> None:
    """Refuse an image that is too small to segment or too large to hold."""
    if min(height_px, width_px) < MIN_SIDE_PX:
        raise InputError(
            f"{where}: {width_px}x{height_px} px, expected sides of at least {MIN_SIDE_PX} px"
        )
    if height_px * width_px > max_pixels:
        raise InputError(
            f"{where}: {width_px}x{height_px} px, expected at most {max_pixels // 10**6} "
            "megapixels; scale it down or cut it into tiles"
        )


def read_image(path: Path) -> Frame:
    """Return an image file as (h, w, 3) uint8 BGR, turned upright by its EXIF orientation.

    Raises:
        InputError: missing, empty, truncated, not an image, too small or too large.
    """
    return decode_image(_read_bytes(path), where=str(path))


def decode_image(data: bytes, *, where: str, max_pixels: int = MAX_PIXELS) -> Frame:
    """Return an encoded image as (h, w, 3) uint8 BGR, turned upright by its EXIF orientation.

    Raises:
        InputError: empty, truncated, not an image, too small or too large; where a PNG's or JPEG's
            header says so, before a decoder sees it.
    """
    _check_whole(data, where, max_pixels)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as e:
        raise InputError(f"{where}: OpenCV cannot decode it ({e.err})") from e
    if image is None:
        raise InputError(f"{where}: not an image OpenCV can decode, or damaged; export it again")
    return as_bgr(image, where=where)


def _read_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path}: an image file of more than {MAX_FILE_BYTES} bytes")
        data = path.read_bytes()
    except OSError as e:
        raise InputError(f"{path}: cannot be read ({e.strerror})") from e
    if not data:
        raise InputError(f"{path}: empty file, expected an image")
    return data


def _check_whole(data: bytes, where: str, max_pixels: int) -> None:
    """Refuse a cut or oversized PNG or JPEG before a decoder spends memory on it."""
    if data.startswith(PNG_MAGIC):
        end = PNG_END in data
        header_hw = (int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big"))
    elif data.startswith(JPEG_MAGIC):
        at = _jpeg_frame_header(data)
        end = at > 0 and JPEG_END in data[at:]
        header_hw = (
            int.from_bytes(data[at + 5 : at + 7], "big"),
            int.from_bytes(data[at + 7 : at + 9], "big"),
        )
    else:
        return
    if not end:
        raise InputError(f"{where}: truncated image of {len(data)} bytes; copy it again")
    check_size(*header_hw, where, max_pixels=max_pixels)


def _jpeg_frame_header(data: bytes) -> int:
    """Return where the JPEG's frame header starts, past any embedded thumbnail; 0 if nowhere."""
    at = len(JPEG_MAGIC)
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in NO_FRAME_MARKERS:
            return at
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0
