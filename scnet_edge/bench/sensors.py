"""Power, heat and clocks while a worker is busy: after its answer they are those of rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from scnet_edge.machine.telemetry import Telemetry, read_sensors


@contextmanager
def sampled(into: list[Telemetry], *, every_s: float) -> Iterator[None]:
    """Add what the sensors say to `into`, in a thread, for as long as the body runs."""
    done = Event()

    def sample() -> None:
        while not done.wait(every_s):
            into.append(read_sensors())

    thread = Thread(target=sample, name="sensors", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
