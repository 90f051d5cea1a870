"""Red and blue swapped? Nothing in a frame says so; other frames of the same kind do.

Concrete may be warm or cold: DeepCrack's images are 7 to 10 grey levels redder than blue, those of
CrackForest 6 to 10 bluer. So there is no rule on the tint itself. It is compared with the tint of
frames that were opened elsewhere, and doubted where the other order would fit clearly better.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WEAK = 2.0  # grey levels; nearer to grey than this, the order of the colours hardly shows
CLEAR = 2.0  # standard errors by which the swapped order must fit better


def swapped_colours(ours: Sequence[float], others: Sequence[float], whose: str) -> str:
    """Return why frames look like RGB for BGR beside others; empty if they do not.

    Args:
        ours: Mean of red minus blue of each frame, in grey levels.
        others: That of frames of the same kind; none, and nothing can be said.
        whose: What the others are called.
    """
    if not (ours and others):
        return ""
    mean, theirs = float(np.mean(ours)), float(np.mean(others))
    weak = min(abs(mean), abs(theirs)) < WEAK
    better = abs(mean - theirs) - abs(mean + theirs)  # by how much the swapped order is nearer
    error = float(np.hypot(*(np.std(tints) / np.sqrt(len(tints)) for tints in (ours, others))))
    if weak or better <= CLEAR * error:
        return ""
    return (
        f"frames that are {_tint(mean)} where those of {whose} are {_tint(theirs)}, as if red and "
        "blue were swapped (if both are right: scnet-edge calibrate --colours-checked)"
    )


def _tint(mean: float) -> str:
    return f"{abs(mean):.1f} grey levels {'redder than blue' if mean > 0 else 'bluer than red'}"
