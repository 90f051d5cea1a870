"""What happens to a run besides frames, in the order it happened between them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from scnet_edge.machine.clock import clock_synced

Kind = Literal[
    "camera_waiting",  # no frame yet; `reason` says why, `attempt` how often it was tried
    "camera_found",  # frames arrive, for the first time or again
    "camera_lost",
    "gap_began",  # of a camera, no frame could be used for some seconds; `reason` says why
    "gap",  # nothing was inspected from `from_mono_ns` to `mono_ns`
    "geometry",  # frames have another size from here on; `detail` says which
    "clock_jump",  # a file's own times are not continuous; `detail` says how
    "deinterlaced",  # a film is interlaced from here on; `detail` says who says so
    "engine_crashed",  # its process died under one frame, which is lost; it is started again
    "degraded",  # a cheaper way of working; `reason` is the rule that asked for it
    "recovered",
    "run_closed",  # the last of a run
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the fault log.

    Attributes:
        kind: what happened.
        reason: a short word to count by: `timeout`, `frozen`, `hot`; empty where there is none.
        detail: one line for people, passwords removed.
        mono_ns: CLOCK_MONOTONIC when it happened, or when the gap ended.
        utc_ns: the wall clock then, which may jump.
        clock_synced: whether the wall clock was set from a time server; None where unknown.
        from_mono_ns, first_frame_id, last_frame_id: of a gap, when it began and the frames of it
            that arrived but could not be used; the ids are None where none arrived.
        attempt: of `camera_waiting`, counted from 1.
        file: of a gap that one picture file leaves, the file.
    """

    kind: Kind
    reason: str = ""
    detail: str = ""
    mono_ns: int
    utc_ns: int
    clock_synced: bool | None
    from_mono_ns: int | None = None
    first_frame_id: int | None = None
    last_frame_id: int | None = None
    attempt: int | None = None
    file: str = ""


def event_now(
    kind: Kind, reason: str = "", detail: str = "", *, attempt: int | None = None
) -> Event:
    """Return an event of this moment."""
    return Event(
        kind=kind,
        reason=reason,
        detail=detail,
        mono_ns=time.monotonic_ns(),
        utc_ns=time.time_ns(),
        clock_synced=clock_synced(),
        attempt=attempt,
    )
