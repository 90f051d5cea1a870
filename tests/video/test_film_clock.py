from fractions import Fraction

import pytest
from av.packet import Packet

from scnet_edge.video.film_clock import FilmClock, PackTimes, Seam, Seams


def test_time_begins_with_the_first_picture_that_waited_for_others() -> None:
    clock = FilmClock(0.0, 0.04, decoding=True)
    assert [clock.at(t) for t in (0.08, 0.12, 0.2)] == pytest.approx([0.0, 0.04, 0.12])


def test_time_begins_before_pictures_that_did_not_decode() -> None:
    assert FilmClock(10.0, 0.04).at(13.0) == 3.0
    assert FilmClock(10.0, 0.04).at(10.04) == pytest.approx(0.04)
    assert FilmClock(10.0, 0.04, decoding=True).at(13.0) == 3.0
    assert FilmClock(10.0, 0.04).at(5000.0) == 0.0  # the header has another clock
    assert FilmClock(None, 0.04).at(13.0) == 0.0


def test_a_picture_without_a_time_comes_a_step_later() -> None:
    clock = FilmClock(None, 0.04)
    assert [clock.at(t) for t in (None, None, 0.08, None)] == pytest.approx([0.0, 0.04, 0.08, 0.12])


def test_time_always_grows() -> None:
    clock = FilmClock(0.0, 0.1)
    assert [clock.at(t) for t in (0.0, 0.1, 0.1, 0.2)] == pytest.approx([0.0, 0.1, 0.101, 0.2])
    assert clock.at(0.1) is None
    assert clock.at(0.3) == pytest.approx(0.3)


def packets(times: list[int]) -> list[Packet]:
    made = []
    for dts in times:
        packet = Packet(1)
        packet.dts, packet.pts, packet.time_base = dts, dts + 20, Fraction(1, 100)
        made.append(packet)
    return made


def test_a_jump_is_closed_and_what_follows_goes_on() -> None:
    seams, moved = Seams(0.1), packets([100, 110, 120, 5, 15, 25, 5000, 5010])
    found = [seams.close(packet) for packet in moved]
    assert [seam.jump_s for seam in found] == pytest.approx([0, 0, 0, -1.15, 0, 0, 49.75, 0])
    assert [packet.dts for packet in moved] == [100, 110, 120, 130, 140, 150, 160, 170]
    assert [packet.pts for packet in moved] == [120, 130, 140, 150, 160, 170, 180, 190]


def test_a_short_step_back_corrects_what_was_counted_where_times_were_lost() -> None:
    seams, moved = Seams(0.1), packets([0, 10, 20, 80, 60, 70])
    found = [seams.close(packet) for packet in moved]
    assert [seam.skips for seam in found] == [False, False, False, True, True, False]
    assert [packet.dts for packet in moved] == [0, 10, 20, 80, 60, 70]


def test_a_picture_of_a_program_stream_that_waits_for_long_has_no_sure_time() -> None:
    times, waits = PackTimes(), [0, 3, 3, 8, 8, 3]  # steps; 3 behind two B-frames
    found = []
    for wait in waits:
        packet = Packet(1)
        packet.dts, packet.pts, packet.time_base = 0, 10 * wait, Fraction(1, 100)
        found.append(times.are_doubtful(packet, 0.1))
    assert found == [False, False, False, True, False, False]


def test_packets_that_are_missing_are_noticed() -> None:
    seams = Seams(0.1)
    found = [seams.close(packet) for packet in packets([0, 10, 20, 60, 70])]
    assert found == [Seam(), Seam(), Seam(), Seam(skips=True), Seam()]


def test_a_rate_that_varies_is_no_loss() -> None:
    seams = Seams(0.1)
    steps = [10, 30, 10, 30, 20, 30, 10, 30]
    times = [sum(steps[:i]) for i in range(len(steps) + 1)]
    found = [seams.close(packet).skips for packet in packets(times)]
    assert found == [False, False, True, *[False] * 6]


def test_a_hole_in_a_file_of_one_recording_moves_nothing() -> None:
    seams, moved = Seams(0.1, may_restart=False, hole_s=0.4), packets([0, 10, 45, 55, 3000, 3010])
    found = [seams.close(packet).skips for packet in moved]
    assert found == [False, False, False, False, True, False]
    assert [packet.dts for packet in moved] == [0, 10, 45, 55, 3000, 3010]
