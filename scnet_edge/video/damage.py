"""Which pictures of a stream may be smeared: after damage, until a picture stands for itself."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import av
import av.logging
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
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
    **dict.fromkeys(("vp8", "vp9", "av1", "libdav1d", "ffv1"), ZEROS),
    **dict.fromkeys(("wmv1", "wmv2", "wmv3", "vc1", "msmpeg4v2", "msmpeg4"), MANY_ZEROS),
}
# Codecs of which each packet gives one picture. Others have packets of a field, or of none.
ONE_EACH = frozenset({"hevc", "vvc", "vp9", "av1", "libdav1d", "libvpx-vp9"})
SHOWING_AGAIN = frozenset({"vp9", "av1", "libdav1d", "libvpx-vp9"})  # older pictures, by a packet
NEAR = 16  # pictures behind damage
MOST_HELD, MOST_COMING = 8, 32  # pictures, and packets, that wait for others
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
    if zeroed is None or not packet.size:
        return False
    return zeroed.search(packet) is not None or (
        zeroed is ZEROED and memoryview(packet)[-1] == 0 and _has_lengths(packet)
    )


def _has_lengths(packet: Packet[Stream] | Packet[VideoStream]) -> bool:
    """Return whether units have lengths, as in MP4, not starts: then no zeros follow one."""
    extradata = packet.stream.codec_context.extradata
    return extradata is not None and extradata[:1] == b"\x01"


@dataclass(frozen=True, slots=True)
class Origin:
    """Which packet a picture was decoded from, and whether it is one of a key frame.

    PyAV wants an object of its own for each packet, no plain number.
    """

    number: int
    key: bool


class Damage:
    """Follows what a decoder gives. Pictures are made from those before them, key frames are not.

    FFmpeg's decoders show what they could patch up; a crack in it need not be one. Packets are
    numbered, and a picture has the number of its packet (FFmpeg's `opaque`), whenever it comes.

    Args:
        decoder: of the stream; is told to hand numbers on.
        strict: A picture that does not come makes those behind it doubtful: where each packet has
            one, and the place of the next is counted.
    """

    def __init__(self, decoder: VideoCodecContext, *, strict: bool = False) -> None:
        decoder.copy_opaque = True
        self._strict = strict
        self._shows_again = decoder.name in SHOWING_AGAIN
        self._number = -1  # of the last packet
        self._since: int | None = None  # the first packet in doubt; None without doubt
        self._since_s: float | None = None  # when the last damage was; None until it is shown
        self._near = 0  # so many pictures more
        self._torn = set[int]()
        self._coming: dict[int, float] = {}  # packets whose pictures are still to come: times, s
        self._held = deque[av.VideoFrame]()

    def begin(self, packet: Packet[Stream] | Packet[VideoStream], time_s: float) -> int:
        """Number the next packet, whose picture is to be shown at a time; return its number."""
        self._number += 1
        packet.opaque = Origin(self._number, packet.is_keyframe)
        if packet.size:
            self._coming[self._number] = time_s
        self._coming.pop(self._number - MOST_COMING, None)
        return self._number

    def note(self, time_s: float, *, torn: bool = False) -> None:
        """Take damage: data is missing before the last packet, or in it.

        Args:
            time_s: of the packet.
            torn: The packet is not whole, so that not even a key frame is sound.
        """
        self._doubt(self._number, time_s)
        if torn:
            self._torn.add(self._number)

    def note_hole(self, time_s: float) -> None:
        """Take that data is missing behind the last packet."""
        self._doubt(self._number + 1, time_s)

    def _doubt(self, number: int, time_s: float | None) -> None:
        self._since = number if self._since is None else min(self._since, number)
        self._since_s, self._near = time_s, NEAR

    @property
    def is_near(self) -> bool:
        """Whether there was damage not long ago."""
        return self._near > 0

    def hold(self, frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """Take the next pictures; yield those of which is known what they were made from.

        A picture may come before one that it is made from, and the mark of that one with it.
        """
        for frame in frames:
            self._name(frame)
            self._coming.pop(number_of(frame), None)
            if frame.is_corrupt:
                self._torn.add(number_of(frame))
                self._doubt(number_of(frame), None)
            self._held.append(frame)
        while self._held and (len(self._held) > MOST_HELD or not self._lacking()):
            yield self._release()

    def end(self) -> Iterator[av.VideoFrame]:
        """Yield the pictures that are held, at the end of a film."""
        while self._held:
            yield self._release()

    def _name(self, frame: av.VideoFrame) -> None:
        """Take the last packet for the origin of a picture whose decoder does not say it."""
        if frame.opaque is None:
            frame.opaque = Origin(self._number, key=False)

    def _lacking(self) -> list[int]:
        """Return the packets before the next picture's own whose pictures have not come."""
        return [number for number in self._coming if number < number_of(self._held[0])]

    def _release(self) -> av.VideoFrame:
        for number in self._lacking() if self._strict else ():
            del self._coming[number]
            self._doubt(number, None)
        return self._held.popleft()

    def overdue_s(self, time_s: float) -> list[float]:
        """Return when the pictures were to be shown that did not come, though later ones do.

        Args:
            time_s: of the picture that is next.
        """
        numbers = [number for number, due_s in self._coming.items() if due_s < time_s]
        return sorted(self._coming.pop(number) for number in numbers)

    def touches(self, frame: av.VideoFrame, time_s: float) -> bool:
        """Return whether a frame is damaged, or made from one that was."""
        self._near -= 1
        self._name(frame)
        number = number_of(frame)
        torn = number in self._torn or (frame.interlaced_frame and number + 1 in self._torn)
        if frame.is_corrupt or torn:
            self._doubt(number, time_s)
            return True
        if self._since is None or number < self._since:
            return False
        if self._since_s is None:
            self._since_s = time_s
        fresh = frame.key_frame and (not self._shows_again or origin_of(frame).key)
        if fresh or time_s - self._since_s > DOUBT_S:
            self._since = None
        return self._since is not None


def origin_of(frame: av.VideoFrame) -> Origin:
    """Return what a picture was decoded from."""
    origin: object = frame.opaque
    assert isinstance(origin, Origin)
    return origin


def number_of(frame: av.VideoFrame) -> int:
    """Return which packet a picture was decoded from, counted from 0."""
    return origin_of(frame).number
