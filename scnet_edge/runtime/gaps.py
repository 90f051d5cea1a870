"""Stretches that were not inspected, as events of their own: what a map must show as unseen."""

from __future__ import annotations

from dataclasses import replace

from scnet_edge.runtime.events import Event, event_now
from scnet_edge.types import Captured

LEAST_S = 0.5  # a shorter one is a frame or two, which the frames on either side still show


class GapWatch:
    """Follows items and what became of them; says when a gap has ended.

    A gap lasts from the last frame that was segmented to the next one. Its reason is what began it.
    """

    def __init__(self) -> None:
        self._gap: Event | None = None
        self._inspected_ns: int | None = None
        self._latest_ns = 0

    def follow(self, item: Captured | Event, skipped: str | None = None) -> tuple[Event, ...]:
        """Take an item and, for a frame, why it was not segmented; return the gap it ends."""
        self._latest_ns = item.mono_ns
        if isinstance(item, Event):
            if item.kind in ("camera_lost", "camera_waiting"):
                self._begin("camera_lost", item.mono_ns)
            return ()
        if skipped is None:
            self._inspected_ns = item.mono_ns
            return self.end(item.mono_ns)
        if skipped != "rate":  # thinned out on purpose: its neighbours are inspected
            self._begin(skipped, item.mono_ns)
            self._extend(item.frame_id)
        return ()

    def end(self, mono_ns: int | None = None) -> tuple[Event, ...]:
        """Close the gap that is open, by default at the latest item; nothing if it is too short."""
        gap, self._gap = self._gap, None
        end_ns = self._latest_ns if mono_ns is None else mono_ns
        if gap is None or gap.from_mono_ns is None or end_ns - gap.from_mono_ns < LEAST_S * 1e9:
            return ()
        seconds = (end_ns - gap.from_mono_ns) / 1e9
        detail = f"not inspected for {seconds:.1f} s"
        now = event_now("gap", gap.reason, detail)
        return (replace(gap, detail=detail, mono_ns=end_ns, utc_ns=now.utc_ns),)

    def _begin(self, reason: str, mono_ns: int) -> None:
        if self._gap is None:
            since_ns = mono_ns if self._inspected_ns is None else self._inspected_ns
            self._gap = replace(event_now("gap", reason), from_mono_ns=since_ns)

    def _extend(self, frame_id: int) -> None:
        assert self._gap is not None
        first_id = self._gap.first_frame_id
        first_id = frame_id if first_id is None else first_id
        self._gap = replace(self._gap, first_frame_id=first_id, last_frame_id=frame_id)
