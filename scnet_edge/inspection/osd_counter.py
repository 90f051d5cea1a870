"""Where in a film's picture its distance counter is, and what it can have shown.

Overlaid text stays where it is while the scene behind it moves: its edges are in most frames. Of
the texts found so, the counter is the one whose number changes as a camera can move.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.errors import ConfigError, InputError
from scnet_edge.types import Frame, Mask
from scnet_edge.video.still import read_length_s, read_still

SCHEME = "osd://"
LOOKS = 24  # frames that are looked at, over the whole film
_EDGE, _STAYS = 200, 0.45  # grey levels of an edge; share of the frames that have it
_GAP, _TALL, _WIDE = 21, (8, 64), 1.2  # pixels between letters; of a text; width over height
_MOST_TEXTS = 24
_LEAST_SHARE, _LEAST_DIFFERENT = 0.5, 3  # of the looks that show a number; different numbers
Values: TypeAlias = npt.NDArray[np.float64]
MAX_SPEED_MPS = 5.0
_LEAST_READINGS = 4  # a text that was read less often is no counter
_SLACK_M = 0.05  # what a counter may round
_LONGEST_GAP_S = 5.0  # without a right reading, after which the counter may show anything
_LAST_NUMBER = re.compile(
    r"(?<![\d.,:])(?:(\d{1,5})[.,](\d{1,3})(?![\d.,]|:\d)|(\d{1,7})(?=[\s:.]*(?:m|ft)))"
)
_ALIKE = str.maketrans({"O": "0", "o": "0", "I": "1", "l": "1", "|": "1"})


class CounterPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A rectangle of a picture, in pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def uri(self) -> str:
        """How `--odometry` names it."""
        return f"{SCHEME}{self.x},{self.y},{self.width},{self.height}"

    def of(self, frame: Frame) -> Frame:
        """Return the counter's part of a frame, (h, w, 3) uint8 BGR.

        Raises:
            ConfigError: it lies outside the frame.
        """
        h, w = frame.shape[:2]
        if self.x + self.width > w or self.y + self.height > h:
            raise ConfigError(
                f"{self.uri}: outside the film's {w}x{h} pixels; measure the counter in a frame"
            )
        return frame[self.y : self.y + self.height, self.x : self.x + self.width]


def find_counter(film: Path, recognise: Callable[[Frame], str]) -> CounterPlace | None:
    """Return where the counter is; None where no text behaves like one.

    Args:
        film: a video file.
        recognise: returns the text of a crop, (h, w, 3) uint8 BGR.

    Raises:
        InputError: the film cannot be decoded.
    """
    looks = _looks(film)
    best: tuple[float, CounterPlace] | None = None
    for place in _find_standing([frame for _, frame in looks]):
        numbers = numbers_of([recognise(place.of(frame)) for _, frame in looks])
        read = [(t, n) for (t, _), n in zip(looks, numbers, strict=True) if n is not None]
        way_m = _way_m(read, len(looks))
        if way_m is not None and (best is None or way_m > best[0]):
            best = way_m, place
    return None if best is None else best[1]


def _looks(film: Path) -> list[tuple[float, Frame]]:
    """Return frames of the whole film with their times, all of one size."""
    length_s = read_length_s(film)
    if length_s is None:
        raise InputError(f"{film}: states no length; give the counter's place, osd://x,y,w,h")
    times_s = [length_s * (i + 0.5) / LOOKS for i in range(LOOKS)]
    looks = [(time_s, read_still(film, time_s)) for time_s in times_s]
    return [look for look in looks if look[1].shape == looks[0][1].shape]


def _find_standing(frames: Sequence[Frame]) -> list[CounterPlace]:
    """Return the places of texts that stand still, with room for another digit around them."""
    stays = np.mean([_edges(frame) for frame in frames], axis=0) > _STAYS
    joined = cv2.morphologyEx(stays.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, _GAP), np.uint8))
    joined = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, _, boxes, _ = cv2.connectedComponentsWithStats(joined)
    h, w = stays.shape
    places = []
    for x, y, width, height, _ in boxes[1:].tolist():
        if _TALL[0] <= height <= _TALL[1] and width >= _WIDE * height:
            left, top = max(0, x - height), max(0, y - height // 2)
            right, bottom = min(w, x + width + height), min(h, y + height + height // 2)
            places.append(CounterPlace(x=left, y=top, width=right - left, height=bottom - top))
    return sorted(places, key=lambda place: -place.width)[:_MOST_TEXTS]


def _edges(frame: Frame) -> Mask:
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    sides = [np.abs(cv2.Sobel(grey, cv2.CV_32F, *way)) for way in ((1, 0), (0, 1))]
    return np.asarray(np.maximum(*sides) > _EDGE, np.bool_)


def _way_m(read: Sequence[tuple[float, float]], looks: int) -> float | None:
    """Return how far a number goes over a film; None where it is no counter's."""
    values = [value for _, value in read]
    if len(read) < _LEAST_SHARE * looks or len(set(values)) < _LEAST_DIFFERENT:
        return None
    steps = pairwise(read)
    possible = [abs(b - a) <= MAX_SPEED_MPS * (t - s) + 0.05 for (s, a), (t, b) in steps]
    return float(np.ptp(values)) if np.mean(possible) >= 0.8 else None


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
