"""The numbers of an AVI's pictures: of their packets, by the file's index, and as shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from av import VideoFrame
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from scnet_edge.video.damage import number_of
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
        self._all_cut_bytes = _stated_bytes(path) - path.stat().st_size
        self._cut = False
        # FFmpeg notes what it reads to know the file, where it finds no index.
        if self._all_cut_bytes > 0 or len(found) < 2:
            own = [e for e in read_idx1(path, stream.index) if e.size > 0]
            self._cut, found = bool(own), own or found
        self._path, self._entries = path, found
        self._places = {entry.place: i for i, entry in enumerate(found)}
        self._sizes = defaultdict[int, list[int]](list)
        for i, entry in enumerate(found):
            self._sizes[entry.size].append(i)
        self._next = 0  # entry
        self._shift = 0  # of the times that FFmpeg counts
        self._cut_bytes = 0  # so far

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


class ShownNumbers:
    """Numbers the pictures of an AVI in the order in which they are shown.

    The file numbers packets in the order of decoding. A decoder gives a picture some packets later:
    how many is known from the first one. Behind lost pictures it may be others. There a key frame
    says it: it is shown behind all packets before it, and behind pictures of later packets that
    lead to it.
    """

    def __init__(self) -> None:
        self._packets: list[int | None] = []  # their numbers by the file
        self._delay: int | None = None  # packets from a picture's place to its coming
        self._leading: int | None = None  # pictures that lead to a key frame
        self._shown: list[int] = []  # packets of the pictures since the last key frame
        self._lost_at: int | None = None  # the first packet in doubt since then
        self._last = -1

    def begin(self, number: int | None) -> None:
        """Take the next packet's number by the file."""
        self._packets.append(number)

    def doubt(self, frame: VideoFrame | None = None) -> None:
        """Take that a picture was lost at the last packet, or that a frame may be damaged."""
        at = len(self._packets) - 1 if frame is None else number_of(frame)
        self._lost_at = at if self._lost_at is None else min(at, self._lost_at)

    def is_unsure(self, frame: VideoFrame) -> bool:
        """Return whether a lost picture may have its place before or behind the next one."""
        return self._lost_at is not None and number_of(frame) < self._lost_at

    def of(self, frame: VideoFrame) -> int | None:
        """Return the number of the next picture; None where the file has none."""
        packet, now = self._packets[number_of(frame)], frame.dts
        if packet is None:
            return None
        if frame.key_frame and not self.is_unsure(frame):
            self._meet_key_frame(packet, now)
        if self._delay is None and self._lost_at is None:
            self._delay = now
        self._last = self._last + 1 if now is None else now - (self._delay or 0)
        self._shown.append(packet)
        return self._last

    def _meet_key_frame(self, packet: int, now: int | None) -> None:
        """Take that a key frame is next: count from it behind a loss, else learn from it."""
        if self._lost_at is not None:
            seen = sum(shown > packet for shown in self._shown)
            self._leading = max(seen, self._leading or 0)
            behind = next(number for number in reversed(self._packets) if number is not None)
            self._last = packet + min(self._leading, behind - packet) - 1
            if now is not None:
                self._delay = now - self._last - 1
        elif self._delay is not None and now is not None and self._shown:
            self._leading = now - self._delay - packet
        self._lost_at, self._shown = None, []


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
