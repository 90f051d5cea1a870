"""The distance that a film shows: the counter burned into its picture, read as text.

    osd://560,20,140,32             x, y, width and height of the counter, in pixels
    osd://560,20,140,32?unit=ft     its unit, if it is not metres

The film is read once beforehand, twice a second. What no camera can have moved is a misreading,
and is left out; the rest is odometry like any other, interpolated to every frame. The text is
recognised by RapidOCR, whose package brings its model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.errors import ConfigError, CutShort, install_extra
from scnet_edge.types import Captured, Frame
from scnet_edge.video.sources import open_source

SCHEME = "osd://"
Values: TypeAlias = npt.NDArray[np.float64]
EVERY_S = 0.5
MAX_SPEED_MPS = 5.0
_UNITS_M = {"m": 1.0, "ft": 0.3048}
_LEAST_SCORE = 0.6  # of a recognition
_LEAST_READINGS = 4  # a text that was read less often is no counter
_SLACK_M = 0.05  # what a counter may round
_SAME = 24  # grey levels that a pixel may flicker without the text being another
_LONGEST_GAP_S = 5.0  # without a right reading, after which the counter may show anything
_LAST_NUMBER = re.compile(
    r"(?<![\d.,:])(?:(\d{1,5})[.,](\d{1,3})(?![\d.,]|:\d)|(\d{1,7})(?=[\s:.]*(?:m|ft)))"
)
_ALIKE = str.maketrans({"O": "0", "o": "0", "I": "1", "l": "1", "|": "1"})


class CounterPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where in the picture the counter is, and what its number means."""

    x: int
    y: int
    width: int
    height: int
    unit_m: float = 1.0

    def of(self, frame: Frame) -> Frame:
        """Return the counter's part of a frame, (h, w, 3) uint8 BGR.

        Raises:
            ConfigError: it lies outside the frame.
        """
        h, w = frame.shape[:2]
        if self.x + self.width > w or self.y + self.height > h:
            raise ConfigError(
                f"{SCHEME}{self.x},{self.y},{self.width},{self.height}: outside the film's "
                f"{w}x{h} pixels; measure the counter in a frame"
            )
        return frame[self.y : self.y + self.height, self.x : self.x + self.width]


def parse_counter(uri: str) -> CounterPlace:
    """Return what an `osd://` URI names.

    Raises:
        ConfigError: not four whole numbers, a size of 0, or an unknown unit.
    """
    parts = urlsplit(uri)
    match = re.fullmatch(r"(\d{1,5}),(\d{1,5}),(\d{1,5}),(\d{1,5})", parts.netloc + parts.path)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unit_m = _UNITS_M.get(options.pop("unit", "m"))
    if match is None or unit_m is None or options or "0" in match.groups()[2:]:
        raise ConfigError(f"{uri}: expected osd://x,y,width,height in pixels, ?unit=m or ft")
    x, y, width, height = map(int, match.groups())
    return CounterPlace(x=x, y=y, width=width, height=height, unit_m=unit_m)


def check_recogniser() -> None:
    """Raise ConfigError unless RapidOCR is installed."""
    if find_spec("rapidocr") is None:
        raise ConfigError(f"osd:// needs RapidOCR; {install_extra('archive')}")


def read_counter(film: Path, counter: CounterPlace) -> list[tuple[float, float]]:
    """Return (seconds of the film, metres) as the counter shows them, times going up.

    Raises:
        ConfigError: RapidOCR is not installed, or the counter lies outside the picture.
        InputError: the film cannot be decoded; one that is cut is read up to there.
    """
    recognise = _recogniser()
    with open_source(str(film)) as source:
        shown = list(_texts(_keep_until_cut(source), counter, recognise))
    numbers = numbers_of([text for _, text in shown])
    readings = [
        (time_s, round(number * counter.unit_m, 4))
        for (time_s, _), number in zip(shown, numbers, strict=True)
        if number is not None
    ]
    return plausible(readings)


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


def _texts(
    frames: Iterable[Captured], counter: CounterPlace, recognise: Callable[[Frame], str]
) -> Iterator[tuple[float, str]]:
    """Yield the time and the counter's text; one that has not changed is not read again."""
    due_s = 0.0
    last: Frame | None = None
    text = ""
    for captured in frames:
        time_s = captured.time_s
        if time_s is None or time_s < due_s or not captured.frame.size:
            continue
        due_s = time_s + EVERY_S
        crop = counter.of(captured.frame)
        if last is None or _has_changed(last, crop):
            text, last = recognise(crop), crop.copy()
        yield round(time_s, 4), text


def _has_changed(before: Frame, now: Frame) -> bool:
    """Return whether a text may be another: a pixel differs by more than noise and codec."""
    return bool(np.abs(before.astype(np.int16) - now).max() > _SAME)


def _keep_until_cut(frames: Iterable[Captured]) -> Iterator[Captured]:
    try:
        yield from frames
    except CutShort:
        return


def _recogniser() -> Callable[[Frame], str]:
    """Return what reads the text of a crop; on one thread, without finding or turning it."""
    check_recogniser()
    from rapidocr import RapidOCR

    threads = "EngineConfig.onnxruntime.intra_op_num_threads"
    engine = RapidOCR(params={threads: 1, "Global.log_level": "critical"})

    def recognise(crop: Frame) -> str:
        read: Any = engine(crop, use_det=False, use_cls=False, use_rec=True)
        texts, scores = read.txts or ("",), read.scores or (0.0,)
        return str(texts[0]) if scores[0] >= _LEAST_SCORE else ""

    return recognise
