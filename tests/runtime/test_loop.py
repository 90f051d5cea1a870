"""The loop on fake cameras: order, books, bounds, errors; no thread stays behind."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from scnet_edge.errors import EngineCrash, EngineError, InputError
from scnet_edge.events import Event, event_now
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.delivery import CallbackSink, FrameResult
from scnet_edge.runtime.loop import run_loop
from scnet_edge.types import Captured, Frame, Result
from scnet_edge.video.fake_source import drawn_frames, fake_source


class Recorder:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.frame_result: list[FrameResult] = []
        self.events: list[Event] = []

    def write(self, frame_result: FrameResult) -> None:
        self.frame_result.append(frame_result)

    def note(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass


def dark(frame: Frame) -> Result:
    mask = frame[..., 0] < 128
    timing = {"engine": 1.0}
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None, timing=timing)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


def balanced(counters: Counters) -> bool:
    return (
        counters.in_flight == 0
        and counters.captured == counters.processed + counters.dropped.total()
    )


@pytest.mark.parametrize("apart", [True, False])
def test_a_file_is_processed_to_its_end_in_order(apart: bool) -> None:
    sink, frames = Recorder(), list(drawn_frames(25))
    counters = run_loop(fake_source(frames, live=False), dark, [sink], apart=apart)
    assert (counters.captured, counters.processed) == (25, 25)
    assert not counters.dropped
    assert [o.captured.frame_id for o in sink.frame_result] == list(range(25))
    for frame, frame_result in zip(frames, sink.frame_result, strict=True):
        np.testing.assert_array_equal(frame_result.result.mask, frame[..., 0] < 128)
        assert list(frame_result.timing_ms) == ["engine", "measure"]
        assert frame_result.age_ms is frame_result.camera_to_mask_ms is None
    assert [event.kind for event in sink.events] == ["run_closed"]


def test_a_slow_engine_sees_the_newest_frame_and_the_books_balance() -> None:
    sink, free = Recorder(), threading.Event()

    def slow(frame: Frame) -> Result:
        free.wait(5)
        return dark(frame)

    def frames() -> Iterator[Frame]:
        yield from drawn_frames(50)
        free.set()

    counters = run_loop(fake_source(frames()), slow, [sink])
    assert balanced(counters)
    assert counters.captured == 50
    assert counters.dropped == {"stale": 50 - counters.processed}
    assert counters.processed <= 3
    ids = [o.captured.frame_id for o in sink.frame_result]
    assert ids[-1] == 49
    assert ids == sorted(set(ids))
    for frame_result in sink.frame_result:
        assert frame_result.age_ms is not None
        assert frame_result.camera_to_mask_ms is not None
        assert 0 <= frame_result.age_ms <= frame_result.camera_to_mask_ms


def test_every_frame_of_a_camera_is_processed_when_asked() -> None:
    counters = run_loop(fake_source(drawn_frames(40)), dark, [], policy="every")
    assert (counters.processed, counters.dropped.total()) == (40, 0)


def test_a_source_is_never_read_far_ahead() -> None:
    taken = []

    def frames() -> Iterator[Frame]:
        for i, frame in enumerate(drawn_frames(40)):
            taken.append(i)
            yield frame

    def check(frame_result: FrameResult) -> None:
        # two wait, one waits to be put, one in the engine, two are being delivered
        assert len(taken) <= frame_result.captured.frame_id + 1 + 6

    run_loop(fake_source(frames(), live=False), dark, [CallbackSink(check)])
    assert len(taken) == 40


def test_faulty_frames_are_dropped_by_reason_and_weak_ones_kept() -> None:
    def faults(frame: Frame) -> tuple[str, ...]:
        return {0: ("black",), 255: ("overexposed",)}.get(int(frame[0, 0, 0]), ())

    shades = [np.full((32, 32, 3), value, np.uint8) for value in (0, 90, 255, 0)]
    sink = Recorder()
    counters = run_loop(fake_source(shades, live=False, faults=faults), dark, [sink])
    assert (counters.captured, counters.processed) == (4, 2)
    assert counters.dropped == {"black": 2}
    assert counters.faults == {"black": 2, "overexposed": 1}
    assert [o.captured.faults for o in sink.frame_result] == [(), ("overexposed",)]


@pytest.mark.parametrize("apart", [True, False])
def test_events_stay_where_they_happened(apart: bool) -> None:
    first, second = drawn_frames(2)
    told: list[object] = []
    sink = CallbackSink(lambda o: told.append(o.captured.frame_id), lambda e: told.append(e.kind))
    lost = event_now("camera_lost", "timeout", "no frame for 5 s")
    run_loop(fake_source([first, lost, second], live=False), dark, [sink], apart=apart)
    assert told == [0, "camera_lost", 1, "run_closed"]


def test_frames_that_never_arrived_are_counted() -> None:
    source = fake_source(drawn_frames(10), live=False)
    kept = (item for item in source.items if getattr(item, "frame_id", 0) not in (3, 4, 7))
    object.__setattr__(source, "items", kept)
    counters = run_loop(source, dark, [])
    assert (counters.captured, counters.processed) == (10, 7)
    assert counters.dropped == {"overrun": 3}


@pytest.mark.parametrize("apart", [True, False])
def test_the_limit_counts_segmented_frames(apart: bool) -> None:
    counters = run_loop(fake_source(drawn_frames(), live=False), dark, [], frames=7, apart=apart)
    assert counters.processed == 7
    assert balanced(counters)


def test_stop_ends_an_endless_run_with_its_last_event() -> None:
    source, sink = fake_source(drawn_frames(), fps=200), Recorder()
    threading.Timer(0.2, source.stop.set).start()
    counters = run_loop(source, dark, [sink])
    assert counters.processed > 0
    assert balanced(counters)
    assert sink.events[-1].kind == "run_closed"


def test_nothing_apart_stays_in_the_thread_of_the_caller() -> None:
    threads, source = set[int](), fake_source(drawn_frames(), live=False)

    def frames() -> Iterator[Captured | Event]:
        for item in items:
            threads.add(threading.get_ident())
            yield item

    def write(frame_result: FrameResult) -> None:
        threads.add(threading.get_ident())
        if frame_result.captured.frame_id == 4:
            source.stop.set()

    items = source.items
    object.__setattr__(source, "items", frames())
    counters = run_loop(source, dark, [CallbackSink(write)], apart=False)
    assert threads == {threading.get_ident()}
    assert counters.processed == 5
    assert balanced(counters)


def failing_engine(frame: Frame) -> Result:
    raise EngineError("the engine is gone")


def failing_measure(mask: object, frame: object) -> list[object]:
    raise ZeroDivisionError


def failing_source() -> Iterator[Frame]:
    yield from drawn_frames(3)
    raise InputError("the lens fell off")


def failing_write(frame_result: FrameResult) -> None:
    raise OSError("no space left")


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("broken", "error", "failed"),
    [
        ({"segment": failing_engine}, EngineError, True),
        ({"measure": failing_measure}, ZeroDivisionError, True),
        ({"sinks": [CallbackSink(failing_write)]}, OSError, True),
        ({"frames": failing_source}, InputError, False),
    ],
    ids=["engine", "measure", "sink", "source"],
)
def test_an_error_anywhere_ends_the_run_with_balanced_books(
    live: bool, apart: bool, broken: dict[str, Any], error: type[Exception], failed: bool
) -> None:
    parts: dict[str, Any] = {"frames": drawn_frames, "segment": dark, "sinks": [], **broken}
    source = fake_source(parts.pop("frames")(), live=live)
    counters = Counters()
    with pytest.raises(error):
        run_loop(source, counters=counters, apart=apart, **parts)
    assert bool(counters.dropped["failed"]) == failed
    assert balanced(counters)


def test_capture_engine_and_sinks_work_at_the_same_time() -> None:
    all_three = threading.Barrier(3)

    def frames() -> Iterator[Frame]:
        for i, frame in enumerate(drawn_frames(3)):
            if i == 2:
                all_three.wait(10)
            yield frame

    seen = itertools.count()

    def engine(frame: Frame) -> Result:
        if next(seen) == 1:
            all_three.wait(10)
        return dark(frame)

    def write(frame_result: FrameResult) -> None:
        if frame_result.captured.frame_id == 0:
            all_three.wait(10)

    run_loop(fake_source(frames(), live=False), engine, [CallbackSink(write)])
    assert not all_three.broken


def test_an_engine_that_crashes_loses_one_frame_and_says_so() -> None:
    sink, calls = Recorder(), itertools.count()

    def segment(frame: Frame) -> Result:
        if next(calls) == 3:
            raise EngineCrash("engine fake: its process died of SIGSEGV")
        return dark(frame)

    counters = run_loop(fake_source(drawn_frames(8), live=False), segment, [sink])
    assert [o.captured.frame_id for o in sink.frame_result] == [0, 1, 2, 4, 5, 6, 7]
    [crash, _] = sink.events
    assert (crash.kind, "SIGSEGV" in crash.detail) == ("engine_crashed", True)
    assert counters.dropped == {"engine_crashed": 1}
    assert balanced(counters)
