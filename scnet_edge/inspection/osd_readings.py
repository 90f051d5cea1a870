"""What a distance counter can have shown: numbers of its texts, and what no camera moves."""

from __future__ import annotations

import re
from collections import Counter
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Values: TypeAlias = npt.NDArray[np.float64]
MAX_SPEED_MPS = 5.0
_LEAST_READINGS = 4  # a text that was read less often is no counter
_SLACK_M = 0.05  # what a counter may round
_LONGEST_GAP_S = 5.0  # without a right reading, after which the counter may show anything
_LAST_NUMBER = re.compile(
    r"(?<![\d.,:])(?:(\d{1,5})[.,](\d{1,3})(?![\d.,]|:\d)|(\d{1,7})(?=[\s:.]*(?:m|ft)))"
)
_ALIKE = str.maketrans({"O": "0", "o": "0", "I": "1", "l": "1", "|": "1"})


def plausible(readings: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return readings that a camera can have passed, without misreadings.

    A misreading is either further away than the camera could go, or stands out from the readings
    before and after it: a digit was taken for another. A counter that is set to another value goes
    on from there; a few readings that fit nothing else are none.
    """
    chain = _longest_chain(readings)
    if len(chain) < _LEAST_READINGS:
        return []
    first, last = chain[0], chain[-1]
    kept = _without_outliers([readings[i] for i in chain])
    return [*plausible(readings[:first]), *kept, *plausible(readings[last + 1 :])]


def _longest_chain(readings: list[tuple[float, float]]) -> list[int]:
    """Return the indices of the most readings of which each can be reached from the one before."""
    count, before = [1] * len(readings), [-1] * len(readings)
    for i, (time_s, metres) in enumerate(readings):
        for j in range(i - 1, -1, -1):
            way_s, way_m = time_s - readings[j][0], abs(metres - readings[j][1])
            if way_s > _LONGEST_GAP_S:
                break
            if way_m <= MAX_SPEED_MPS * way_s + _SLACK_M and count[j] >= count[i]:
                count[i], before[i] = count[j] + 1, j
    chain, at = [], max(range(len(readings)), key=count.__getitem__, default=-1)
    while at >= 0:
        chain.append(at)
        at = before[at]
    return chain[::-1]


def numbers_of(texts: list[str]) -> list[float | None]:
    """Return the numbers of a counter's texts: `12.34`, `DIST 0012,3 m`; None where there is none.

    A decimal mark is the smallest thing in a picture. Where only that was not recognised, it stands
    where most of the other texts have it.
    """
    found = [_LAST_NUMBER.findall(text.translate(_ALIKE)) for text in texts]
    split = [numbers[-1] if numbers else ("", "", "") for numbers in found]
    decimals = Counter(len(after) for _, after, _ in split if after)
    usual = decimals.most_common(1)[0][0] if decimals else 0
    return [_number(before, after, unmarked, usual) for before, after, unmarked in split]


def _number(before: str, after: str, unmarked: str, decimals: int) -> float | None:
    if after:
        return float(f"{before}.{after}")
    if not unmarked or len(unmarked) <= decimals:
        return None
    return int(unmarked) / float(10**decimals)


def _without_outliers(readings: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Leave out what lies off the way between its neighbours; twice, for two that are adjacent."""
    for _ in range(2):
        times_s, metres = np.array(readings).T
        kept = [i for i in range(len(readings)) if _lies_between(times_s, metres, i)]
        readings = [readings[i] for i in kept] if len(kept) >= _LEAST_READINGS else readings
    return readings


def _lies_between(times_s: Values, metres: Values, i: int) -> bool:
    """Return whether a reading lies on the lines from the two before it to the two after it.

    It may be off by the counter's rounding, and by half a step of a camera that starts or stops.
    """
    before, after = np.arange(max(0, i - 2), i), np.arange(i + 1, min(i + 3, len(metres)))
    if not len(before) or not len(after):
        before, after = np.split(np.concatenate([before, after]), 2)  # an end: prolonged
    one, other = (side.ravel() for side in np.meshgrid(before, after))
    share = (times_s[i] - times_s[one]) / (times_s[other] - times_s[one])
    expected_m = np.median(metres[one] + share * (metres[other] - metres[one]))
    step_m = max(float(np.ptp(metres[side])) for side in (before, after))
    return bool(abs(metres[i] - expected_m) <= _SLACK_M + 0.5 * step_m)
