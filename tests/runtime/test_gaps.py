from dataclasses import replace

import numpy as np

from scnet_edge.runtime.events import Event, event_now
from scnet_edge.runtime.gaps import GapWatch
from scnet_edge.types import Captured

S = 10**9
FRAME = np.zeros((16, 16, 3), np.uint8)


def frame(frame_id: int, second: float) -> Captured:
    mono_ns = round(second * S)
    return Captured(frame_id=frame_id, name=str(frame_id), frame=FRAME, mono_ns=mono_ns)


def lost(second: float) -> Event:
    return replace(event_now("camera_lost", "timeout"), mono_ns=round(second * S))


def summary(gap: Event) -> tuple[str, float | None, float, int | None, int | None]:
    start_s = None if gap.from_mono_ns is None else gap.from_mono_ns / S
    return gap.reason, start_s, gap.mono_ns / S, gap.first_frame_id, gap.last_frame_id


def test_faulty_frames_make_a_gap_from_the_last_to_the_next_good_one() -> None:
    watch = GapWatch()
    assert watch.follow(frame(0, 10.0)) == ()
    assert watch.follow(frame(1, 10.5), "frozen") == ()
    assert watch.follow(frame(2, 11.0), "black") == ()
    [gap] = watch.follow(frame(3, 11.5))
    assert summary(gap) == ("frozen", 10.0, 11.5, 1, 2)
    assert watch.follow(frame(4, 12.0)) == ()


def test_a_lost_camera_makes_a_gap_without_frames() -> None:
    watch = GapWatch()
    watch.follow(frame(0, 1.0))
    watch.follow(lost(3.0))
    [gap] = watch.follow(frame(1, 9.0))
    assert summary(gap) == ("camera_lost", 1.0, 9.0, None, None)


def test_a_run_may_begin_and_end_with_a_gap() -> None:
    watch = GapWatch()
    watch.follow(lost(1.0))
    [first] = watch.follow(frame(0, 4.0))
    assert summary(first) == ("camera_lost", 1.0, 4.0, None, None)
    watch.follow(frame(1, 5.0), "black")
    [last] = watch.end(round(7.0 * S))
    assert summary(last) == ("black", 4.0, 7.0, 1, 1)
    assert watch.end() == ()


def test_a_single_bad_frame_and_thinned_frames_are_no_gap() -> None:
    watch = GapWatch()
    watch.follow(frame(0, 1.0))
    watch.follow(frame(1, 1.1), "corrupt")
    assert watch.follow(frame(2, 1.2)) == ()
    watch.follow(frame(3, 2.5), "rate")
    assert watch.follow(frame(4, 4.0)) == ()
