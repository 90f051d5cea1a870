"""What the page knows of each record, and which one a person should look at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from scnet_edge.inspection.records import Kind, Observation, Opening
from scnet_edge.survey.codes import OPENINGS, Codes, suggest
from scnet_edge.survey.evidence import picture_path
from scnet_edge.survey.folder import Survey
from scnet_edge.survey.report import words
from scnet_edge.survey.sorting import MIN_CONFIDENCE, REASONS, set_aside

OPENING_WORDS: dict[Opening, str] = {
    "surface": "on the surface",
    "crack": "closed",
    "open": "open, a fracture",
}


def describe_survey(survey: Survey, codes: Codes) -> dict[str, Any]:
    """Return what is said of the whole survey, and its records, the least certain first."""
    site, wall = survey.facts.site, survey.facts.mode == "wall"
    reasons = {one.seq: why for one, why in set_aside(survey).aside}
    records = sorted(survey.observations, key=lambda one: _certainty(one, reasons))
    return {
        "title": site.pipe_id or survey.facts.source,
        "place": " → ".join(filter(None, (site.from_node, site.to_node))),
        "source": survey.facts.source,
        "fps": survey.facts.fps,
        "choices": _list_choices(codes, wall=wall),
        "records": [_describe(one, codes, reasons, survey) for one in records],
    }


def describe_record(survey: Survey, seq: int, codes: Codes) -> dict[str, Any]:
    """Return what the page shows of one record."""
    reasons = {one.seq: why for one, why in set_aside(survey).aside}
    [one] = (o for o in survey.observations if o.seq == seq)
    return _describe(one, codes, reasons, survey)


def _describe(
    one: Observation, codes: Codes, reasons: Mapping[int, str], survey: Survey
) -> dict[str, Any]:
    wall, suggestion = survey.facts.mode == "wall", suggest(one, codes)
    return {
        "seq": one.seq,
        "title": (words.WALL_KINDS if wall else words.KINDS)[one.kind],
        "kind": one.kind,
        "opening": suggestion.opening,
        "codes": [] if wall else [suggestion.pacp, suggestion.en13508],
        "place": words.place_text(one),
        "start_m": one.start_m,
        "clock": words.clock_text(one),
        "clock_h": [one.clock_from, one.clock_to],
        "length": words.length_text(one, sigma=False),
        "width": words.width_text(one),
        "confidence": round(one.confidence, 3),
        "bbox_xyxy": one.bbox_xyxy,
        "time_s": one.time_s,
        "aside": REASONS.get(reasons.get(one.seq, ""), ""),
        "notes": [words.FLAGS.get(flag, flag) for flag in one.flags],
        "picture": picture_path(survey.folder, one) is not None,
        "review": one.review,
        "remarks": one.remarks,
        "by": one.reviewed_by,
        "utc": one.reviewed_utc,
    }


def _certainty(one: Observation, reasons: Mapping[int, str]) -> tuple[bool, bool, float, int]:
    """Return by what records are put in order: to review first, then what could go either way.

    A joint or a water line is seen at a glance; what lies next to the confidence that parts the
    report from what stands aside needs a person most.
    """
    decided = one.review != "needs_review"
    structure = reasons.get(one.seq) in ("joint", "water_line")
    return decided, structure, abs(one.confidence - MIN_CONFIDENCE), one.seq


def _list_choices(codes: Codes, *, wall: bool) -> list[dict[str, str]]:
    """Return what a person may take a crack for: kind and opening, with the codes of both."""
    names, table = words.WALL_KINDS, codes.en13508
    found = []
    for kind in get_args(Kind):
        for opening, character in OPENINGS.items():
            pacp = (codes.pacp.fracture if opening == "open" else codes.pacp.crack)[kind].code
            coded = f"{pacp} / {table.main} {character} {table.direction[kind]}: "
            text = f"{names[kind] if wall else coded + kind}, {OPENING_WORDS[opening]}"
            found.append({"kind": kind, "opening": opening, "text": text})
    return found
