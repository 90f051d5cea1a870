"""Observations for a map (RFC 7946): on the course that pipe.toml gives as `line_lonlat`, or where
their photographs were taken. Properties are flat, so that a map can be styled by any of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from scnet_edge.config import write_json
from scnet_edge.inspection.records import Observation
from scnet_edge.survey.codes import Codes
from scnet_edge.survey.exchange.table import row_of
from scnet_edge.survey.folder import Survey

LonLat: TypeAlias = tuple[float, float]
EARTH_M = 6_371_008.8  # mean radius
DIGITS = 8  # of a degree: about a millimetre


def write_geojson(survey: Survey, codes: Codes, folder: Path) -> list[Path]:
    """Write `observations.geojson`; where no place is known, the geometry is null."""
    features = [_feature(survey, o, codes) for o in survey.observations]
    path = folder / "observations.geojson"
    write_json(path, {"type": "FeatureCollection", "features": features}, indent=1)
    return [path]


def along(line: Sequence[LonLat], start_m: float, end_m: float) -> list[LonLat]:
    """Return the part of a course between two chainages; empty where it does not reach so far."""
    ends = [0.0]
    for before, after in pairwise(line):
        ends.append(ends[-1] + distance_m(before, after))
    if len(line) < 2 or start_m < 0 or end_m > ends[-1]:
        return []
    inner = [place for place, at in zip(line, ends, strict=True) if start_m < at < end_m]
    places = [_at(line, ends, start_m), *inner, _at(line, ends, end_m)]
    return [(round(lon, DIGITS), round(lat, DIGITS)) for lon, lat in places]


def distance_m(one: LonLat, other: LonLat) -> float:
    """Return the distance of two places on the globe, by the haversine formula."""
    (lon1, lat1), (lon2, lat2) = ([math.radians(v) for v in place] for place in (one, other))
    square = math.sin((lat2 - lat1) / 2) ** 2
    square += math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_M * math.asin(math.sqrt(square))


def _at(line: Sequence[LonLat], ends: Sequence[float], chainage_m: float) -> LonLat:
    i = next((i for i, end in enumerate(ends[1:]) if chainage_m <= end), len(line) - 2)
    share = (chainage_m - ends[i]) / max(ends[i + 1] - ends[i], 1e-9)
    (lon1, lat1), (lon2, lat2) = line[i], line[i + 1]
    return lon1 + share * (lon2 - lon1), lat1 + share * (lat2 - lat1)


def _feature(survey: Survey, observation: Observation, codes: Codes) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": observation.seq,
        "geometry": _geometry(survey.facts.site.line_lonlat, observation),
        "properties": row_of(survey, observation, codes),
    }


def _geometry(line: Sequence[LonLat], observation: Observation) -> dict[str, Any] | None:
    places: list[LonLat] = []
    if observation.start_m is not None and observation.end_m is not None:
        places = along(line, observation.start_m, observation.end_m)
    photograph = observation.photograph
    if not places and photograph is not None and photograph.lonlat is not None:
        places = [photograph.lonlat]
    if not places:
        return None
    if len(set(places)) == 1:
        return {"type": "Point", "coordinates": places[0]}
    return {"type": "LineString", "coordinates": places}
