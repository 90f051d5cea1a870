"""What a power cut leaves of a file, made whole again: JSON lines and MCAP."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from scnet_edge.errors import InputError

TAIL_BYTES = 1 << 20

logger = logging.getLogger(__name__)


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What was saved, and what was not."""

    out: str
    records: int
    lost_bytes: int  # of a torn tail, and of lines that are no JSON


def recover(path: Path, out: Path) -> Recovered:
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
    """Cut off what follows the last whole line of JSON; return how many bytes that was."""
    with path.open("r+b") as f:
        size = f.seek(0, os.SEEK_END)
        for window in (TAIL_BYTES, size):
            start = max(0, size - window)
            f.seek(start)
            end = _whole_end(f.read())
            if end or start == 0:
                break
        lost = size - start - end
        if lost:
            f.truncate(start + end)
            os.fsync(f.fileno())
            logger.warning("%s: %d bytes of a torn last record were cut off", path, lost)
    return lost


def _whole_end(data: bytes) -> int:
    """Return where the last line that is JSON ends; 0 if none is."""
    end = data.rfind(b"\n") + 1
    while end:
        start = data.rfind(b"\n", 0, end - 1) + 1
        if _is_json(data[start:end]):
            return end
        end = start
    return 0


def _recover_lines(path: Path, out: Path) -> Recovered:
    records = lost_bytes = 0
    with path.open("rb") as f, out.open("xb") as whole:
        for line in f:
            if line.endswith(b"\n") and _is_json(line):
                whole.write(line)
                records += 1
            else:
                lost_bytes += len(line)
    return Recovered(out=str(out), records=records, lost_bytes=lost_bytes)


def _recover_mcap(path: Path, out: Path) -> Recovered:
    from scnet_edge.sinks.recover_mcap import MAGIC, recover_mcap

    with path.open("rb") as torn:
        if torn.read(len(MAGIC)) != MAGIC:
            raise InputError(f"{path}: expected an MCAP file, its first bytes are others")
        torn.seek(0)
        with out.open("xb") as whole:
            records, good_end = recover_mcap(torn, whole)
        lost_bytes = torn.seek(0, os.SEEK_END) - good_end
    return Recovered(out=str(out), records=records, lost_bytes=lost_bytes)


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError:
        return False
    return line[:1] == b"{"
