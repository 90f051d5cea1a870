"""What a power cut leaves of a file, made whole again: JSON lines and MCAP."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from scnet_edge.config import NOT_JSON
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.files import new_file, open_plain

TAIL_BYTES = 1 << 20
MAX_LINE_BYTES = 64 * 2**20

logger = logging.getLogger(__name__)


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What was saved, and what was not."""

    out: str
    records: int
    lost_bytes: int  # of a torn tail, and of lines that are no JSON


def recover_file(path: Path, out: Path) -> Recovered:
    """Write every whole record of a `.jsonl` or `.mcap` file to `out`; `path` stays as it is.

    Raises:
        InputError: no such file, another kind of file, or `out` exists or has no folder to be in.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if out.exists():
        raise InputError(f"{out}: exists; name another file")
    if not out.parent.is_dir():
        raise InputError(f"{out}: expected a file to write in a folder that exists")
    if path.suffix == ".jsonl":
        return _recover_lines(path, out)
    if path.suffix == ".mcap":
        return _recover_mcap(path, out)
    raise InputError(f"{path}: expected a .jsonl or .mcap file")


def cut_torn_tail(path: Path) -> int:
    """Cut off what follows the last newline, a torn record; return how many bytes that was.

    A last record that lacks its newline alone is given it.

    Raises:
        ConfigError: not a line of it is JSON, so that it is another program's file.
    """
    with os.fdopen(open_plain(path, os.O_RDWR), "r+b") as f:
        ours = any(_is_json(line) for line in _lines(f))
        size = f.seek(0, os.SEEK_END)
        whole = _end_of_last_line(f, size)
        f.seek(whole)
        tail, tail_bytes = f.read(MAX_LINE_BYTES), size - whole
        if not (ours or size == 0 or (whole == 0 and _is_torn(tail))):
            raise ConfigError(f"{path}: expected lines of JSON, found none; name another file")
        if not tail_bytes:
            return 0
        if len(tail) == tail_bytes and _is_json(tail):
            f.seek(size)
            f.write(b"\n")
            return 0
        f.truncate(whole)
        os.fsync(f.fileno())
    logger.warning("%s: %d bytes of a torn last record were cut off", path, tail_bytes)
    return tail_bytes


def _end_of_last_line(f: BinaryIO, size: int) -> int:
    """Return where what follows the last newline begins."""
    end = size
    while end:
        start = max(0, end - TAIL_BYTES)
        f.seek(start)
        if (at := f.read(end - start).rfind(b"\n")) >= 0:
            return start + at + 1
        end = start
    return 0


def _is_torn(data: bytes) -> bool:
    """Return whether this may be the beginning of a record, or a tail that was never filled."""
    return data[:1] == b"{" or not data.strip(b"\0")


def _recover_lines(path: Path, out: Path) -> Recovered:
    records = lost_bytes = 0
    with path.open("rb") as f, new_file(out) as whole:
        for line in _lines(f):
            if line.endswith(b"\n") and _is_json(line):
                whole.write(line)
                records += 1
            else:
                lost_bytes += len(line)
    return Recovered(out=str(out), records=records, lost_bytes=lost_bytes)


def _recover_mcap(path: Path, out: Path) -> Recovered:
    from scnet_edge.sinks.mcap_file import MAGIC, recover_mcap

    with path.open("rb") as torn:
        if torn.read(len(MAGIC)) != MAGIC:
            raise InputError(f"{path}: expected an MCAP file, its first bytes are others")
        torn.seek(0)
        with new_file(out) as whole:
            records, lost_bytes = recover_mcap(torn, whole)
    return Recovered(out=str(out), records=records, lost_bytes=lost_bytes)


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except NOT_JSON:
        return False
    return line[:1] == b"{"


def _lines(f: BinaryIO) -> Iterator[bytes]:
    """Yield lines; one that is longer than any record comes in parts, which are no JSON."""
    while line := f.readline(MAX_LINE_BYTES):
        yield line
