"""The loop of a robot: frames in from a source, masks and cracks out to sinks.

    capture thread       source -> inbox      under `newest` a newer frame replaces one that waits
    the caller's thread  inbox -> segment     the engine, one frame at a time
    delivery thread      measure -> sinks     at most two frames behind the engine

    with open_source("rtsp://camera/1") as source, Pipeline.open(bundle) as pipeline:
        counters = run_loop(source, pipeline, [sink], measure=measure)

How things plug in:

- A **source** is a `Source`: a generator of `Captured` frames and of `Event`s, in their order.
- What **segments** is any function from an (h, w, 3) uint8 BGR frame to a `Result`: a `Pipeline`,
  one in a worker process, a schedule around several.
- A **sink** has `write`, `note` and `close`. It is called from the delivery thread alone, in order;
  whoever made it closes it, after the loop. One that may stall or fail belongs behind a bounded
  queue of its own: here its stall would stall the engine and its exception would end the run.
  Under `every` that is how a file is processed without loss.
- To **consume** frames (a tracker, a journal, a live page), be a sink.
- `source.stop.set()`, from any thread or signal handler, ends the loop after the frames at hand;
  the last thing a sink is told is the event `run_closed`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from queue import SimpleQueue
from threading import Condition
from typing import Literal, TypeAlias

from scnet_edge.errors import CutShort, EngineCrash
from scnet_edge.events import Event, event_now
from scnet_edge.runtime.counters import Counters
from scnet_edge.runtime.delivery import FrameResult, Measure, Sink, open_delivery
from scnet_edge.runtime.gaps import GapWatch
from scnet_edge.types import Captured, Frame, Result
from scnet_edge.video.sources import Source

# Faults that no model should see.
UNUSABLE = frozenset({"corrupt", "geometry", "black", "blank", "frozen"})

Segment: TypeAlias = Callable[[Frame], Result]
Skip: TypeAlias = Callable[[Captured], str | None]
Policy = Literal["newest", "every"]
DEPTH = 2  # frames that may wait under `every`


def unusable(captured: Captured) -> str | None:
    """Return the first fault that keeps a frame from the model; None for a usable frame."""
    return next((fault for fault in captured.faults if fault in UNUSABLE), None)


def run_loop(
    source: Source,
    segment: Segment,
    sinks: Sequence[Sink],
    *,
    policy: Policy | None = None,
    frames: int | None = None,
    measure: Measure = lambda mask, frame: (),
    skip: Skip = unusable,
    counters: Counters | None = None,
    event_queue: SimpleQueue[Event] | None = None,
    apart: bool = True,
) -> Counters:
    """Segment what the source gives until it ends, is stopped, or `frames` were segmented.

    Args:
        source: Frames and events; used up by this.
        segment: (h, w, 3) uint8 BGR -> `Result`; called from this thread alone.
        sinks: Each gets every result and every event, in order.
        policy: `newest` drops frames the engine is too slow for, `every` makes the source wait;
            None for `newest` with a live source and `every` with a file.
        frames: None for no limit.
        measure: (mask, frame) -> cracks; called from the delivery thread.
        skip: The reason not to segment a frame, by which it is counted; None to go on.
        counters: Where to count, for those who watch; the same is returned.
        event_queue: What others (an engine's keeper, a schedule) want every sink to be told.
        apart: Capture and deliver in threads of their own. False: all in the caller's thread, which
            takes the least processor time; for files, where a process runs on every core.

    Raises:
        CutShort: the source is a file that is cut; the sinks have all that it holds.
        InputError: the source cannot go on. Whatever `segment`, `measure` or a sink raises, but
            for `EngineCrash`, which costs its frame and is told to the sinks.
    """
    counters, segmented, cuts = counters or Counters(), 0, list[CutShort]()
    gaps = GapWatch(live=source.live, step_s=source.step_s)
    policy = policy or ("newest" if source.live else "every")
    with (
        open_inbox(source, policy, counters)
        if apart
        else closing(_capture(source, counters)) as inbox,
        open_delivery(sinks, measure, counters, apart=apart) as deliver,
    ):
        for item in _keep_cut(inbox, cuts):
            for event in _take_waiting(event_queue):
                deliver(event)
            if isinstance(item, Event):
                gaps.note(item)
                deliver(item)
            elif reason := skip(item):
                counters.drop(reason)
                for event in gaps.miss(item, reason):
                    deliver(event)
            else:
                try:
                    with counters.drop_on_error():
                        frame_result = _segment(item, segment, live=source.live)
                        for event in gaps.inspect(item):
                            deliver(event)
                        deliver(frame_result)
                except EngineCrash as e:  # an isolated engine: the next frame starts it again
                    deliver(event_now("engine_crashed", detail=str(e)))
                    for event in gaps.miss(item, "engine_crashed"):
                        deliver(event)
                    continue
                segmented += 1
                if segmented == frames:
                    break
        last_gap = gaps.end(time.monotonic_ns() if source.live else None)
        for event in (*_take_waiting(event_queue), *last_gap, event_now("run_closed")):
            deliver(event)
    if cuts:
        raise cuts[0]
    return counters


def _keep_cut(
    items: Iterable[Captured | Event], cuts: list[CutShort]
) -> Iterator[Captured | Event]:
    """Yield items; that the file is cut, which comes after the last, is kept for the end."""
    try:
        yield from items
    except CutShort as e:
        cuts.append(e)


def _take_waiting(event_queue: SimpleQueue[Event] | None) -> Iterator[Event]:
    while event_queue is not None and not event_queue.empty():
        yield event_queue.get()


def _segment(captured: Captured, segment: Segment, *, live: bool) -> FrameResult:
    """Return the frame with its result, not yet measured."""
    start_ns = time.monotonic_ns()
    result = segment(captured.frame)
    done_ns = time.monotonic_ns()
    return FrameResult(
        captured=captured,
        result=result,
        timing_ms=result.timing,
        age_ms=(start_ns - captured.mono_ns) / 1e6 if live else None,
        camera_to_mask_ms=(done_ns - captured.mono_ns) / 1e6 if live else None,
    )


class Inbox:
    """Frames and events on their way from the capture thread to the engine, in their order.

    Under `newest` one frame waits at most: a newer one replaces it, and the older is counted as
    `stale`. Under `every` the writer waits for room. Events are never dropped.
    """

    def __init__(self, policy: Policy, counters: Counters) -> None:
        self._policy = policy
        self._counters = counters
        self._items: deque[Captured | Event] = deque()
        self._changed = Condition()
        self._error: BaseException | None = None
        self._finished = False  # nothing more will be put
        self._shut = False  # nothing more will be taken

    def put(self, item: Captured | Event) -> None:
        """Add an item; a frame may replace one that waits, or wait for room."""
        with self._changed:
            if isinstance(item, Captured):
                self._make_room()
            self._items.append(item)
            if self._shut:
                self._discard()
            self._changed.notify_all()

    def finish(self, error: BaseException | None) -> None:
        """Tell the reader that nothing more comes; an error is raised after what was put."""
        with self._changed:
            self._finished, self._error = True, error
            self._changed.notify_all()

    def shut(self) -> None:
        """Let the writer go on without a reader; what waits or comes counts as `stopped`."""
        with self._changed:
            self._shut = True
            self._discard()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Captured | Event]:
        """Yield what was put, until `finish`."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._finished)
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def _make_room(self) -> None:
        if self._policy == "every":
            self._changed.wait_for(lambda: self._frames_waiting() < DEPTH or self._shut)
        elif stale := self._frames_waiting():
            self._items = deque(item for item in self._items if isinstance(item, Event))
            self._counters.drop("stale", stale)

    def _frames_waiting(self) -> int:
        return sum(isinstance(item, Captured) for item in self._items)

    def _discard(self) -> None:
        if waiting := self._frames_waiting():
            self._counters.drop("stopped", waiting)
        self._items.clear()


@contextmanager
def open_inbox(source: Source, policy: Policy, counters: Counters) -> Iterator[Inbox]:
    """Fill an inbox from the source, in a thread that ends with the context."""
    inbox = Inbox(policy, counters)

    def fill() -> None:
        for item in _capture(source, counters):
            inbox.put(item)

    with ThreadPoolExecutor(1, thread_name_prefix="capture") as pool:
        pool.submit(fill).add_done_callback(lambda done: inbox.finish(done.exception()))
        try:
            yield inbox
        finally:
            source.stop.set()
            inbox.shut()


def _capture(source: Source, counters: Counters) -> Generator[Captured | Event]:
    """Yield what a source gives, and count it, until it ends or is stopped."""
    next_id = 0
    with closing(source.items):
        for item in source.items:
            if isinstance(item, Captured):
                missing = item.frame_id - next_id
                counters.capture(missing + 1, faults=item.faults)
                counters.drop("overrun", missing)
                next_id = item.frame_id + 1
            elif item.last_frame_id is not None:  # frames that the source itself gave up
                lost = item.last_frame_id + 1 - next_id
                counters.capture(lost)
                counters.drop(item.reason, lost)
                next_id += lost
            yield item
            if source.stop.is_set():
                break
