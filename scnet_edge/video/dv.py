"""What a picture of DV says of itself: the numbers of its blocks, and the tape's timecode."""

from __future__ import annotations

import numpy as np
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

BLOCK_BYTES, SEQUENCE_BLOCKS = 80, 150
SEQUENCE_BYTES = BLOCK_BYTES * SEQUENCE_BLOCKS
SUBCODE_BLOCKS = (1, 2)  # of a sequence
PACK_PLACES = [6 + 8 * i for i in range(6)]  # within such a block
TIMECODE, UNSET = 0x13, 0xFF
DROP_FRAME = 0x40  # of 30 a second 2 numbers a minute are left out, not each tenth minute


def is_shifted_dv(packet: Packet[Stream] | Packet[VideoStream], codec: str) -> bool:
    """Return whether bytes of a DV picture were cut out: its blocks are numbered."""
    if not _is_dv(packet, codec):
        return False
    blocks = np.frombuffer(bytes(packet), np.uint8).reshape(-1, SEQUENCE_BLOCKS, BLOCK_BYTES)
    numbers = blocks[..., 1] >> 4
    count = 12 if blocks[0, 0, 3] & 0x80 else 10  # of 625 lines, of 525
    return bool((numbers != (np.arange(len(blocks)) % count)[:, None]).any())


def dv_number(packet: Packet[Stream] | Packet[VideoStream], codec: str) -> int | None:
    """Return the number of a DV picture by its timecode; None where it has none."""
    if not _is_dv(packet, codec):
        return None
    data = bytes(packet)
    fps = 25 if data[3] & 0x80 else 30
    for place in (BLOCK_BYTES * block + at for block in SUBCODE_BLOCKS for at in PACK_PLACES):
        kind, *pack = data[place : place + 5]
        if kind != TIMECODE or pack == 4 * [UNSET]:
            continue
        tens = zip(pack, (3, 7, 7, 3), strict=True)
        frames, seconds, minutes, hours = (10 * (b >> 4 & most) + (b & 15) for b, most in tens)
        minutes += 60 * hours
        left_out = 2 * (minutes - minutes // 10) if fps == 30 and pack[0] & DROP_FRAME else 0
        return (60 * minutes + seconds) * fps + frames - left_out
    return None


def _is_dv(packet: Packet[Stream] | Packet[VideoStream], codec: str) -> bool:
    return codec == "dvvideo" and packet.size > 0 and packet.size % SEQUENCE_BYTES == 0
