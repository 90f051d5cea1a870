"""A video file, read to its end whatever it holds: every picture with its own time.

What cannot be decoded is said, picture by picture, and reading goes on behind it.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import Literal, TypeAlias

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from scnet_edge.errors import InputError, escape
from scnet_edge.types import Frame
from scnet_edge.video.avi_index import AviIndex, ShownNumbers
from scnet_edge.video.container import open_container, say_choice, video_stream
from scnet_edge.video.damage import (
    ONE_EACH,
    Damage,
    complaints,
    is_told,
    is_zeroed,
    number_of,
)
from scnet_edge.video.dv import dv_number, is_shifted_dv
from scnet_edge.video.film_clock import SKIP, FilmClock, PackTimes, Seam, Seams, declared_s
from scnet_edge.video.packet_ends import PacketEnds
from scnet_edge.video.upright import Look, Upright, field_order, look_of

NO_PIXELS: Frame = np.empty((0, 0, 3), np.uint8)
HIGHEST_FPS = 1000
USUAL_FPS = 25.0  # of a file that states no rate, for pictures without a time
READ_ERRORS = 50  # in a row, after which the rest of a file is given up
# So much may be missing at a file's end: headers round, and some count the wait for B-frames.
CUT_SHARE, CUT_STEPS = 0.02, 4
ASF_HOLE_S = 0.4  # without a picture, behind which those are smeared that build on lost ones
RESTARTING, TIMELESS = 0x0200, 0x0080  # AVFMT_TS_DISCONT, AVFMT_NOTIMESTAMPS
COUNTED = frozenset({"mxf"})  # formats without times: how much a hole took is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture of a film.

    Attributes:
        frame: (h, w, 3) uint8 BGR; (0, 0, 3) where it could not be decoded.
        time_s: seconds since the film's beginning, by the film's own clock.
    """

    frame: Frame
    time_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What people must know of the film from here on: its clock jumps, its fields were woven."""

    kind: Literal["clock_jump", "deinterlaced"]
    detail: str
    time_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The file ends before the length that it states: what lies between was not there."""

    from_s: float
    to_s: float


Item: TypeAlias = Picture | Remark | Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A video file that is open.

    Attributes:
        items: its pictures in the order of their times, read once; close it.
        count: about how many pictures there are, for a progress bar; None where unknown.
        fps: the mean rate; an assumption where the file states none.
        changed: which film of several is read and what was done to its pictures, for people; empty
            where nothing was.
    """

    items: Generator[Item]
    count: int | None
    fps: float
    changed: str


def open_film(path: Path) -> Film:
    """Open a video file; its first picture is decoded by now.

    Raises:
        InputError: it cannot be read, is no video that FFmpeg knows, or no picture of it decodes.
    """
    container = open_container(path)
    stream = video_stream(path, container)
    reader = _Reader(path, container, stream)
    items = reader.items()
    before = list[Item]()
    for item in items:
        before.append(item)
        if isinstance(item, Picture) and item.frame.size:
            break
    else:
        raise InputError(
            f"{escape(path)}: no picture could be decoded; convert it to H.264 or MJPEG"
        )
    return Film(
        items=_go_on(before, items),
        count=reader.count,
        fps=reader.fps,
        changed=", ".join(filter(None, (say_choice(container, stream), reader.looks))),
    )


def _go_on(before: list[Item], items: Generator[Item]) -> Generator[Item]:
    try:
        yield from before
        yield from items
    finally:
        items.close()


class _Reader:
    """Reads one video stream of a container."""

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        self._container, self._stream = container, stream
        self._codec = stream.codec_context.name
        stated = (stream.average_rate, stream.guessed_rate)
        rates = [float(r) for r in stated if r and 0 < r <= HIGHEST_FPS] or [USUAL_FPS]
        self.fps = rates[0]
        # An AVI has times of decoding alone: FFmpeg's guess at those of showing is out of order.
        # So has an MXF without an index.
        self._index = AviIndex(path, stream) if container.format.name == "avi" else None
        self._numbers = ShownNumbers()
        self._packs = PackTimes() if container.format.name == "mpeg" else None
        self._misplaced = set[int]()  # packets whose times are not to be believed
        self.look: Look | None = None  # of the first picture
        self._ends = PacketEnds(path, container.format.name)
        self._declared_s = declared_s(path, container, stream)
        start_s = None
        if stream.start_time is not None and stream.time_base is not None:
            start_s = float(stream.start_time * stream.time_base)
        self._clock = FilmClock(start_s, 1 / self.fps, decoding=container.format.name == "mxf")
        may_jump = int(container.format.flags) & RESTARTING
        self._seams = Seams(1 / min(rates)) if may_jump else None  # the average may be a default
        if container.format.name == "asf":  # it drops pictures where little moves, but not for long
            self._seams = Seams(1 / self.fps, may_restart=False, hole_s=ASF_HOLE_S)
        self._upright: Upright[float] = Upright()
        self._waiting: list[tuple[float, int, Picture | Remark]] = []  # a heap, by time
        self._order = count()
        self._told_fields = False  # that there are some
        counted = self._index is not None and self._codec == "h264"
        self._damage = Damage(stream.codec_context, strict=counted)
        self._timed = self._timeless = False  # some had a time; and it is unknown behind a hole
        self._dv_number: int | None = None  # of the picture before, by its timecode
        self._without_times = bool(int(container.format.flags) & TIMELESS)
        self._lost_count = False  # of the pictures, by which alone they have a time
        self._given_s = 0.0  # the last item's time
        self._end_s = 0.0  # of all streams, by the file's clock
        self._torn_before = False  # that one is marked as torn
        self._coded_aspect = stream.codec_context.sample_aspect_ratio

    @property
    def looks(self) -> str:
        """What was done to the first picture, for people."""
        return "" if self.look is None else self.look.text

    @property
    def count(self) -> int | None:
        """About how many pictures there are."""
        if self._stream.frames:
            return self._stream.frames
        duration = self._container.duration
        return round(duration / av.time_base * self.fps) if duration else None

    def items(self) -> Generator[Item]:
        """Yield everything, in the order of its time; close the file then."""
        with self._container, closing(self._ends):
            for packet in self._packets():
                if self._ends.skips(packet):
                    self._note_hole()
                    self._lost_count |= self._container.format.name in COUNTED
                if self._ends.is_counted(packet):
                    packet.pts = packet.dts = None
                self._note_end(packet)
                if self._is_ours(packet):
                    yield from self._decode(packet)
            for frame in self._damage.end():
                yield from self._show(frame)
            self._say_overdue(math.inf)
            yield from self._in_order(self._upright.flush())
            yield from self._release(math.inf)
            yield from self._find_missing()

    def _is_ours(self, packet: Packet[Stream]) -> bool:
        """Return whether a packet is of the film; the empty one at its end has no number."""
        numbered = packet.stream_index == self._stream.index or not packet.size
        return numbered and packet.stream is self._stream

    def _packets(self) -> Iterator[Packet[Stream]]:
        """Yield the packets of all streams, past places that cannot be read."""
        errors, packets = 0, self._container.demux()
        while errors < READ_ERRORS:
            try:
                with complaints(self._container.format.name) as said:
                    packet = next(packets, None)
            except (av.error.FFmpegError, IndexError):  # PyAV knows no stream that comes later
                errors, packets = errors + 1, self._container.demux()
                self._note_hole()
                continue
            if said:
                self._note_hole()
            if packet is None:
                return
            errors = 0
            yield packet

    def _decode(self, packet: Packet[Stream]) -> Iterator[Item]:
        seam = Seam()
        if self._seams:
            seam = self._seams.close(packet)
        elif self._index:
            seam = self._index.number(packet)
            self._numbers.begin(packet.dts)
        stated = packet.dts if packet.pts is None else packet.pts
        time_s = self._clock.of_packet(_seconds(stated, packet.time_base))
        number = self._damage.begin(packet, time_s)
        if self._packs and self._packs.are_doubtful(packet, self._clock.step_s):
            self._misplaced.add(number)
        if seam.jump_s:
            detail = (
                f"the file's clock jumps by {seam.jump_s:+.1f} s at {time_s:.1f} s; time goes on"
            )
            self._wait(Remark(kind="clock_jump", detail=detail, time_s=time_s))
        # A loss may reach from the packet that is marked into the next one.
        torn = packet.is_corrupt or self._torn_before
        self._torn_before = packet.is_corrupt
        torn = torn or self._ends.is_torn(packet) or is_shifted_dv(packet, self._codec)
        if torn or is_zeroed(packet, self._codec):
            self._damage.note(time_s, torn=True)
        if not torn:
            self._watch_timecode(packet, time_s)
        if seam.skips:
            self._numbers.doubt()
            if not packet.is_keyframe:
                self._damage.note(time_s)
        try:
            with complaints() as errors:
                frames = packet.decode()
        except av.error.FFmpegError:
            self._damage.note(time_s)
            self._numbers.doubt()
            self._doubt_count(time_s)
            self._wait(Picture(frame=NO_PIXELS, time_s=time_s))
            return
        if is_told(errors, self._codec):
            self._damage.note(time_s, torn=True)
        pictures = (frame for frame in frames if isinstance(frame, av.VideoFrame))
        for frame in self._damage.hold(pictures):
            yield from self._show(frame)

    def _show(self, frame: av.VideoFrame) -> Iterator[Item]:
        """Yield what is ready once a frame is there: it, or those before it."""
        stated = self._numbers.of(frame) if self._index else frame.pts
        stated_s = _seconds(stated, frame.time_base)
        about_s = self._clock.of_packet(stated_s)
        self._say_overdue(about_s)
        if stated_s is not None:
            self._timed, self._timeless = True, self._lost_count
        unsure = number_of(frame) in self._misplaced
        unsure |= self._index is not None and self._numbers.is_unsure(frame)
        if self._damage.touches(frame, about_s) or self._timeless or unsure:
            self._numbers.doubt(frame)
            self._doubt_count(about_s)
            self._wait(Picture(frame=NO_PIXELS, time_s=about_s))
            self._clock.pass_by(stated_s)
            return
        time_s = self._clock.at(stated_s)
        if time_s is None:
            self._wait(Picture(frame=NO_PIXELS, time_s=about_s))
            return
        look = look_of(frame, self._aspect())
        if self.look is None:
            self.look = look
            if time_s > 0:
                self._wait(Picture(frame=NO_PIXELS, time_s=0.0))
        if look.interlaced and not self._told_fields:
            self._wait(self._deinterlaced(field_order(frame), "as the file says", time_s))
        yield from self._in_order(self._upright.push(frame, look, time_s))

    def _say_overdue(self, time_s: float) -> None:
        """Say which pictures did not come, though later ones do."""
        if self._codec in ONE_EACH and not self._without_times:
            for due_s in self._damage.overdue_s(time_s - self._clock.step_s / 2):
                self._wait(Picture(frame=NO_PIXELS, time_s=due_s))

    def _watch_timecode(self, packet: Packet[Stream], time_s: float) -> None:
        """Say where DV, whose pictures FFmpeg counts, goes on with another timecode."""
        number, before = dv_number(packet, self._codec), self._dv_number
        self._dv_number = number
        if number is not None and before is not None and number - before not in (0, 1):
            detail = (
                f"the tape's timecode jumps by {number - before:+d} pictures at {time_s:.1f} s: "
                "it was stopped there, or what follows is later than is said, and further on"
            )
            self._wait(Remark(kind="clock_jump", detail=detail, time_s=time_s))

    def _doubt_count(self, time_s: float) -> None:
        """Say, once, that pictures were lost of a film that only counts them."""
        if self._without_times and self._given_s > 0:
            self._without_times = False
            detail = (
                f"the file states no times, and is damaged at {time_s:.1f} s: what follows may be "
                "later than is said, and further on"
            )
            self._wait(Remark(kind="clock_jump", detail=detail, time_s=time_s))

    def _aspect(self) -> Fraction | None:
        """Return the shape of a pixel: the container's word, until the coded one changes."""
        coded = self._stream.codec_context.sample_aspect_ratio
        return self._stream.sample_aspect_ratio if coded == self._coded_aspect else coded

    def _note_hole(self) -> None:
        """Take that some of the file cannot be read; how much time that was only a time tells."""
        self._damage.note_hole(self._clock.of_packet(None))
        self._timeless = self._timed

    def _wait(self, item: Picture | Remark) -> None:
        heappush(self._waiting, (item.time_s, next(self._order), item))

    def _release(self, until_s: float) -> Iterator[Item]:
        """Yield the items that wait for their time."""
        while self._waiting and self._waiting[0][0] <= until_s:
            item = heappop(self._waiting)[-1]
            self._given_s = max(self._given_s, item.time_s)
            yield replace(item, time_s=self._given_s)

    def _in_order(self, ready: Iterator[tuple[float, Frame]]) -> Iterator[Item]:
        for time_s, frame in ready:
            yield from self._release(time_s)
            if self._damage.is_near and time_s - self._given_s > SKIP * self._clock.step_s:
                yield Picture(frame=NO_PIXELS, time_s=self._given_s + self._clock.step_s)
            self._given_s = time_s
            if self._upright.found_order and not self._told_fields:
                found = "found by its combs, the file does not say so"
                yield self._deinterlaced(self._upright.found_order, found, time_s)
            yield Picture(frame=frame, time_s=time_s)

    def _deinterlaced(self, order: str, whence: str, time_s: float) -> Remark:
        self._told_fields = True
        detail = f"interlaced from {time_s:.1f} s on, {order} ({whence}): deinterlaced"
        return Remark(kind="deinterlaced", detail=detail, time_s=time_s)

    def _note_end(self, packet: Packet[Stream]) -> None:
        stated = packet.dts if packet.pts is None else packet.pts
        if stated is not None:
            end_s = _seconds(stated + (packet.duration or 0), packet.time_base)
            self._end_s = max(self._end_s, end_s or 0.0)

    def _find_missing(self) -> Iterator[Item]:
        """Yield what a file that is cut states to hold beyond its end."""
        start_s = (self._container.start_time or 0) / av.time_base
        missing_s = self._declared_s - (self._end_s - start_s)
        unread_s = self._ends.unread_share() * self._given_s
        least_s = max(CUT_STEPS * self._clock.step_s, CUT_SHARE * self._declared_s)
        if unread_s or missing_s > least_s:
            yield Missing(from_s=self._given_s, to_s=self._given_s + max(unread_s, missing_s))


def _seconds(stated: int | None, time_base: Fraction | None) -> float | None:
    return None if stated is None or time_base is None else float(stated * time_base)
