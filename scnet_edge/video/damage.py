"""Which pictures of a stream may be smeared: after damage, until a picture stands for itself."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import av
import av.logging
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

# H.264, HEVC and VVC put no three zero bytes into a unit, and their decoders show without a word
# what a lost sector does. Zeros may follow a unit, before the next one's 1.
ZEROED = re.compile(rb"(?<!\0)\0{8,}[^\0\x01]")
# Nor do arithmetic coders make many, nor WMV more than the bits of one plane of its blocks.
ZEROS, MANY_ZEROS = re.compile(rb"\0{32}"), re.compile(rb"\0{256}")
# Decoders that mark the pictures they patched up. Their log has more, which does no harm.
MARKING = frozenset(
    {"h264", "mpeg1video", "mpeg2video", "mpeg4", "mjpeg", "h263", "flv1", "flv", "dvvideo"}
)
WITHOUT_ZEROS = {
    **dict.fromkeys(("h264", "hevc", "vvc"), ZEROED),
    **dict.fromkeys(("vp8", "vp9", "av1", "libdav1d"), ZEROS),
    **dict.fromkeys(("wmv1", "wmv2", "wmv3", "vc1", "msmpeg4v2", "msmpeg4"), MANY_ZEROS),
}
MOST_WAITING = 32  # packets in a decoder whose pictures are not shown yet
DOUBT_S = 12.0  # the longest time without a key frame that is waited for one


def listen() -> None:
    """Have FFmpeg's errors kept for `complaints`, and printed nowhere.

    It shows what it could patch up and says so in its log alone: HEVC decoders flag no picture.
    """
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    logging.getLogger("libav").setLevel(logging.CRITICAL + 1)


@contextmanager
def complaints(by: str = "") -> Iterator[list[str]]:
    """Yield a list that holds, once the block has ended, the errors of FFmpeg in this thread.

    Args:
        by: who is listened to, as a container's format; empty for all.
    """
    said: list[str] = []
    with av.logging.Capture(local=True) as lines:
        try:
            yield said
        finally:
            errors = [line for line in lines if line[0] <= av.logging.ERROR]
            said += [text for _, name, text in errors if by in ("", name)]


def is_told(errors: Sequence[str], codec: str) -> bool:
    """Return whether a decoder's `complaints` mean damage that it does not mark."""
    return bool(errors) and codec not in MARKING


def is_zeroed(packet: Packet[Stream] | Packet[VideoStream], codec: str) -> bool:
    """Return whether a part of a packet was lost and is zeros now, where that can be told."""
    zeroed = WITHOUT_ZEROS.get(codec)
    return zeroed is not None and packet.size > 0 and zeroed.search(packet) is not None


class Damage:
    """Follows what a decoder gives. Pictures are made from those before them, key frames are not.

    FFmpeg's decoders show what they could patch up; a crack in it need not be one.
    """

    def __init__(self) -> None:
        self._since_s: float | None = None  # when the last damage was; None without doubt
        self._torn = set[int]()  # the pts of packets that are not whole
        self._sound = deque[int](maxlen=MOST_WAITING)  # of those decoded before the damage

    def note(self, time_s: float, torn_pts: int | None = None) -> None:
        """Take damage: data that is missing or does not decode, or a packet that is torn."""
        self._since_s = time_s
        if torn_pts is not None:
            self._torn.add(torn_pts)

    def pass_on(self, pts: int | None) -> None:
        """Take a packet that was decoded without a word; its picture may come later."""
        if self._since_s is None and pts is not None:
            self._sound.append(pts)

    def touches(self, frame: av.VideoFrame, time_s: float) -> bool:
        """Return whether a frame is damaged, or made from one that was."""
        if frame.is_corrupt or frame.pts in self._torn:
            while frame.pts in self._sound:  # those behind it may be made from it
                self._sound.pop()
            self._since_s = time_s
            return True
        since_s = self._since_s
        if since_s is None or frame.pts in self._sound:
            return False
        if frame.key_frame or time_s - since_s > DOUBT_S:
            self._since_s = None
            self._sound.clear()
        return self._since_s is not None
