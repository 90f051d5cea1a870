"""DWA-M 150 XML: one pipe with its inspection; the codes are suggestions, not certified."""

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
    video_time,
    with_chainage,
    write_tree,
)
from scnet_edge.survey.folder import Survey

MANHOLE, CIRCULAR, WITH_THE_FLOW = "S", "0", "I"


def write_m150(survey: Survey, codes: Codes, folder: Path) -> list[Path]:
    """Write `m150.xml`; a crack without a chainage has no station and is left out."""
    found = with_chainage(survey, "m150-xml")
    states: Tree = [("HZ", state) for o in found for state in _states(survey, o, codes)]
    site = survey.facts.site
    nodes = [name for name in (site.from_node, site.to_node) if name]
    manholes: Tree = [("KG", [("KG001", name), ("KG305", MANHOLE)]) for name in nodes]
    path = folder / "m150.xml"
    write_tree(path, ElementTree.Element("DATA"), [*manholes, ("HG", _pipe(survey, states))])
    return [path]


def _pipe(survey: Survey, states: Tree) -> Tree:
    facts, site = survey.facts, survey.facts.site
    diameter = facts.geometry.get("diameter_mm")
    size = None if diameter is None else f"{diameter:.0f}"
    length_m = survey.length_m
    inspection: Tree = [
        ("HI101", WITH_THE_FLOW),
        ("HI104", facts.created[:10]),
        ("HI105", facts.created[11:19]),
        ("HI112", site.operator),
        ("HI116", facts.source.replace("\\", "/").split("/")[-1]),
        *states,
    ]
    return [
        ("HG001", site.pipe_id or "1"),
        ("HG003", site.from_node),
        ("HG004", site.to_node),
        ("HG102", site.place),
        ("HG304", site.material),
        ("HG305", CIRCULAR if size else None),
        ("HG306", size),
        ("HG307", size),
        ("HG310", None if length_m is None else f"{length_m:.2f}"),
        ("HI", inspection),
    ]


def _states(survey: Survey, observation: Observation, codes: Codes) -> Iterator[Tree]:
    """Yield one record; of a continuous crack two, A at its start and B at its end."""
    suggestion = suggest(observation, codes)
    main, opening, direction = suggestion.en13508.split()
    width_mm = suggestion.en13508_width_mm
    ends = [(observation.start_m, "A"), (observation.end_m, "B")]
    for at_m, mark in ends if suggestion.continuous else [(observation.start_m, "")]:
        clock = (observation.clock_from, observation.clock_to)
        first, last = (None if at is None else str(hour(at)) for at in clock)
        yield [
            ("HZ001", f"{station_m(survey, at_m):.2f}"),
            ("HZ002", main),
            ("HZ003", None if width_mm is None else f"{width_mm:g}"),
            ("HZ005", f"{mark}{observation.seq}" if mark else None),
            ("HZ006", first),
            ("HZ007", last),
            ("HZ008", video_time(observation)),
            ("HZ009", observation.snapshot),
            ("HZ010", comment(observation)),
            ("HZ014", None if opening == "?" else opening),
            ("HZ015", direction),
        ]
