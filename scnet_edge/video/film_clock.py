"""The times of a film's pictures: its own, from 0 at its beginning, always growing."""

from __future__ import annotations

LONGEST_PAUSE_S = 10.0  # in a stream of packets a longer one is another recording's clock
LATEST_START_S = 10.0  # a first picture later than this has another clock than the header
KEY_BACKWARDS, BACKWARDS = (
    0.5,
    5,
)  # steps; less is rounding, or times that were written in the order of decoding


class FilmClock:
    """Turns the times that a file states into seconds since its beginning.

    Attributes:
        step_s: the usual time from one picture to the next.
    """

    def __init__(self, start_s: float | None, step_s: float, *, may_restart: bool) -> None:
        """Begin.

        Args:
            start_s: when the file says that it begins; None where it does not.
            step_s: what to add for a picture without a time.
            may_restart: the format's clock may start anew, as in joined transport streams.
        """
        self.step_s = step_s
        self._start_s = start_s
        self._may_restart = may_restart
        self._zero_s: float | None = None
        self._last_s: float | None = None
        self._passed_s: float | None = None  # of pictures left out since the last key frame

    def at(self, stated_s: float | None, *, key_frame: bool) -> tuple[float, str]:
        """Return a picture's time, and what is odd about it: how the file's clock has jumped.

        Another recording begins with a key frame, so there a small step backwards counts as well.
        """
        if self._zero_s is None:
            self._zero_s = self._begin(stated_s)
        time_s, last_s, jump = self._since_zero(stated_s), self._last_s, ""
        if key_frame and self._passed_s is not None:
            last_s, self._passed_s = max(self._passed_s, last_s or 0.0), None
        if last_s is not None and stated_s is not None and self._may_restart:
            way_s = time_s - last_s
            backwards = way_s < -self.step_s * (KEY_BACKWARDS if key_frame else BACKWARDS)
            if backwards or way_s > LONGEST_PAUSE_S:
                jump = f"the file's clock jumps by {way_s:+.1f} s at {last_s:.1f} s; time goes on"
                time_s = last_s + self.step_s
                self._zero_s = stated_s - time_s
        if self._last_s is not None and time_s <= self._last_s:
            time_s = self._last_s + min(self.step_s, 0.001)
        self._last_s = time_s
        return time_s, jump

    def passed(self, time_s: float) -> None:
        """Take the time of a picture that is left out."""
        self._passed_s = max(time_s, self._passed_s or 0.0)

    def of_packet(self, stated_s: float | None) -> float:
        """Return the time of a packet whose picture may never come; nothing changes."""
        time_s, last_s = self._since_zero(stated_s), self._last_s
        if self._may_restart and last_s is not None and abs(time_s - last_s) > LONGEST_PAUSE_S:
            return last_s + self.step_s
        return time_s

    def _since_zero(self, stated_s: float | None) -> float:
        if stated_s is None:
            return 0.0 if self._last_s is None else self._last_s + self.step_s
        zero_s = self._begin(stated_s) if self._zero_s is None else self._zero_s
        return stated_s - zero_s

    def _begin(self, stated_s: float | None) -> float:
        """Return what the file's clock says at 0 s, by its first picture and its header."""
        if self._start_s is None or stated_s is None:
            return stated_s or self._start_s or 0.0
        early = 0 <= stated_s - self._start_s <= LATEST_START_S
        return self._start_s if early else stated_s
