"""What becomes of a result: measured, then handed to every sink, while the engine goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol, TypeAlias

from scnet_edge.events import Event
from scnet_edge.runtime.counters import Counters
from scnet_edge.types import Captured, CrackFigures, Frame, Mask, Result

UNDER_WAY = 2  # results that may be measured and written while the engine works on the next

Measure: TypeAlias = Callable[[Mask, Frame], Sequence[CrackFigures]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameResult:
    """A frame and all that was found in it.

    Attributes:
        captured: the frame, when it was captured, and what is wrong with it.
        result: mask and maps, of the frame's size.
        cracks: what `measure` gave.
        timing_ms: milliseconds by stage of work on this frame, in their order, `measure` last.
        age_ms: from capture to the moment the engine took it; None for a file.
        camera_to_mask_ms: from capture to the mask; None for a file.
    """

    captured: Captured
    result: Result
    cracks: Sequence[CrackFigures] = ()
    timing_ms: Mapping[str, float]
    age_ms: float | None = None
    camera_to_mask_ms: float | None = None


class Sink(Protocol):
    """What takes the results of a run."""

    def write(self, frame_result: FrameResult) -> None:
        """Take one frame's results; its arrays are shared, so they must not be written to."""
        ...

    def note(self, event: Event) -> None:
        """Take what happened between two frames."""
        ...

    def close(self) -> None:
        """Finish what was written; calling it twice is harmless."""
        ...


class CallbackSink:
    """A sink made of functions: the shortest way to look at what a loop gives."""

    def __init__(
        self,
        on_result: Callable[[FrameResult], object] = lambda frame_result: None,
        on_event: Callable[[Event], object] = lambda event: None,
    ) -> None:
        self._on_result = on_result
        self._on_event = on_event

    def write(self, frame_result: FrameResult) -> None:
        """Call `on_result`."""
        self._on_result(frame_result)

    def note(self, event: Event) -> None:
        """Call `on_event`."""
        self._on_event(event)

    def close(self) -> None:
        """Do nothing."""


@contextmanager
def open_delivery(
    sinks: Sequence[Sink], measure: Measure, counters: Counters, *, apart: bool = True
) -> Iterator[Callable[[FrameResult | Event], None]]:
    """Yield a function that hands an item to a thread, which measures it and writes it to all.

    It waits while `UNDER_WAY` items are, and raises what an earlier one raised. Leaving the
    context waits for all that was handed over. Without a thread `apart` it does so itself.
    """
    under_way: deque[Future[None]] = deque()

    def hand_over(item: FrameResult | Event) -> None:
        if isinstance(item, Event):
            for sink in sinks:
                sink.note(item)
            return
        # An error in this thread is counted by the loop.
        with counters.drop_on_error() if apart else nullcontext():
            frame_result = _measure(item, measure)
            for sink in sinks:
                sink.write(frame_result)
        counters.process()

    if not apart:
        yield hand_over
        return
    with ThreadPoolExecutor(1, thread_name_prefix="delivery") as pool:

        def deliver(item: FrameResult | Event) -> None:
            while len(under_way) >= UNDER_WAY:
                under_way.popleft().result()
            under_way.append(pool.submit(hand_over, item))

        yield deliver
        while under_way:
            under_way.popleft().result()


def _measure(frame_result: FrameResult, measure: Measure) -> FrameResult:
    start_s = perf_counter()
    cracks = measure(frame_result.result.mask, frame_result.captured.frame)
    measure_ms = 1e3 * (perf_counter() - start_s)
    return replace(
        frame_result, cracks=cracks, timing_ms={**frame_result.timing_ms, "measure": measure_ms}
    )
