"""The frame numbers of an AVI's pictures, by the index that the file holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from scnet_edge.video.film_clock import Seam

HEAD_BYTES = 8  # of a chunk, which the index counts in and packets do not
MOVI_WITHIN_BYTES, MAX_INDEX_BYTES = 2**20, 2**25
ENTRY = np.dtype([("id", "S4"), ("flags", "<u4"), ("place", "<u4"), ("size", "<u4")])
FOLLOWING = 8  # chunks that must lie where a guess puts them


class Entry(NamedTuple):
    """Where the index puts a chunk, how long it is without its head, and its picture's number."""

    place: int
    size: int
    number: int


class AviIndex:
    """Numbers the pictures of an AVI, which FFmpeg counts: wrongly behind lost ones.

    Where bytes were cut out of a file, all that follows lies nearer to its beginning than the
    index says. FFmpeg does not find the index then, and this class does.
    """

    def __init__(self, path: Path, stream: VideoStream) -> None:
        """Read the index; of a file without one nothing is changed."""
        found = [Entry(e.pos, e.size, e.timestamp) for e in stream.index_entries if e.size > 0]
        self._cut = len(found) < 2  # FFmpeg notes the first picture in any case
        if self._cut:
            found = [e for e in read_idx1(path, stream.index) if e.size > 0]
        self._path, self._entries = path, found
        self._places = {entry.place: i for i, entry in enumerate(found)}
        self._sizes = defaultdict[int, list[int]](list)
        for i, entry in enumerate(found):
            self._sizes[entry.size].append(i)
        self._next = 0  # entry
        self._shift = 0  # of the times that FFmpeg counts
        self._cut_bytes = 0  # so far
        self._all_cut_bytes = _stated_bytes(path) - path.stat().st_size

    def number(self, packet: Packet[Stream]) -> Seam:
        """Take the next packet, and give it its own number; return whether some are missing."""
        if packet.pos is None or packet.dts is None:
            return Seam()
        seam, i = Seam(), self._find(packet.pos - HEAD_BYTES, packet.size)
        if i is not None:  # else the index does not know the picture
            seam = Seam(skips=i != self._next)
            self._next, self._shift = i + 1, self._entries[i].number - packet.dts
        packet.dts += self._shift
        if packet.pts is not None:
            packet.pts += self._shift
        return seam

    def _find(self, at: int, size: int) -> int | None:
        """Return which entry is meant by a chunk at a place of the file."""
        i = self._places.get(at + self._cut_bytes)
        if i is not None or not self._cut:
            return i
        last = self._places.get(at + self._all_cut_bytes)  # pictures may be all of one size
        for i in ([] if last is None else [last]) + self._sizes[size]:
            cut_bytes = self._entries[i].place - at
            if i >= self._next and cut_bytes > self._cut_bytes and self._fits(i, cut_bytes):
                self._cut_bytes = cut_bytes
                return i
        return None

    def _fits(self, i: int, cut_bytes: int) -> bool:
        """Return whether the chunks behind an entry are there, so many bytes too early."""
        with self._path.open("rb") as file:
            for entry in self._entries[i + 1 : i + 1 + FOLLOWING]:
                place = entry.place - cut_bytes + 4
                if place < 0:
                    return False
                file.seek(place)
                if file.read(4) != entry.size.to_bytes(4, "little"):
                    return False
        return True


def _stated_bytes(path: Path) -> int:
    """Return how long an AVI says that it is."""
    with path.open("rb") as file:
        return HEAD_BYTES + int.from_bytes(file.read(HEAD_BYTES)[4:], "little")


def read_idx1(path: Path, stream: int) -> Iterator[Entry]:
    """Yield a stream's entries of the index at an AVI's end, of size 0 for repeated pictures."""
    with path.open("rb") as file:
        movi = file.read(MOVI_WITHIN_BYTES).find(b"movi")
        file.seek(max(0, file.seek(0, 2) - MAX_INDEX_BYTES))
        tail = file.read()
    at = tail.rfind(b"idx1")
    length = int.from_bytes(tail[at + 4 : at + 8], "little")
    if movi < 0 or at < 0 or not ENTRY.itemsize <= length <= len(tail) - at - HEAD_BYTES:
        return
    count = length // ENTRY.itemsize
    entries = np.frombuffer(tail, ENTRY, count, at + HEAD_BYTES)
    base = 0 if entries["place"][0] > movi else movi  # both are in use
    mine = entries[[name[:2] == b"%02d" % stream for name in entries["id"]]]
    for number, entry in enumerate(mine):
        yield Entry(base + int(entry["place"]), int(entry["size"]), number)
