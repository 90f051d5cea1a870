"""Stretches that were not inspected, as events of their own: what a map must show as unseen."""

from __future__ import annotations

from dataclasses import replace

from scnet_edge.events import Event, event_now
from scnet_edge.types import Captured

LEAST_S = 0.5  # a shorter one is a frame or two, which the frames on either side still show
TOLD_S = 3.0  # so long a camera may give nothing usable before that is told
DECAY = 0.9  # how fast a film's usual step may become shorter
STALL = 2  # times the usual step from frame to frame; less is an engine that is merely slow


class GapWatch:
    """Follows what became of every item; says when a gap has ended.

    A gap lasts from the last frame that was inspected to the next one. Its reason is what began it:
    a lost camera, a fault, a crash of the engine or, of a `live` source, `dropped` where there was
    no time for its frames.
    """

    def __init__(self, *, live: bool = True, step_s: float | None = None) -> None:
        """Begin.

        Args:
            live: a camera, of which frames may be dropped for lack of time.
            step_s: the usual time between the frames of a film: where it is much longer, a
                gap `no_picture` lies between; None for what is no film.
        """
        self._live, self._film = live, step_s is not None
        self._gap: Event | None = None
        self._told = False  # that the gap lasts
        self._inspected: tuple[int, int] | None = None  # the last one's id and time
        # From one inspected frame to the next, of a film from any frame to the next.
        self._usual_ns = max(LEAST_S / STALL, step_s or 0.0) * 1e9
        self._missed = 0  # frames since the last one that the loop had and did not inspect
        self._latest_ns: int | None = None
        self._zero_ns: int | None = None  # when the film began, by the clock of its frames

    def note(self, event: Event) -> None:
        """Take an event: without a camera, a gap begins."""
        if event.kind != "gap":  # which the source itself tells of
            self._latest_ns = event.mono_ns
        if event.kind in ("camera_lost", "camera_waiting"):
            self._begin("camera_lost", event.mono_ns)

    def miss(self, captured: Captured, reason: str) -> tuple[Event, ...]:
        """Take a frame that was not inspected, and why; return, once, that a gap lasts.

        A camera may be black for hours, and the gap is told when it ends.
        """
        self._note_time(captured)
        self._missed += 1
        if reason != "rate":  # thinned out on purpose: its neighbours are inspected
            self._begin(reason, captured.mono_ns, still_since_ns=captured.still_since_ns)
            self._extend(captured.frame_id, captured.frame_id)
        return self._tell_lasting(captured.mono_ns)

    def inspect(self, captured: Captured) -> tuple[Event, ...]:
        """Take a frame that was inspected; return the gap it ends."""
        self._note_time(captured)
        if self._live and self._inspected is not None:
            self._step(*self._inspected, captured)
        self._inspected, self._missed = (captured.frame_id, captured.mono_ns), 0
        return self.end(captured.mono_ns)

    def end(self, mono_ns: int | None = None) -> tuple[Event, ...]:
        """Close the gap that is open, by default at the latest item; nothing if it is too short."""
        gap, self._gap, self._told = self._gap, None, False
        end_ns = self._latest_ns if mono_ns is None else mono_ns
        if gap is None or gap.from_mono_ns is None or end_ns is None:
            return ()
        if end_ns - gap.from_mono_ns < LEAST_S * 1e9:
            return ()
        seconds = (end_ns - gap.from_mono_ns) / 1e9
        detail = f"not inspected for {seconds:.1f} s"
        if self._zero_ns is not None:
            from_s, to_s = ((at - self._zero_ns) / 1e9 for at in (gap.from_mono_ns, end_ns))
            detail += f", from {from_s:.1f} s to {to_s:.1f} s of the film"
        now = event_now("gap", gap.reason, detail)
        return (replace(gap, detail=detail, mono_ns=end_ns, utc_ns=now.utc_ns),)

    def _note_time(self, captured: Captured) -> None:
        """Take a frame's time; where the one before it in a film is long ago, a gap began then."""
        before_ns, self._latest_ns = self._latest_ns, captured.mono_ns
        if captured.time_s is not None:
            self._zero_ns = captured.mono_ns - round(captured.time_s * 1e9)
        if not self._film or before_ns is None:
            return
        step_ns = captured.mono_ns - before_ns
        if self._gap is None and step_ns > STALL * self._usual_ns:
            self._gap = replace(event_now("gap", "no_picture"), from_mono_ns=before_ns)
        self._usual_ns = max(min(step_ns, STALL * self._usual_ns), DECAY * self._usual_ns)

    def _step(self, last_id: int, last_ns: int, captured: Captured) -> None:
        """Begin a gap where frames were dropped and the step to this one is unusually long."""
        step_ns, dropped = captured.mono_ns - last_ns, captured.frame_id - last_id - 1
        if self._gap is None and dropped > self._missed and step_ns > STALL * self._usual_ns:
            self._begin("dropped", last_ns)
            self._extend(last_id + 1, captured.frame_id - 1)
        self._usual_ns = min(step_ns, STALL * self._usual_ns)

    def _begin(self, reason: str, mono_ns: int, *, still_since_ns: int | None = None) -> None:
        if self._gap is None:
            since_ns = mono_ns if self._inspected is None else self._inspected[1]
            if still_since_ns is not None:  # all that was inspected since then was one picture
                since_ns = min(since_ns, still_since_ns)
            self._gap = replace(event_now("gap", reason), from_mono_ns=since_ns)

    def _tell_lasting(self, now_ns: int) -> tuple[Event, ...]:
        gap = self._gap
        if not self._live or self._told or gap is None or gap.from_mono_ns is None:
            return ()
        if now_ns - gap.from_mono_ns < TOLD_S * 1e9:
            return ()
        self._told = True
        return (event_now("gap_began", gap.reason, f"no frame could be used for {TOLD_S:g} s"),)

    def _extend(self, first_id: int, last_id: int) -> None:
        assert self._gap is not None
        if self._gap.first_frame_id is not None:
            first_id = self._gap.first_frame_id
        self._gap = replace(self._gap, first_frame_id=first_id, last_frame_id=last_id)
