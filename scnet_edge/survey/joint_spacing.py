"""Where the joints of a pipe are, told by how evenly the unsure records lie.

Pipes of a run are of one length, so joints, and roots in them, come back at one distance. Cracks do
not. Of all lengths from 0.5 m to 6 m the one is taken at which the most records lie at multiples,
against what chance would put there. An odometer slips, so this is done for stretches of 30 m.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SHORTEST_M, LONGEST_M = 0.5, 6.0  # of a pipe between two joints
WIDE_M = 0.1  # along the pipe, of what belongs to a joint
STRETCH_M = 30.0
FEWEST_JOINTS = 5  # with records
CHANCE = 1e-6  # that records without joints lie so evenly, all lengths that are tried together


@dataclass(frozen=True, slots=True, kw_only=True)
class JointSpacing:
    """Joints at first_m + n * length_m, in metres of chainage."""

    first_m: float
    length_m: float

    def distance_m(self, chainage_m: float) -> float:
        """Return how far the nearest joint is."""
        return abs(math.remainder(chainage_m - self.first_m, self.length_m))


def distances_to_joints_m(chainages_m: Sequence[float]) -> list[float]:
    """Return how far from a joint each chainage is, as far as they tell; else infinity.

    Args:
        chainages_m: of records that may be joints or roots, in any order.
    """
    found = [math.inf] * len(chainages_m)
    stretches: dict[int, list[int]] = {}
    for i, chainage_m in enumerate(chainages_m):
        stretches.setdefault(math.floor(chainage_m / STRETCH_M), []).append(i)
    for members in stretches.values():
        if spacing := find_spacing([chainages_m[i] for i in members]):
            for i in members:
                found[i] = spacing.distance_m(chainages_m[i])
    return found


def find_spacing(chainages_m: Sequence[float]) -> JointSpacing | None:
    """Return where the joints of a stretch are, or None where the records do not say."""
    at = np.asarray(chainages_m, np.float64)
    if len(at) < FEWEST_JOINTS:
        return None
    best, least = None, CHANCE
    lengths = _lengths(float(np.ptp(at)))
    for length_m in lengths.tolist():
        spacing, count = _fullest(at, length_m)
        chance = len(lengths) * _chance(len(at), count, WIDE_M / length_m)
        if chance < least:
            best, least = spacing, chance
    if best is None:
        return None
    joints = {round((x - best.first_m) / best.length_m) for x in at if best.distance_m(x) <= WIDE_M}
    return best if len(joints) >= FEWEST_JOINTS else None


def _lengths(span_m: float) -> npt.NDArray[np.float64]:
    """Return lengths of which the next moves the last joint by a fifth of what belongs to it."""
    growth = math.log(LONGEST_M / SHORTEST_M)
    steps = math.ceil(growth * span_m / (0.2 * WIDE_M))
    return SHORTEST_M * np.exp(np.linspace(0, growth, steps + 1))


def _fullest(at: npt.NDArray[np.float64], length_m: float) -> tuple[JointSpacing, int]:
    """Return the joints of a length with the most records within `WIDE_M`, and how many."""
    within = np.sort(at % length_m)
    twice = np.concatenate([within, within + length_m])
    counts = np.searchsorted(twice, within + WIDE_M, side="right") - np.arange(len(at))
    first = int(counts.argmax())
    count = min(int(counts[first]), len(at))
    middle = (twice[first] + twice[first + count - 1]) / 2
    return JointSpacing(first_m=float(middle), length_m=length_m), count


def _chance(n: int, k: int, share: float) -> float:
    """Return the chance that k of n or more fall into a share, wherever that begins; 1 at most."""
    if k <= n * share:
        return 1.0
    return min(
        1.0, n * sum(math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(k, n + 1))
    )
