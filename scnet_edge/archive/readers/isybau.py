"""ISYBAU XML of 2013 and 2017: the condition data of pipes, with the films that show them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from scnet_edge.archive.coding import CodedInspection, Condition
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
_PIPE = "1"  # Anlagentyp: a pipe between two manholes; others are manholes and structures
_MARKS = {"A": "start", "B": "end"}


def read_isybau(root: Element) -> list[CodedInspection]:
    """Return the inspections of pipes."""
    return read_bounded(_inspections(root))


def _inspections(root: Element) -> Iterator[CodedInspection]:
    for collection in all_of(root, "Datenkollektive/Zustandsdatenkollektiv"):
        films = _films(collection)
        for plant in all_of(collection, "InspizierteAbwassertechnischeAnlage"):
            if text_at(plant, "Anlagentyp") in ("", _PIPE):
                yield from _of_pipe(plant, films)


def _films(collection: Element) -> dict[str, tuple[str, ...]]:
    """Return the films by the name of what they show."""
    films = defaultdict[str, dict[str, None]](dict)
    for film in all_of(collection, "Filme/Film"):
        name, folder = text_at(film, "Filmname"), text_at(film, "Filmpfad")
        for shown in all_of(film, "FilmObjekte/FilmObjekt"):
            if name:
                at = f"{folder}\\{name}" if folder else name
                films[text_at(shown, "Objektbezeichnung")][at] = None
    return {shown: tuple(names) for shown, names in films.items()}


def _of_pipe(plant: Element, films: dict[str, tuple[str, ...]]) -> Iterator[CodedInspection]:
    pipe = text_at(plant, "Objektbezeichnung")
    for inspection in all_of(plant, "OptischeInspektion"):
        for run in all_of(inspection, "Rohrleitung"):
            size_mm = positive(text_at(run, "RGrunddaten/Profilhoehe"))
            states = all_of(run, "Inspektionsdaten/RZustand")
            yield CodedInspection(
                system="isybau",
                pipe=pipe,
                from_node=text_at(run, "RGrunddaten/KnotenZulauf"),
                to_node=text_at(run, "RGrunddaten/KnotenAblauf"),
                direction=direction_of(text_at(run, "Inspektionsrichtung")),
                date=iso_date(text_at(inspection, "Inspektionsdatum")),
                diameter_mm=size_mm,
                material=text_at(run, "RGrunddaten/Material"),
                length_m=positive(text_at(run, "Inspektionslaenge")),
                operator=text_at(inspection, "NameUntersucher"),
                films=films.get(pipe, ()),
                conditions=join_stretches(map(_condition, states)),
            )


def _condition(state: Element) -> tuple[Condition, str, str]:
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
        film_s=_film_s(text_at(state, "Timecode"), text_at(state, "Videozaehler")),
        quantity=number(text_at(state, "Quantifizierung1Numerisch")),
        text=text_at(state, "Kommentar") or text_at(state, "Langtext"),
        pictures=(photo,) if photo else (),
    )
    mark = _MARKS.get(text_at(state, "Streckenschaden"), "")
    return condition, mark, text_at(state, "StreckenschadenLfdNr")


def _film_s(timecode: str, counter: str) -> float | None:
    """Return seconds: of the time code HHMMSSff, or of the counter, which is mostly seconds."""
    match = re.fullmatch(r"(\d{2})(\d{2})(\d{2})\d{2}", timecode)
    if match and timecode != "00000000":
        return 3600.0 * int(match[1]) + 60 * int(match[2]) + int(match[3])
    return film_time(timecode if ":" in timecode else counter)
