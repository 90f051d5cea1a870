"""The distance that a film shows: the counter burned into its picture, read as text.

    osd://auto                      found by itself: the text that counts as a camera moves
    osd://560,20,140,32             x, y, width and height of the counter, in pixels
    osd://560,20,140,32?unit=ft     its unit, if it is not metres; osd://auto?unit=ft, too

The film is read once beforehand, twice a second. What no camera can have moved is a misreading,
and is left out; the rest is odometry like any other, interpolated to every frame. The text is
recognised by RapidOCR, whose package brings its model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import numpy as np

from scnet_edge.errors import ConfigError, CutShort, install_extra
from scnet_edge.inspection.osd_counter import (
    SCHEME,
    CounterPlace,
    find_counter,
    numbers_of,
    plausible,
)
from scnet_edge.types import Captured, Frame
from scnet_edge.video.sources import open_source

AUTO = "auto"
EVERY_S = 0.5
_UNITS_M = {"m": 1.0, "ft": 0.3048}
_LEAST_SCORE = 0.6  # of a recognition
_SAME = 24  # grey levels that a pixel may flicker without the text being another


class Counter(msgspec.Struct, frozen=True, kw_only=True):
    """What an `osd://` URI names.

    Attributes:
        place: where the counter is; None where that is to be found.
        unit_m: what its number means.
    """

    place: CounterPlace | None
    unit_m: float = 1.0


class CounterRead(msgspec.Struct, frozen=True, kw_only=True):
    """What a film's counter has shown.

    Attributes:
        place: where it is; None where none was found.
        readings: (seconds of the film, metres), times going up.
    """

    place: CounterPlace | None
    readings: list[tuple[float, float]]


def parse_counter(uri: str) -> Counter:
    """Return what an `osd://` URI names.

    Raises:
        ConfigError: not four whole numbers, a size of 0, or an unknown unit.
    """
    named, _, query = uri.removeprefix(SCHEME).partition("?")
    match = re.fullmatch(r"(\d{1,5}),(\d{1,5}),(\d{1,5}),(\d{1,5})", named)
    options = dict(parse_qsl(query, keep_blank_values=True))
    unit_m = _UNITS_M.get(options.pop("unit", "m"))
    known = match is not None or named == AUTO
    empty = match is not None and not all(map(int, match.groups()[2:]))
    if not known or unit_m is None or options or empty:
        raise ConfigError(
            f"{uri}: expected osd://auto or osd://x,y,width,height in pixels, ?unit=m or ft"
        )
    if match is None:
        return Counter(place=None, unit_m=unit_m)
    x, y, width, height = map(int, match.groups())
    return Counter(place=CounterPlace(x=x, y=y, width=width, height=height), unit_m=unit_m)


def check_recogniser() -> None:
    """Raise ConfigError unless RapidOCR is installed."""
    if find_spec("rapidocr") is None:
        raise ConfigError(f"osd:// needs RapidOCR; {install_extra('archive')}")


def read_counter(film: Path, counter: Counter) -> CounterRead:
    """Return what the counter of a film has shown, in metres.

    Raises:
        ConfigError: RapidOCR is not installed, or the counter lies outside the picture.
        InputError: the film cannot be decoded; one that is cut is read up to there.
    """
    recognise = _recogniser()
    place = counter.place or find_counter(film, recognise)
    if place is None:
        return CounterRead(place=None, readings=[])
    with open_source(str(film)) as source:
        shown = list(_texts(_keep_until_cut(source), place, recognise))
    numbers = numbers_of([text for _, text in shown])
    readings = [
        (time_s, round(number * counter.unit_m, 4))
        for (time_s, _), number in zip(shown, numbers, strict=True)
        if number is not None
    ]
    return CounterRead(place=place, readings=plausible(readings))


def _texts(
    frames: Iterable[Captured], place: CounterPlace, recognise: Callable[[Frame], str]
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
        crop = place.of(captured.frame)
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
