"""Where frames wait for the engine: bounded, and the only place that drops for lack of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Condition
from typing import Literal

from scnet_edge.events import Event
from scnet_edge.runtime.counters import Counters
from scnet_edge.types import Captured
from scnet_edge.video.sources import Source

Policy = Literal["newest", "every"]
DEPTH = 2  # frames that may wait under `every`


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
def arriving(source: Source, policy: Policy, counters: Counters) -> Iterator[Inbox]:
    """Fill an inbox from the source, in a thread that ends with the context."""
    inbox = Inbox(policy, counters)

    def fill() -> None:
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
                inbox.put(item)
                if source.stop.is_set():
                    break

    with ThreadPoolExecutor(1, thread_name_prefix="capture") as pool:
        pool.submit(fill).add_done_callback(lambda done: inbox.finish(done.exception()))
        try:
            yield inbox
        finally:
            source.stop.set()
            inbox.shut()
