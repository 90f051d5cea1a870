"""What is read while a worker is timed: power, heat, clocks, and the processor time of others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from scnet_edge.machine.description import system_text
from scnet_edge.machine.telemetry import Telemetry, read_sensors

IDLE = (3, 4)  # idle and iowait, of the columns of /proc/stat
COLUMNS = 8  # user to steal; what guests took is in user already


@contextmanager
def sample_sensors(into: list[Telemetry], *, every_s: float) -> Iterator[None]:
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


@contextmanager
def watch_others(pid: int, into: list[float]) -> Iterator[None]:
    """Add to `into` the share of all cores that neither `pid` nor this process used meanwhile.

    What a hypervisor gave to its other guests counts as used. Nothing is added without /proc.
    """
    before = _ticks(pid)
    yield
    after = _ticks(pid)
    if before and after and (total := after[0] - before[0]) > 0:
        of_others = (after[1] - before[1]) - (after[2] - before[2])
        into.append(round(min(1.0, max(0.0, of_others / total)), 4))


def _ticks(pid: int) -> tuple[int, int, int] | None:
    """Return the ticks of all cores: that passed, that anything used, that `pid` and we used."""
    first = system_text("/proc/stat").partition("\n")[0].split()[1 : COLUMNS + 1]
    ours = [_process_ticks(p) for p in (pid, os.getpid())]
    if len(first) < COLUMNS or None in ours:
        return None
    columns = [int(value) for value in first]
    passed = sum(columns)
    return passed, passed - sum(columns[i] for i in IDLE), sum(t for t in ours if t is not None)


def _process_ticks(pid: int) -> int | None:
    """Return the ticks in user and kernel of all threads of a process; None where it is gone."""
    after_name = system_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(after_name[11]) + int(after_name[12]) if after_name else None
