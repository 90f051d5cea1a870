"""What a film's first bytes say: its container, or why it cannot be one. Nothing is decoded."""

from __future__ import annotations

import os
import stat
import struct
from typing import BinaryIO

from scnet_edge.errors import InputError

_HEAD_BYTES = 4096
_MOST_BOXES = 4096  # of an MP4 file at its top level
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_SIGNS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x00\x00\x01\xba", "mpeg-ps"),
    (0, b"\x00\x00\x01\xb3", "mpeg-video"),
    (0, _ASF, "asf"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"\x1f\x07\x00", "dv"),
    (0, b"FLV\x01", "flv"),
    (8, b"AVI ", "avi"),
    (4, b"ftyp", "mp4"),
    (4, b"moov", "mp4"),
    (4, b"mdat", "mp4"),
    (4, b"wide", "mp4"),
    (4, b"free", "mp4"),
    (4, b"skip", "mp4"),
)
_PACKETS = ((0, 188), (4, 192))  # where a transport stream's sync bytes lie, without and with times


def container_of(path: bytes) -> str:
    """Return the container of a film.

    Raises:
        InputError: empty, of no known kind, without its index, or it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with open(descriptor, "rb") as f:  # noqa: PTH123
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError("not a regular file")
            size_bytes = os.fstat(descriptor).st_size
            kind = _kind(f.read(_HEAD_BYTES))
            if kind == "mp4" and not _has_index(f, size_bytes):
                raise InputError("an MP4 file without its index: the recording was cut off")
    except OSError as e:
        raise InputError(f"cannot be read ({e.strerror})") from e
    return kind


def _kind(head: bytes) -> str:
    if not head:
        raise InputError("an empty file")
    for start, sign, kind in _SIGNS:
        if head[start : start + len(sign)] == sign:
            return kind
    for start, step in _PACKETS:
        syncs = head[start::step][:3]
        if len(syncs) == 3 and set(syncs) == {0x47}:
            return "mpeg-ts"
    raise InputError(f"no film: it begins with {head[:8].hex(' ')}")


def _has_index(f: BinaryIO, size_bytes: int) -> bool:
    """Return whether the boxes of an MP4 file lead to its `moov`."""
    at = 0
    for _ in range(_MOST_BOXES):
        f.seek(at)
        head = f.read(16)
        if len(head) < 8:
            return False
        length, name = struct.unpack(">I4s", head[:8])
        if name == b"moov":
            return bool(at + length <= size_bytes)
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        at += length
        if length < 8 or at >= size_bytes:
            return False
    return False
