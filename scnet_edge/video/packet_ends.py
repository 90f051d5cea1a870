"""Whether a file's packets are whole and lie one behind the other.

Where bytes were cut out of a file, a packet holds a piece of those behind it, or some are missing.
Decoders show a mixture then, many without a word.
"""

from __future__ import annotations

import re
from pathlib import Path

from av.packet import Packet
from av.stream import Stream

from scnet_edge.video.film_clock import asf_properties

CHUNK_NAME = re.compile(rb"[ -~]{4}|\0{4}")  # zeros are a sector that was lost
SEAMLESS, SEAM_BYTES = frozenset({"matroska,webm", "flv"}), 256  # that packets are apart at most
BLOCKS, BLOCK_HEAD_BYTES = (b"\xa3", b"\xa1"), 4  # of Matroska
# First bytes of what may follow one; zeros are a lost sector, nothing is the file's end.
ELEMENTS = (b"", *(bytes([i]) for i in bytes.fromhex("a3a01f1cecbf121a9bfb75faa41019161115ab8f00")))
STRIDE_BYTES = 2**20
MXF_KEY = bytes.fromhex("060e2b34")
ASF_INDEX = bytes.fromhex("90080033")  # may follow the last part
ASF_PART_HEAD, ASF_ZEROS = b"\x82\0\0", bytes(256)  # more than WMV has
RM_HEAD_BYTES = range(15, 28)  # of a RealMedia packet, before what FFmpeg gives
RM_VERSIONS = (b"\0\0", b"\0\1")


class PacketEnds:
    """Looks behind the packets of a file, and between them; close it.

    Args:
        path: The file.
        format: FFmpeg's name of its container.
    """

    def __init__(self, path: Path, format: str) -> None:
        self._format = format
        self._file = path.open("rb")
        self._end: int | None = None  # of the packet before
        self._behind_hole: int | None = None  # a packet's place
        self._read_to = 0  # the farthest end of a packet
        # An ASF is a row of parts of one size.
        properties = asf_properties(path) if format == "asf" else b""
        self._part_bytes = int.from_bytes(properties[92:96], "little")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def skips(self, packet: Packet[Stream]) -> bool:
        """Take the next packet; return whether bytes before it could not be read."""
        if self._format == "rm" and packet.stream.type != "video":
            return False  # sound is put together anew, and has no place
        before, at = self._end, packet.pos
        self._end = None if at is None else at + packet.size
        if at is None:
            return False
        self._read_to = max(self._read_to, at + packet.size)
        if self._part_bytes:
            self._end = at
            return before is not None and self._lost_parts(before, at)
        if self._format in ("mxf", "ogg", "rm"):
            start = self._rm_start(packet) if self._format == "rm" else at
            self._end = self._part_end(at) if self._format == "mxf" else start
            if before is None or start is None or self._parts_lie_between(before, start):
                return False
            self._behind_hole = at
            return True
        return self._format in SEAMLESS and before is not None and at - before > SEAM_BYTES

    def is_counted(self, packet: Packet[Stream]) -> bool:
        """Return whether FFmpeg has counted on to a packet's time, over a hole.

        A page of Ogg has one time, at its end.
        """
        return self._format == "ogg" and packet.pos is not None and packet.pos == self._behind_hole

    def unread_share(self) -> float:
        """Return how much fragments of an MP4 that were not reached are, of what was read.

        FFmpeg gives up where one does not follow the other; the file states no length.
        """
        if "mp4" not in self._format or not self._read_to:
            return 0.0
        behind, before = self._read_to, b""
        while part := self._read(behind, STRIDE_BYTES):
            if b"moof" in before + part:
                size = self._file.seek(0, 2)
                return (size - self._read_to) / self._read_to
            behind, before = behind + len(part), part[-3:]
        return 0.0

    def is_torn(self, packet: Packet[Stream]) -> bool:
        """Return whether nothing that could be a packet follows one, nor the file's end.

        False for formats of which this cannot be told.
        """
        if packet.pos is None:
            return False
        if self._part_bytes:
            parts = packet.size // self._part_bytes + 1  # at least, and the one behind
            return self._lost_parts(packet.pos, packet.pos + parts * self._part_bytes)
        if self._format == "avi":
            return not self._chunk_follows(packet.pos, packet.size)
        if self._format == "matroska,webm":
            return not self._element_follows(packet.pos, packet.size)
        if self._format == "rm":
            start = self._rm_start(packet)
            end = None if start is None else self._part_end(start)
            return end is not None and self._read(end, 2) not in (*RM_VERSIONS, b"IN", b"")
        end = self._part_end(packet.pos) if self._format == "mxf" else None
        return end is not None and self._read(end, 4) not in (MXF_KEY, b"")

    def _chunk_follows(self, at: int, size: int) -> bool:
        if at < 8 or self._read(at - 4, 4) != size.to_bytes(4, "little"):
            return True  # FFmpeg has made several packets of a chunk, or one of several
        behind = (self._read(at + size + pad, 4) for pad in {size % 2, 0})  # some leave out the pad
        return any(len(name) < 4 or CHUNK_NAME.fullmatch(name) for name in behind)

    def _element_follows(self, at: int, size: int) -> bool:
        length, before = size + BLOCK_HEAD_BYTES, self._read(max(0, at - 9), min(9, at))
        for count in range(1, 9):  # bytes that hold the length
            stated = (length | 1 << 7 * count).to_bytes(9, "big")[-count:]
            if before[:-count][-1:] in BLOCKS and before.endswith(stated):
                return self._read(at + length, 1) in ELEMENTS
        return True  # one of several packets of a block, or a compressed one

    def _part_end(self, at: int) -> int | None:
        """Return where a part of the file ends; None where none begins."""
        if self._format == "ogg":
            head = self._read(at, 27)
            sizes = self._read(at + 27, head[26]) if len(head) == 27 else b""
            return at + 27 + len(sizes) + sum(sizes) if head.startswith(b"OggS") else None
        if self._format == "rm":
            head = self._read(at, 4)  # version, length
            length = int.from_bytes(head[2:], "big")
            return at + length if head[:2] in RM_VERSIONS and length else None
        head = self._read(at, 25)
        if len(head) < 17 or not head.startswith(MXF_KEY):
            return None
        count = head[16] & 0x7F if head[16] > 0x7F else 0  # of bytes that hold the length
        length = int.from_bytes(head[17 : 17 + count], "big") if count else head[16]
        return at + 17 + count + length

    def _rm_start(self, packet: Packet[Stream]) -> int | None:
        """Return where the packet of the file begins that holds a picture; None if unclear."""
        if packet.pos is None or packet.dts is None:
            return None
        for back in RM_HEAD_BYTES:
            head = self._read(max(0, packet.pos - back), 10)  # version, length, stream, ms
            if head[:2] in RM_VERSIONS and int.from_bytes(head[6:], "big") == packet.dts:
                return packet.pos - back
        return None

    def _parts_lie_between(self, at: int, end: int) -> bool:
        if self._format == "ogg" and at > end:  # another stream's page, which FFmpeg kept
            return True
        while at < end:
            part_end = self._part_end(at)
            if part_end is None:
                return False
            at = part_end
        return at == end

    def _lost_parts(self, begin: int, end: int) -> bool:
        """Return whether parts of an ASF up to one that ends a stretch have lost bytes."""
        if (end - begin) % self._part_bytes:
            return True
        parts = (self._read(at, self._part_bytes) for at in range(begin, end + 1, self._part_bytes))
        return any(
            ASF_ZEROS in _without_padding(part)
            if part.startswith(ASF_PART_HEAD)
            else part[:4] not in (ASF_INDEX, b"")
            for part in parts
        )

    def _read(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        return self._file.read(count)


def _without_padding(part: bytes) -> bytes:
    """Return a part of an ASF without the zeros at its end that its head states."""
    kinds, sizes = part[3], (0, 1, 2, 4)
    at = 5 + sizes[kinds >> 5 & 3] + sizes[kinds >> 1 & 3]
    padding = int.from_bytes(part[at : at + sizes[kinds >> 3 & 3]], "little")
    return part[: max(0, len(part) - padding)]
