"""ISYBAU XML of 2013, condition data of one pipe; the codes are suggestions, not certified."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from scnet_edge.inspection.records import Observation
from scnet_edge.survey.codes import Codes, suggest
from scnet_edge.survey.exchange.located import (
    Tree,
    comment,
    hour,
    station_m,
    with_chainage,
    write_tree,
)
from scnet_edge.survey.folder import Survey

NAMESPACE = "http" + "://www.ofd-hannover.la/Identifikation"
VERSION, RULES, CODES = "2013-02", "5", "10"  # of the format, of BFR Abwasser, of its code list
COLLECTION = "ZUS01"


def write_isybau(survey: Survey, codes: Codes, folder: Path) -> list[Path]:
    """Write `isybau.xml`; a crack without a chainage has no station and is left out."""
    records = [
        record for o in with_chainage(survey, "isybau-xml") for record in _states(survey, o, codes)
    ]
    root = ElementTree.Element("Identifikation", {"xmlns": NAMESPACE})
    path = folder / "isybau.xml"
    write_tree(path, root, _document(survey, _number(records)))
    return [path]


def _document(survey: Survey, states: Tree) -> Tree:
    facts, site = survey.facts, survey.facts.site
    day = facts.created[:10]
    name = site.pipe_id or "1"
    kind: Tree = [("Inspektion", "1"), ("Dichtheit", "0"), ("Film", "0")]
    collection: Tree = [
        ("Kennung", COLLECTION),
        ("Kollektivart", "2"),
        ("Kollektiveigenschaft", [("Zustandsdaten", kind)]),
        ("Regelwerk", RULES),
        ("Bearbeitungsstand", day),
    ]
    order: Tree = [
        ("Auftragsbezeichnung", f"Inspektion {name}"[:60]),
        ("Auftragskennung", "1"),
        ("Auftragsart", "1"),
        ("Inspektionsort", site.place[:40]),
        ("Inspektionszweck", "2"),
        ("Kodiersystem", CODES),
        ("Systemname", "scnet-edge"),
        ("Version", facts.version[:20]),
        ("InspektionsdatumEnde", day),
    ]
    plant: Tree = [
        ("Objektbezeichnung", name[:30]),
        ("Anlagentyp", "1"),
        ("Lage", [("Strassenname", site.place[:50])] if site.place else None),
        ("OptischeInspektion", _inspection(survey, states)),
    ]
    conditions: Tree = [
        ("Kennung", COLLECTION),
        ("Beschreibung", "Vorschlag eines Programms, von einem Sachkundigen zu prüfen"),
        ("Auftraege", [("Auftrag", order)]),
        ("InspizierteAbwassertechnischeAnlage", plant),
    ]
    property: Tree = [
        ("Liegenschaftsnummer", "0"),
        ("Liegenschaftsbezeichnung", (site.client or name)[:40]),
    ]
    return [
        ("Version", VERSION),
        ("Admindaten", [("Liegenschaft", property)]),
        (
            "Datenkollektive",
            [
                ("Datenstatus", "1"),
                ("Erstellungsdatum", day),
                ("Kommentar", f"scnet-edge {facts.version}, survey {facts.survey_id}"),
                ("Kennungen", [("Kollektiv", collection)]),
                ("Zustandsdatenkollektiv", conditions),
            ],
        ),
    ]


def _inspection(survey: Survey, states: Tree) -> Tree:
    facts, site = survey.facts, survey.facts.site
    diameter = facts.geometry.get("diameter_mm")
    size = None if diameter is None else f"{diameter:.0f}"
    length_m = survey.length_m
    basics: Tree = [
        ("KnotenZulauf", site.from_node[:30]),
        ("KnotenAblauf", site.to_node[:30]),
        ("Profilhoehe", size),
        ("Profilbreite", size),
        ("Profilart", "0" if size else None),
    ]
    pipe: Tree = [
        ("Rohrleitungstyp", "0"),
        ("Inspektionsrichtung", "O"),
        ("Inspektionslaenge", None if length_m is None else f"{length_m:.2f}"),
        ("RGrunddaten", [pair for pair in basics if pair[1]]),
        ("Inspektionsdaten", states),
    ]
    return [
        ("Auftragskennung", "1"),
        ("Inspektionsdatum", facts.created[:10]),
        ("Inspektionsverfahren", "2"),
        ("NameUntersucher", site.operator[:40]),
        ("Uhrzeit", facts.created[11:19]),
        ("Rohrleitung", pipe),
    ]


def _number(records: list[Tree]) -> Tree:
    return [("RZustand", record) for record in records]


def _states(survey: Survey, observation: Observation, codes: Codes) -> Iterator[Tree]:
    """Yield one record; of a continuous crack two, A at its start and B at its end."""
    suggestion = suggest(observation, codes)
    main, opening, direction = suggestion.en13508.split()
    width_mm = suggestion.en13508_width_mm
    ends = [(observation.start_m, "A"), (observation.end_m, "B")]
    for at_m, mark in ends if suggestion.continuous else [(observation.start_m, None)]:
        clock = (observation.clock_from, observation.clock_to)
        first, last = (None if at is None else str(hour(at)) for at in clock)
        yield [
            ("Station", f"{station_m(survey, at_m):.2f}"),
            ("Videozaehler", _counter_s(observation)),
            ("InspektionsKode", main),
            ("Charakterisierung1", None if opening == "?" else opening),
            ("Charakterisierung2", direction),
            ("Quantifizierung1Numerisch", None if width_mm is None else f"{width_mm:g}"),
            ("Streckenschaden", mark),
            ("StreckenschadenLfdNr", str(observation.seq) if mark else None),
            ("PositionVon", first),
            ("PositionBis", last),
            ("Fotodatei", observation.snapshot),
            ("Kommentar", comment(observation)),
        ]


def _counter_s(observation: Observation) -> str | None:
    """Return when in the video, in whole seconds: the format has a number there, no time."""
    return None if observation.time_s is None else str(int(observation.time_s))
