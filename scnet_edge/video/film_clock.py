"""The times of a film's pictures: its own, from 0 at its beginning, always growing.

A film's header says how long it is: so a file that was cut is known by its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

LONGEST_PAUSE_S = 10.0  # in a transport stream a longer one is another recording's clock
LONGEST_COUNT_STEPS = 8  # a step back by more is another recording's clock
SKIP, DECAY = 1.5, 0.95  # of the longest step lately; a longer one is packets that are missing
DELAY_STEPS = 2.5  # that B-frames may wait, where a file states times of decoding alone
USUAL_WAIT_STEPS = 3.1  # of a picture behind two B-frames
LATEST_S = 10.0  # a first picture so late has another clock than the header
# Formats whose header, or size, states a length; of others FFmpeg gives an estimate from the end.
DECLARING = frozenset({"mov", "matroska", "avi", "asf", "flv", "mxf", "rm", "yuv4mpegpipe"})
ASF_HEAD_BYTES, ASF_PROPERTIES_BYTES = 65_536, 104
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


class FilmClock:
    """Turns the times that a file states into seconds since its beginning.

    Attributes:
        step_s: the usual time from one picture to the next.
    """

    def __init__(self, start_s: float | None, step_s: float, *, decoding: bool = False) -> None:
        """Begin.

        Args:
            start_s: when the file says that it begins, None where it does not.
            step_s: the usual time from one picture to the next.
            decoding: the file states when pictures are decoded, not when they are shown.
        """
        self.step_s = step_s
        self._delay_s = DELAY_STEPS * step_s if decoding else 0.0
        self._start_s = start_s
        self._zero_s: float | None = None
        self._last_s: float | None = None

    def at(self, stated_s: float | None) -> float | None:
        """Return the next picture's time; None where it belongs before pictures already given."""
        if self._zero_s is None:
            self._zero_s = self._begin(stated_s)
        time_s = self.of_packet(stated_s)
        if self._last_s is not None and time_s <= self._last_s:
            if time_s < self._last_s - self.step_s / 2:
                return None
            time_s = self._last_s + min(self.step_s, 0.001)
        self._last_s = time_s
        return time_s

    def pass_by(self, stated_s: float | None) -> None:
        """Take that a picture is lost: where a file states no times, the next one is later."""
        if stated_s is None:
            self.at(None)

    def of_packet(self, stated_s: float | None) -> float:
        """Return the time of a packet, whose picture may never come; nothing changes."""
        if stated_s is None:
            return 0.0 if self._last_s is None else self._last_s + self.step_s
        return stated_s - (self._begin(stated_s) if self._zero_s is None else self._zero_s)

    def _begin(self, stated_s: float | None) -> float:
        """Return what the file's clock says at 0 s, by its first picture and its header.

        A first picture later than the stated start means that those before it did not decode.
        """
        if self._start_s is None or stated_s is None:
            return stated_s or self._start_s or 0.0
        lost = self._delay_s < stated_s - self._start_s <= LATEST_S
        return self._start_s if lost else stated_s


@dataclass(frozen=True, slots=True)
class Seam:
    """What is odd between a packet and the one before it.

    Attributes:
        jump_s: by how much the clock jumps, as where two recordings were joined.
        skips: packets are missing before this one.
    """

    jump_s: float = 0.0
    skips: bool = False


class Seams:
    """Watches the times of decoding, which only grow in one recording.

    In a transport stream what comes behind a jump is moved, so that time goes on.

    Args:
        step_s: the usual time from one packet to the next.
        may_restart: the file may be of several recordings, each with a clock of its own.
        hole_s: packets are missing where none comes for longer than this, and than usual.
    """

    def __init__(self, step_s: float, *, may_restart: bool = True, hole_s: float = 0.0) -> None:
        self._step_s = self._usual_s = step_s
        self._may_restart, self._hole_s = may_restart, hole_s
        self._shift = 0  # in the stream's own units, as all below
        self._last: int | None = None

    def close(self, packet: Packet[Stream]) -> Seam:
        """Take the next packet, and move it in time if it must be; return what is odd.

        Where times were lost, FFmpeg counts on: a short step back corrects it.
        """
        time_base = packet.time_base
        if packet.dts is None or time_base is None:
            return Seam()
        seam, before = Seam(), self._last
        if before is not None:
            way = packet.dts + self._shift - before
            way_s = float(way * time_base)
            corrects = -LONGEST_COUNT_STEPS * self._step_s < way_s < 0
            if 0 <= way_s <= LONGEST_PAUSE_S or corrects or not self._may_restart:
                seam = Seam(skips=corrects or way_s > max(SKIP * self._usual_s, self._hole_s))
                self._usual_s = max(way_s, self._step_s, DECAY * self._usual_s)
            else:
                seam = Seam(jump_s=way_s)
                self._shift += round(self._step_s / time_base) - way
        if self._shift:
            packet.dts += self._shift
            if packet.pts is not None:
                packet.pts += self._shift
        self._last = packet.dts
        return seam


class PackTimes:
    """Watches the times of an MPEG program stream, which states them for some pictures alone.

    FFmpeg counts the others, and shows a picture that others are made from when the next such one
    is decoded. Where that one was lost, it is shown too late.
    """

    def __init__(self) -> None:
        self._longest_s = 0.0  # that a picture has waited for those before it

    def are_doubtful(self, packet: Packet[Stream], step_s: float) -> bool:
        """Return whether a picture waits longer than any before, and than two B-frames take."""
        if packet.pts is None or packet.dts is None or packet.time_base is None:
            return False
        wait_s = float((packet.pts - packet.dts) * packet.time_base)
        usual_s = max(self._longest_s, USUAL_WAIT_STEPS * step_s)
        self._longest_s = max(self._longest_s, wait_s)
        return wait_s > usual_s


def declared_s(path: Path, container: InputContainer, stream: VideoStream) -> float:
    """Return the length that a file's header states, in seconds; 0 where it states none."""
    formats = set(container.format.name.split(","))
    if not DECLARING & formats:
        return 0.0
    length_s = (container.duration or 0) / av.time_base
    if "avi" in formats and stream.average_rate:  # FFmpeg shortens a cut file's duration
        return max(length_s, float(stream.frames / stream.average_rate))
    if "asf" in formats:  # and of these it gives none
        return max(length_s, _asf_length_s(path))
    return length_s


def _asf_length_s(path: Path) -> float:
    """Return the play duration of an ASF or WMV header, its preroll taken off."""
    properties = asf_properties(path)
    play_s = int.from_bytes(properties[64:72], "little") / 1e7
    preroll_s = int.from_bytes(properties[80:88], "little") / 1e3
    return max(0.0, play_s - preroll_s)


def asf_properties(path: Path) -> bytes:
    """Return the file properties of an ASF or WMV header, 104 bytes; nothing where it has none."""
    with path.open("rb") as file:
        head = file.read(ASF_HEAD_BYTES)
    at = head.find(ASF_FILE_PROPERTIES)
    found = head[at : at + ASF_PROPERTIES_BYTES]
    return found if at >= 0 and len(found) == ASF_PROPERTIES_BYTES else b""
