"""A sink behind a bounded queue and a thread: whatever its device does, the loop goes on."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import Generic, Literal, Protocol, TypeVar

from scnet_edge.events import Event
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.runtime.status import SinkStats

FLUSH_S = 1.0  # what a power cut may cost
CLOSE_S = 4.0  # so that all is over within 5 s of a SIGTERM
EVENT_ROOM = 256  # events wait beside the frames; there are few, and they matter more

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Lost(OSError):
    """Items that were put and never arrived; only `Outlet.close` raises it."""

    def __init__(self, items: int, why: str) -> None:
        super().__init__(why)
        self.items = items


class Outlet(Protocol[T]):
    """How one kind of result is written.

    Attributes:
        depth: how many items may wait.
    """

    depth: int

    def prepare(self, item: FrameResult | Event) -> T | None:
        """Return what is to be written, or None for nothing; quick, called by the loop."""
        ...

    def put(self, item: T) -> None:
        """Write it, called by the queue's thread; an OSError loses this item and no more."""
        ...

    def flush(self) -> None:
        """Bring what was written to safety; called every second. An OSError says that it is not."""
        ...

    def close(self) -> None:
        """Finish what was written; `Lost` says how much of it was not."""
        ...


class Queued(Generic[T]):
    """A `Sink` that hands everything to an outlet in a thread of its own.

    A full queue drops its oldest frame, or with `backpressure` makes the writer wait: files' own
    frames can wait too. A write that fails is counted, logged once, and tried anew with the next;
    after a bug of the outlet's, nothing is tried any more, and all is counted.

    Attributes:
        outlet: where things go; closed with the sink.

    Args:
        outlet: as the attribute.
        name: for logs, metrics and the live page; without passwords.
        on_failure: called whenever items could not be written.
    """

    def __init__(
        self,
        outlet: Outlet[T],
        name: str,
        *,
        backpressure: bool = False,
        on_failure: Callable[[], object] = lambda: None,
    ) -> None:
        self.name = name
        self.outlet = outlet
        self._patient = backpressure
        self._on_failure = on_failure
        self._frames: deque[tuple[int, T]] = deque()
        self._events: deque[tuple[int, T]] = deque()
        self._accepted = self._written = self._dropped = self._failed = self._busy = 0
        self._errors: dict[Literal["put", "save"], str] = {}
        self._bug: BaseException | None = None
        self._closing = False
        self._changed = Condition()
        self._thread = Thread(target=self._work, name=f"sink {name}", daemon=True)
        self._thread.start()

    @property
    def stats(self) -> SinkStats:
        """The books at this moment."""
        with self._changed:
            return SinkStats(
                name=self.name,
                accepted=self._accepted,
                written=self._written,
                dropped=self._dropped,
                failed=self._failed,
                waiting=len(self._frames) + len(self._events) + self._busy,
                error="; ".join(dict.fromkeys(self._errors.values())),
            )

    def write(self, frame_result: FrameResult) -> None:
        """Queue one frame's results."""
        item = self.outlet.prepare(frame_result)
        if item is not None:
            self._enqueue(item, self._frames, self.outlet.depth)

    def note(self, event: Event) -> None:
        """Queue an event."""
        item = self.outlet.prepare(event)
        if item is not None:
            self._enqueue(item, self._events, EVENT_ROOM)

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Write what waits and finish; a device that still hangs after `timeout_s` is left behind.

        Raises:
            Exception: what the outlet raised, if it was no OSError.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.error(
                "sink %s: still stuck %g s after the end; %d items are lost",
                self.name,
                timeout_s,
                self.stats.waiting,
            )
        bug, self._bug = self._bug, None
        if bug is not None:
            raise bug

    def _enqueue(self, item: T, queue: deque[tuple[int, T]], room: int) -> None:
        with self._changed:
            if self._patient:
                self._changed.wait_for(lambda: len(queue) < room or self._over)
            self._accepted += 1
            if not self._over:
                if len(queue) >= room:
                    queue.popleft()
                    self._dropped += 1
                queue.append((self._accepted, item))
                self._changed.notify_all()
                return
            self._failed += 1
        self._on_failure()

    @property
    def _over(self) -> bool:
        return self._closing or self._bug is not None

    def _work(self) -> None:
        flush_at_s = time.monotonic() + FLUSH_S
        try:
            while not self._drain():
                for item in self._take(flush_at_s - time.monotonic()):
                    self._put(item)
                if time.monotonic() >= flush_at_s:
                    self._attempt(self.outlet.flush, "save")
                    flush_at_s = time.monotonic() + FLUSH_S
            self._attempt(self.outlet.close, "save")
        except BaseException as e:  # a bug of ours, for `close` to raise
            self._give_up(e)

    def _give_up(self, bug: BaseException) -> None:
        error = f"{type(bug).__name__}: {bug}"
        with self._changed:
            self._bug, self._errors["put"] = bug, error
            self._failed += self._busy + len(self._frames) + len(self._events)
            self._busy = 0
            self._frames.clear()
            self._events.clear()
            self._changed.notify_all()
        logger.error("sink %s: %s; it takes nothing any more", self.name, error)
        self._on_failure()

    def _drain(self) -> bool:
        with self._changed:
            return self._closing and not self._frames and not self._events

    def _take(self, timeout_s: float) -> list[T]:
        """Return the oldest item in a list, or an empty list when none came in time."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._frames or self._events or self._closing, max(0.0, timeout_s)
            )
            queues = [queue for queue in (self._frames, self._events) if queue]
            if not queues:
                return []
            self._busy = 1
            self._changed.notify_all()
            return [min(queues, key=lambda queue: queue[0][0]).popleft()[1]]

    def _put(self, item: T) -> None:
        written = self._attempt(lambda: self.outlet.put(item), "put")
        with self._changed:
            self._busy = 0
            self._written += written
            self._failed += not written
        if not written:
            self._on_failure()

    def _attempt(self, action: Callable[[], None], step: Literal["put", "save"]) -> bool:
        """Return whether it worked; say so where that changed."""
        try:
            action()
        except OSError as e:
            error = e.strerror or str(e)
            with self._changed:
                known = error in self._errors.values()
                self._errors[step] = error
            if not known:
                logger.error("sink %s: %s; what it cannot take is counted", self.name, error)
            if isinstance(e, Lost) and e.items:
                self._take_back(e.items)
            return False
        with self._changed:
            mended = self._errors.pop(step, "") and not self._errors
        if mended:
            logger.warning("sink %s: works again", self.name)
        return True

    def _take_back(self, items: int) -> None:
        """Count what was written as failed after all."""
        with self._changed:
            self._written -= items
            self._failed += items
        self._on_failure()
