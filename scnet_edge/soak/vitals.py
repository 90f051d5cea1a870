"""Does anything grow? Memory, descriptors, threads and processes over a run.

Shared memory has descriptors and no name here, so that a leak of it is one of descriptors.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

SETTLED = (0.3, 0.5)  # shares of the run between which it counts as settled
END = 0.8  # share from which on it is the end
RSS_LIMIT_MB = 20.0
SLACK = {"fds": 3, "threads": 2, "processes": 1}  # a fault may be under way
OWN = ("Pss_Anon:", "Pss_Shmem:")  # memory; pages of files are shared with whoever runs as well
PROC = Path("/proc")
MIN_SLOPE_S = 300.0  # a slope over less says nothing


class Vitals(msgspec.Struct, frozen=True, kw_only=True):
    """This process and its children at one moment; memory shared between them counts once.

    `rss_mb` is without the pages of files.
    """

    at_s: float
    rss_mb: float
    fds: int
    threads: int
    processes: int


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """How a figure changed from when the run had settled to its end."""

    settled: float
    end: float
    limit: float

    @property
    def grew(self) -> float:
        """End minus settled."""
        return self.end - self.settled

    @property
    def leaks(self) -> bool:
        """Whether it grew by more than the limit."""
        return self.grew > self.limit


def read_vitals(at_s: float) -> Vitals:
    """Return what the kernel says of this process and all below it."""
    pids = _family()
    return Vitals(
        at_s=at_s,
        rss_mb=sum(_memory_mb(PROC / pid) for pid in pids),
        fds=sum(_entries(PROC / pid / "fd") for pid in pids),
        threads=sum(_entries(PROC / pid / "task") for pid in pids),
        processes=len(pids),
    )


def growth(samples: Sequence[Vitals]) -> dict[str, Growth]:
    """Return how each figure changed from when the run had settled to its end.

    Memory by its median; what is counted by its least, since a fault that is under way takes some
    and gives it back.
    """
    first_s, last_s = samples[0].at_s, samples[-1].at_s
    share = [(v.at_s - first_s) / max(last_s - first_s, 1e-9) for v in samples]
    settled = [v for v, s in zip(samples, share, strict=True) if SETTLED[0] <= s <= SETTLED[1]]
    end = [v for v, s in zip(samples, share, strict=True) if s >= END]
    found = {}
    for name, limit in {"rss_mb": RSS_LIMIT_MB, **SLACK}.items():
        was = [float(getattr(v, name)) for v in settled or samples]
        now = [float(getattr(v, name)) for v in end]
        typical = statistics.median if name == "rss_mb" else min
        found[name] = Growth(settled=typical(was), end=typical(now), limit=limit)
    return found


def rss_slope_mb_per_h(samples: Sequence[Vitals]) -> float | None:
    """Return the slope of a line through the memory since it settled; None for a short run."""
    start_s = samples[0].at_s + SETTLED[0] * (samples[-1].at_s - samples[0].at_s)
    late = [v for v in samples if v.at_s >= start_s]
    if late[-1].at_s - late[0].at_s < MIN_SLOPE_S:
        return None
    slope = np.polyfit([v.at_s for v in late], [v.rss_mb for v in late], 1)[0]
    return float(3600 * slope)


def _family() -> list[str]:
    """Return this process and its descendants."""
    found = ["self"]
    waiting = _children(PROC / "self")
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += _children(PROC / pid)
    return found


def _children(process: Path) -> list[str]:
    tasks = sorted((process / "task").glob("*/children"))
    return [pid for task in tasks for pid in _text(task).split()]


def _memory_mb(process: Path) -> float:
    """Return the proportional set size: a page that several share is split among them."""
    lines = _text(process / "smaps_rollup").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(OWN)) / 1024


def _entries(folder: Path) -> int:
    try:
        return sum(1 for _ in folder.iterdir())
    except OSError:  # a process that has just ended
        return 0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
