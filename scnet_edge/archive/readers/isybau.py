"""ISYBAU XML of 2013 and 2017: the condition data of pipes, with the films that show them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import TypeAlias

from scnet_edge.archive.coding import CodedInspection, Condition, Direction
from scnet_edge.archive.readers.values import (
    Element,
    all_of,
    clock,
    code_of,
    direction_of,
    film_time,
    iso_date,
    join_stretches,
    number,
    positive,
    read_bounded,
    text_at,
)

ROOT = "Identifikation"
_PIPES = ("", "1", "2")  # Anlagentyp: of a sewer, of a house; others are manholes and structures
_FPS = 25.0  # of a time code, where a film does not say
Films: TypeAlias = dict[tuple[str, Direction | None], dict[str, float]]
_MARKS = {"A": "start", "B": "end"}


def read_isybau(root: Element) -> list[CodedInspection]:
    """Return the inspections of pipes."""
    return read_bounded(_inspections(root))


def _inspections(root: Element) -> Iterator[CodedInspection]:
    for collection in all_of(root, "Datenkollektive/Zustandsdatenkollektiv"):
        films = _films(collection)
        for plant in all_of(collection, "InspizierteAbwassertechnischeAnlage"):
            if text_at(plant, "Anlagentyp") in _PIPES:
                yield from _of_pipe(plant, films)


def _films(collection: Element) -> Films:
    """Return the films by what they show, and in which direction, as far as that is said.

    Of each the seconds at which it begins, where time codes are those of a tape.
    """
    films = defaultdict[tuple[str, Direction | None], dict[str, float]](dict)
    for film in all_of(collection, "Filme/Film"):
        name, folder = text_at(film, "Filmname"), text_at(film, "Filmpfad")
        for shown in all_of(film, "FilmObjekte/FilmObjekt"):
            if name:
                way = direction_of(text_at(shown, "Inspektionsrichtung"))
                at = f"{folder}\\{name}" if folder else name
                films[text_at(shown, "Objektbezeichnung"), way][at] = _starts_s(film)
    return dict(films)


def _starts_s(film: Element) -> float:
    """Return the time code of a film's first picture, in seconds."""
    offset = next(all_of(film, "Offsets/Offset"), None)
    if offset is None:
        return 0.0
    shown, frame = number(text_at(offset, "TcFrameNr")), number(text_at(offset, "MPEGFrameNr"))
    fps = positive(text_at(film, "Frame/fps")) or _FPS
    return 0.0 if shown is None or frame is None else max(0.0, (shown - frame) / fps)


def _films_of(films: Films, pipe: str, way: Direction | None) -> dict[str, float]:
    """Return the films of a pipe in a direction; of all directions where none is said."""
    ways = [key for key in films if key[0] == pipe and (way is None or key[1] in (way, None))]
    return {at: start_s for key in ways for at, start_s in films[key].items()}


def _of_pipe(plant: Element, films: Films) -> Iterator[CodedInspection]:
    pipe = text_at(plant, "Objektbezeichnung")
    for inspection in all_of(plant, "OptischeInspektion"):
        for run in all_of(inspection, "Rohrleitung"):
            way = direction_of(text_at(run, "Inspektionsrichtung"))
            shown = _films_of(films, pipe, way)
            start_s = next(iter(shown.values())) if len(shown) == 1 else 0.0
            size_mm = positive(text_at(run, "RGrunddaten/Profilhoehe"))
            states = (
                _condition(state, start_s) for state in all_of(run, "Inspektionsdaten/RZustand")
            )
            yield CodedInspection(
                system="isybau",
                pipe=pipe,
                from_node=text_at(run, "RGrunddaten/KnotenZulauf"),
                to_node=text_at(run, "RGrunddaten/KnotenAblauf"),
                direction=way,
                date=iso_date(text_at(inspection, "Inspektionsdatum")),
                diameter_mm=size_mm,
                material=text_at(run, "RGrunddaten/Material"),
                length_m=positive(text_at(run, "Inspektionslaenge")),
                operator=text_at(inspection, "NameUntersucher"),
                films=tuple(shown),
                conditions=join_stretches(states),
            )


def _condition(state: Element, start_s: float) -> tuple[Condition, str, str]:
    photo = text_at(state, "Fotodatei")
    condition = Condition(
        code=code_of(
            text_at(state, "InspektionsKode"),
            text_at(state, "Charakterisierung1"),
            text_at(state, "Charakterisierung2"),
        ),
        distance_m=number(text_at(state, "Station")),
        clock_from=clock(text_at(state, "PositionVon")),
        clock_to=clock(text_at(state, "PositionBis")),
        film_s=_film_s(text_at(state, "Timecode"), text_at(state, "Videozaehler"), start_s),
        quantity=number(text_at(state, "Quantifizierung1Numerisch")),
        text=text_at(state, "Kommentar") or text_at(state, "Langtext"),
        pictures=(photo,) if photo else (),
    )
    mark = _MARKS.get(text_at(state, "Streckenschaden"), "")
    return condition, mark, text_at(state, "StreckenschadenLfdNr")


def _film_s(timecode: str, counter: str, start_s: float) -> float | None:
    """Return seconds: of the time code HHMMSSff, or of the counter, which is mostly seconds."""
    match = re.fullmatch(r"(\d{2})(\d{2})(\d{2})\d{2}", timecode)
    if match and timecode != "00000000":
        shown_s = 3600.0 * int(match[1]) + 60 * int(match[2]) + int(match[3])
        return max(0.0, shown_s - start_s) if shown_s >= start_s - 1 else None
    return film_time(timecode if ":" in timecode else counter)
