"""A cheap model in front of the full one, which it wakes only where something may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from scnet_edge.types import Frame, Result


class Cascade:
    """Segments with `cheap` and, on frames in which that sees enough, with `full`.

    Args:
        cheap, full: Frame -> `Result`.
        threshold: A pixel counts where the cheap model's probability is at least this; below the
            model's own threshold, so that it errs towards waking.
        wake_px: The full model wakes from so many pixels on.
        hold: And stays awake for so many frames after, since a crack seldom ends at once.
    """

    def __init__(
        self,
        cheap: Callable[[Frame], Result],
        full: Callable[[Frame], Result],
        *,
        threshold: float,
        wake_px: int,
        hold: int = 5,
    ) -> None:
        self._cheap = cheap
        self._full = full
        self._threshold = threshold
        self._wake_px = wake_px
        self._hold = hold
        self._awake = 0  # frames it will stay so

    def __call__(self, frame: Frame) -> Result:
        """Return the full model's result, or one without cracks, flagged `gated`."""
        seen = self._cheap(frame)
        timing = {f"gate_{stage}": ms for stage, ms in seen.timing.items()}
        if np.count_nonzero(seen.probability >= self._threshold) >= self._wake_px:
            self._awake = self._hold + 1
        if not self._awake:
            empty = np.zeros_like(seen.mask)
            return replace(seen, mask=empty, timing=timing, flags=(*seen.flags, "gated"))
        self._awake -= 1
        result = self._full(frame)
        return replace(result, timing={**timing, **result.timing})
