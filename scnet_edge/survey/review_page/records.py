"""What the page knows of each record, which one to look at first, and its outline to edit.

A ring is the pixels along one edge of a mask, around it or around a hole. Rings are simplified so
that a hand can work with them; only what was edited changes the mask, the rest stays to the pixel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, get_args

import cv2
import numpy as np

from scnet_edge.errors import InputError
from scnet_edge.inspection.records import Kind, Observation, Opening
from scnet_edge.survey.codes import OPENINGS, Codes, suggest
from scnet_edge.survey.evidence import picture_path
from scnet_edge.survey.folder import Survey
from scnet_edge.survey.report import words
from scnet_edge.survey.sorting import MIN_CONFIDENCE, REASONS, set_aside
from scnet_edge.types import Mask

OPENING_WORDS: dict[Opening, str] = {
    "surface": "on the surface",
    "crack": "closed",
    "open": "open, a fracture",
}
Ring: TypeAlias = list[tuple[float, float]]  # x, y in pixels, 0, 0 the middle of the first

FINEST_PX = 1.0  # that a simplified ring may be off
MOST_POINTS = 300  # of a mask's rings together, if coarser ones will do
COARSEST_PX = 8.0
MOST_RINGS, MOST_CORNERS = 2000, 20_000  # that a page may send
SUBPIXEL_BITS = 4


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


def trace_outline(mask: Mask) -> list[Ring]:
    """Return the rings of a mask, (h, w) bool, as fine as some hundred points allow."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    tolerance_px = FINEST_PX
    while True:
        rings = [cv2.approxPolyDP(ring, tolerance_px, closed=True) for ring in found]
        if tolerance_px >= COARSEST_PX or sum(map(len, rings)) <= MOST_POINTS:
            return [[(float(x), float(y)) for x, y in ring[:, 0]] for ring in rings]
        tolerance_px *= 1.5


def draw(rings: Sequence[Ring], size_hw: tuple[int, int]) -> Mask:
    """Return the mask, (h, w) bool, inside the rings and on them; a ring in another is a hole."""
    canvas = np.zeros(size_hw, np.uint8)
    scale = 1 << SUBPIXEL_BITS
    corners = [np.round(np.asarray(ring) * scale).astype(np.int32) for ring in rings if ring]
    if corners:
        cv2.fillPoly(canvas, corners, 1, shift=SUBPIXEL_BITS)
    return canvas > 0


def edit(mask: Mask, rings: Sequence[Ring]) -> Mask:
    """Return a mask, (h, w) bool, as `rings` make it, instead of those of `trace_outline`.

    Raises:
        InputError: rings without end or out of the picture, or nothing is left.
    """
    check_rings(rings, mask.shape)
    before, after = draw(trace_outline(mask), mask.shape), draw(rings, mask.shape)
    changed = np.where(before != after, after, mask).astype(np.uint8)
    _, labels = cv2.connectedComponents(changed, connectivity=8)
    kept = np.isin(labels, np.unique(labels[after])) & (labels > 0)  # no crumbs of what was removed
    if not kept.any():
        raise InputError("the outline is empty; reject the record instead")
    return kept


def check_rings(rings: Sequence[Ring], size_hw: tuple[int, ...]) -> None:
    """Raise InputError where there are too many rings or corners, or one is out of the picture."""
    if len(rings) > MOST_RINGS or sum(map(len, rings)) > MOST_CORNERS:
        raise InputError(f"expected up to {MOST_RINGS} rings and {MOST_CORNERS} corners")
    if not any(rings):
        return
    corners = np.array([corner for ring in rings for corner in ring], np.float64)  # (n, 2) x, y
    inside = (corners >= -0.5) & (corners <= np.array(size_hw[1::-1]) - 0.5)
    if not inside.all():
        raise InputError("a corner lies outside of the picture")
