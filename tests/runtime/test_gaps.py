import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from scnet_edge.errors import EngineCrash
from scnet_edge.events import Event, event_now
from scnet_edge.runtime.delivery import CallbackSink
from scnet_edge.runtime.gaps import GapWatch
from scnet_edge.runtime.loop import run_loop
from scnet_edge.types import Captured, Frame, Result
from scnet_edge.video.fake_source import drawn_frames, fake_source
from scnet_edge.video.sources import Source

S = 10**9
FRAME = np.zeros((16, 16, 3), np.uint8)


def frame(frame_id: int, second: float) -> Captured:
    mono_ns = round(second * S)
    return Captured(frame_id=frame_id, name=str(frame_id), frame=FRAME, mono_ns=mono_ns)


def lost(second: float) -> Event:
    return replace(event_now("camera_lost", "timeout"), mono_ns=round(second * S))


def dark(frame: Frame) -> Result:
    mask = frame[..., 0] < 128
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None)


def summary(gap: Event) -> tuple[str, float | None, float, int | None, int | None]:
    start_s = None if gap.from_mono_ns is None else gap.from_mono_ns / S
    return gap.reason, start_s, gap.mono_ns / S, gap.first_frame_id, gap.last_frame_id


def test_faulty_frames_make_a_gap_from_the_last_to_the_next_good_one() -> None:
    watch = GapWatch()
    assert watch.inspect(frame(0, 10.0)) == ()
    watch.miss(frame(1, 10.5), "frozen")
    watch.miss(frame(2, 11.0), "black")
    [gap] = watch.inspect(frame(3, 11.5))
    assert summary(gap) == ("frozen", 10.0, 11.5, 1, 2)
    assert watch.inspect(frame(4, 12.0)) == ()


def test_a_lost_camera_makes_a_gap_without_frames() -> None:
    watch = GapWatch()
    watch.inspect(frame(0, 1.0))
    watch.note(lost(3.0))
    [gap] = watch.inspect(frame(1, 9.0))
    assert summary(gap) == ("camera_lost", 1.0, 9.0, None, None)


def test_a_run_may_begin_and_end_with_a_gap() -> None:
    watch = GapWatch()
    watch.note(lost(1.0))
    [first] = watch.inspect(frame(0, 4.0))
    assert summary(first) == ("camera_lost", 1.0, 4.0, None, None)
    watch.miss(frame(1, 5.0), "black")
    [last] = watch.end(round(7.0 * S))
    assert summary(last) == ("black", 4.0, 7.0, 1, 1)
    assert watch.end() == ()


def test_a_single_bad_frame_and_thinned_frames_are_no_gap() -> None:
    watch = GapWatch()
    watch.inspect(frame(0, 1.0))
    watch.miss(frame(1, 1.1), "corrupt")
    assert watch.inspect(frame(2, 1.2)) == ()
    watch.miss(frame(3, 2.5), "rate")
    assert watch.inspect(frame(4, 4.0)) == ()


def test_an_engine_that_stalls_makes_a_gap_of_the_frames_it_dropped() -> None:
    watch = GapWatch()
    steady = [watch.inspect(frame(i, i / 10)) for i in range(5)]
    assert steady == [()] * 5
    [gap] = watch.inspect(frame(54, 5.4))
    assert summary(gap) == ("dropped", 0.4, 5.4, 5, 53)
    [again] = watch.inspect(frame(94, 9.4))
    assert summary(again) == ("dropped", 5.4, 9.4, 55, 93)
    assert watch.inspect(frame(95, 19.4)) == ()  # a slow camera, of which nothing was dropped


def test_an_engine_that_is_steadily_slow_makes_no_gaps_for_long() -> None:
    watch = GapWatch()
    ended = [len(watch.inspect(frame(30 * i, float(i)))) for i in range(20)]
    assert sum(ended) == sum(ended[:3]) <= 2


def test_a_stretch_lost_to_a_crash_is_a_gap_told_before_the_frame_that_ends_it() -> None:
    told: list[object] = []
    calls = itertools.count()
    gaps: list[Event] = []

    def segment(frame: Frame) -> Result:
        if next(calls) in (2, 3, 4):
            raise EngineCrash("engine fake: no answer within 20 s")
        return dark(frame)

    def note(event: Event) -> None:
        told.append(event.kind)
        gaps.extend([event] if event.kind == "gap" else [])

    sink = CallbackSink(lambda o: told.append(o.captured.frame_id), note)
    run_loop(filmed(8, fps=4.0), segment, [sink])
    assert told == [0, 1, *["engine_crashed"] * 3, "gap", 5, 6, 7, "run_closed"]
    [gap] = gaps
    assert (gap.reason, gap.first_frame_id, gap.last_frame_id) == ("engine_crashed", 2, 4)
    assert gap.from_mono_ns == 250_000_000
    assert gap.mono_ns == 1_250_000_000


def test_a_stretch_lost_while_the_engine_hung_is_a_gap() -> None:
    free, calls, events = threading.Event(), itertools.count(), list[Event]()

    def segment(frame: Frame) -> Result:
        if next(calls) == 1:
            free.wait(5)
        return dark(frame)

    def frames() -> Iterator[Frame]:
        for i, frame in enumerate(drawn_frames(24)):
            if i == 22:
                free.set()
            yield frame

    run_loop(fake_source(frames(), fps=20), segment, [CallbackSink(on_event=events.append)])
    gap = next(event for event in events if event.kind == "gap")
    assert gap.reason == "dropped"
    assert gap.from_mono_ns is not None
    assert gap.mono_ns - gap.from_mono_ns > 0.5e9


def filmed(count: int, *, fps: float) -> Source:
    """Return a file's source, whose frames are as far apart as they were filmed."""
    items = (
        Captured(frame_id=i, name=str(i), frame=frame, mono_ns=round(i * 1e9 / fps))
        for i, frame in enumerate(drawn_frames(count))
    )
    return Source(items=items, count=count, fps=fps)


def test_a_camera_that_is_black_from_its_first_frame_is_told_within_seconds() -> None:
    watch = GapWatch()
    told = [event for i in range(60) for event in watch.miss(frame(i, i / 10), "black")]
    [began] = told
    assert (began.kind, began.reason) == ("gap_began", "black")
    assert began.detail == "no frame could be used for 3 s"
    [gap] = watch.inspect(frame(60, 6.0))
    assert summary(gap) == ("black", 0.0, 6.0, 0, 59)
    assert [watch.miss(frame(61 + i, 6.1 + i), "frozen") for i in range(3)] == [()] * 3
    [again] = watch.miss(frame(64, 9.2), "frozen")
    assert again.reason == "frozen"


def test_a_film_is_read_too_fast_to_be_told_of_a_gap_before_it_ends() -> None:
    watch = GapWatch(live=False, step_s=0.1)
    assert [watch.miss(frame(i, i / 10), "black") for i in range(60)] == [()] * 60


def test_a_film_without_pictures_for_a_while_has_a_gap_there() -> None:
    watch = GapWatch(live=False, step_s=0.1)
    times_s = [0.0, 0.1, 0.2, 3.2, 3.3]
    gaps = [gap for i, t in enumerate(times_s) for gap in watch.inspect(frame(i, t))]
    assert [summary(gap) for gap in gaps] == [("no_picture", 0.2, 3.2, None, None)]
    slow = GapWatch(live=False, step_s=2.0)  # a time lapse
    assert [gap for i in range(9) for gap in slow.inspect(frame(i, 2.0 * i))] == []


def test_a_frozen_gap_begins_with_its_first_picture() -> None:
    watch = GapWatch(live=False, step_s=0.1)
    watch.inspect(frame(0, 1.0))
    watch.inspect(frame(1, 3.0))
    watch.miss(replace(frame(2, 3.1), still_since_ns=1 * S), "frozen")
    [gap] = watch.inspect(frame(3, 4.0))
    assert summary(gap) == ("frozen", 1.0, 4.0, 2, 2)
