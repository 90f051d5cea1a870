"""Which pictures may be smeared, by what the decoder gives and in which order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from scnet_edge.video.damage import DOUBT_S, MOST_HELD, Damage


@dataclass
class Frame:
    """What is asked of a decoded picture."""

    opaque: Any
    key_frame: bool = False
    is_corrupt: bool = False
    interlaced_frame: bool = False


class Stream:
    """Packets, and the pictures that come of them when a test says so."""

    def __init__(self) -> None:
        self.decoder = SimpleNamespace(copy_opaque=False, name="h264")
        self.damage = Damage(self.decoder)  # type: ignore[arg-type]
        self.packets = list[SimpleNamespace]()

    def take(self, count: int) -> None:
        for _ in range(count):
            self.packets.append(SimpleNamespace(opaque=None, size=1, is_keyframe=False))
            time_s = len(self.packets) / 10
            self.damage.begin(self.packets[-1], time_s)  # type: ignore[arg-type]

    def frame(self, number: int, **marks: bool) -> Frame:
        return Frame(self.packets[number].opaque, **marks)

    def touched(self, number: int, time_s: float = 0.0, **marks: bool) -> bool:
        return self.damage.touches(self.frame(number, **marks), time_s)  # type: ignore[arg-type]

    def held(self, frames: Iterable[Frame]) -> list[int]:
        ready = self.damage.hold(frames)  # type: ignore[arg-type]
        return [each.opaque.number for each in ready]


def test_a_key_frame_that_was_decoded_before_the_damage_ends_no_doubt() -> None:
    stream = Stream()
    stream.take(5)  # the last is a key frame, shown behind those that come now
    assert stream.decoder.copy_opaque
    assert not stream.touched(0, key_frame=True)
    stream.take(1)
    stream.damage.note(0.16)  # the packet before it is missing
    assert not stream.touched(1), "it was decoded before"
    assert stream.touched(5)
    assert not stream.touched(4, key_frame=True)
    stream.take(3)
    assert stream.touched(6), "it may be made from the picture that is missing"
    assert not stream.touched(7, key_frame=True)
    assert not stream.touched(8)


def test_a_torn_picture_makes_those_behind_it_doubtful() -> None:
    stream = Stream()
    stream.take(4)
    assert not stream.touched(0, key_frame=True)
    assert stream.touched(1, is_corrupt=True)
    assert stream.touched(2)
    assert not stream.touched(3, DOUBT_S + 1)
    stream.take(1)
    stream.damage.note(20.0, torn=True)
    assert stream.touched(4, key_frame=True), "not even a key frame is sound"


def test_data_that_is_missing_hurts_what_comes_behind_it() -> None:
    stream = Stream()
    stream.take(1)
    stream.damage.note_hole(0.0)
    stream.take(1)
    assert not stream.touched(0)
    assert stream.touched(1)


def test_a_picture_waits_for_the_mark_of_one_that_it_is_made_from() -> None:
    """Packet 1 is shown behind 2 and 3, which are made from it; that it is torn comes with it."""
    stream = Stream()
    stream.take(4)
    assert stream.held([stream.frame(0)]) == [0]
    assert stream.held([stream.frame(2)]) == []
    assert stream.held([stream.frame(3)]) == []
    assert stream.held([stream.frame(1, is_corrupt=True)]) == [2, 3, 1]
    assert not stream.touched(0)
    assert all(stream.touched(number) for number in (2, 3, 1))


def test_a_packet_without_a_picture_holds_up_few() -> None:
    stream = Stream()
    stream.take(2 * MOST_HELD)  # of the first no picture comes
    shown = [n for i in range(1, 2 * MOST_HELD) for n in stream.held([stream.frame(i)])]
    assert shown == list(range(1, MOST_HELD))
    rest = [each.opaque.number for each in stream.damage.end()]  # type: ignore[attr-defined]
    assert rest == list(range(MOST_HELD, 2 * MOST_HELD))


def test_pictures_that_never_come_are_told_by_their_times() -> None:
    stream = Stream()
    stream.take(4)
    assert stream.held([stream.frame(0)]) == [0]
    assert stream.held([stream.frame(3)]) == []
    assert [each.opaque.number for each in stream.damage.end()] == [3]  # type: ignore[attr-defined]
    assert stream.damage.overdue_s(0.4) == [0.2, 0.3]
    assert stream.damage.overdue_s(0.4) == []
