"""Where in a film's picture its distance counter is, found by what it does.

Overlaid text stays where it is while the scene behind it moves: its edges are in most frames. Of
the texts found so, the counter is the one whose number changes as a camera can move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import msgspec
import numpy as np

from scnet_edge.errors import ConfigError, InputError
from scnet_edge.inspection.osd_readings import MAX_SPEED_MPS, numbers_of
from scnet_edge.types import Frame, Mask
from scnet_edge.video.still import read_length_s, read_still

SCHEME = "osd://"
LOOKS = 24  # frames that are looked at, over the whole film
_EDGE, _STAYS = 200, 0.45  # grey levels of an edge; share of the frames that have it
_GAP, _TALL, _WIDE = 21, (8, 64), 1.2  # pixels between letters; of a text; width over height
_MOST_TEXTS = 24
_LEAST_SHARE, _LEAST_DIFFERENT = 0.5, 3  # of the looks that show a number; different numbers


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
    for place in _standing_texts([frame for _, frame in looks]):
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


def _standing_texts(frames: Sequence[Frame]) -> list[CounterPlace]:
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
