"""The page: everything that is shown, computed here and escaped by the template."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from scnet_edge.inspection.records import Observation
from scnet_edge.pages import page_template
from scnet_edge.survey.codes import Codes, Limit, Rating, Suggestion, Verdict, judge, rate, suggest
from scnet_edge.survey.folder import Survey
from scnet_edge.survey.report import words
from scnet_edge.survey.report.pictures import Pictures, pictures_of, width_plot
from scnet_edge.survey.report.strip import strip_maps, timeline
from scnet_edge.survey.sorting import REASONS

if TYPE_CHECKING:
    import jinja2

REPORT = "report.html"
FOLDER = Path(__file__).parent
MAX_SECTIONS = 250  # with pictures; about 0.2 MB each
SEVERITY: dict[Verdict, int] = {"above": 3, "undecided": 2, "not measured": 1, "within": 0}


def report_template(path: Path) -> jinja2.Template:
    """Return the template of a page that looks and sorts as the reports do."""
    return page_template(path, style=FOLDER / "report.css", scripts=[FOLDER / "sort.js"])


@dataclass(frozen=True, slots=True, kw_only=True)
class PageEntry:
    """One observation as the page shows it."""

    record: Observation
    suggestion: Suggestion | None  # None on a flat wall: the codes are for pipes
    verdict: Verdict
    title: str
    place: str
    clock: str
    length: str
    short_length: str
    width: str
    seen_at: str
    picture: str  # which frame or photograph stands for it
    notes: list[str]
    plot: Markup | None
    pictures: Pictures | None

    @property
    def css(self) -> str:
        """The class that colours it."""
        return self.verdict.replace(" ", "-")


def render_report(survey: Survey, codes: Codes, limit_name: str, limit: Limit) -> str:
    """Return the report as self-contained HTML: no network, no other file, all text escaped.

    Args:
        survey: what `read_survey` gave; pictures are read from its folder.
        codes: the table of suggestions.
        limit_name: how the page calls the width limit.
        limit: what widths are judged by.
    """
    detailed = _most_severe(survey, limit)
    ordered = sorted(survey.observations, key=_order_along)
    defects = [_defect(survey, o, codes, limit, seq_in=detailed) for o in ordered]
    counted = [d for d in defects if d.record.review != "rejected"]
    shown = [*ordered, *(one for one, _ in survey.aside)]
    values = {
        "survey": survey,
        "facts": survey.facts,
        "defects": defects,
        "sections": [d for d in defects if d.record.seq in detailed],
        "limit_name": limit_name,
        "limit": limit,
        "counted": counted,
        "verdicts": Counter(d.verdict for d in counted),
        "rating": _rate(counted),
        "maps": _maps(survey, {d.record.seq: d.css for d in counted}),
        "length_m": survey.length_m,
        "gap_m": gap_m(survey),
        "words": words,
        "scaled": any(d.record.mm_per_px is not None for d in defects),
        "located": any(words.place_text(o) for o in shown),
        "clocked": any(words.clock_text(o) for o in shown),
        "reasons": REASONS,
        "finished": bool(survey.progress and survey.progress.finished),
    }
    return report_template(FOLDER / REPORT).render(values)


def gap_m(survey: Survey) -> float:
    """Return how much of what was surveyed was not seen."""
    reach_m = survey.length_m or 0.0
    return sum(
        max(0.0, min(gap.end_m, reach_m) - gap.start_m)
        for gap in survey.gaps
        if gap.start_m is not None and gap.end_m is not None
    )


def _order_along(record: Observation) -> tuple[float, ...]:
    """Return what sorts records along the way; those without a place come last, longest first."""
    if record.start_m is None:
        return (math.inf, -record.length_px)
    return (record.segment, record.start_m)


def _most_severe(survey: Survey, limit: Limit) -> set[int]:
    """Return the numbers of those that get a section of their own: all, unless too many."""
    ranked = sorted(
        survey.observations,
        key=lambda o: (
            o.review == "rejected",
            -SEVERITY[judge(o, limit)],
            -o.width_p95_px,
            o.seq,
        ),
    )
    return {o.seq for o in ranked[:MAX_SECTIONS]}


def _defect(
    survey: Survey, record: Observation, codes: Codes, limit: Limit, *, seq_in: set[int]
) -> PageEntry:
    wall = survey.facts.mode == "wall"
    detailed = record.seq in seq_in
    return PageEntry(
        record=record,
        suggestion=None if wall else suggest(record, codes),
        verdict=judge(record, limit),
        title=(words.WALL_KINDS if wall else words.KINDS)[record.kind],
        place=words.place_text(record),
        clock=words.clock_text(record),
        length=words.length_text(record),
        short_length=words.length_text(record, sigma=False),
        width=words.width_text(record),
        seen_at="" if record.time_s is None else words.time_text(record.time_s),
        picture=_picture(survey, record),
        notes=_notes(survey, record),
        plot=_plot(record, limit) if detailed else None,
        pictures=pictures_of(survey.folder, record) if detailed else None,
    )


def _picture(survey: Survey, record: Observation) -> str:
    photograph = record.photograph
    if photograph is not None:
        place = photograph.lonlat and f"at {photograph.lonlat[1]:.6f}, {photograph.lonlat[0]:.6f}"
        taken = photograph.taken and f"taken {photograph.taken.replace('T', ' ')}"
        return ", ".join(filter(None, (photograph.file, taken, place)))
    if survey.facts.fps is None:
        return f"Picture {record.best_frame_id + 1}"
    frames = "1 frame shows" if record.sightings == 1 else f"{record.sightings} frames show"
    return f"Frame {record.best_frame_id + 1} of the film; {frames} it"


def _notes(survey: Survey, record: Observation) -> list[str]:
    notes = [words.FLAGS.get(flag, flag.replace("_", " ")) for flag in record.flags]
    if record.sightings == 1 and survey.facts.fps:
        notes.append("one frame alone shows it")
    return notes


def _plot(record: Observation, limit: Limit) -> Markup | None:
    if record.width_max_mm is None or len(record.width_profile_mm) < 2:
        return None  # under 3 px the profile is the mask's, not the crack's
    svg = width_plot(record.width_profile_mm, unit="mm", limit=limit.width_mm)
    return Markup(svg)


def _rate(defects: list[PageEntry]) -> Rating | None:
    """Return the ratings; None on a flat wall."""
    suggestions = [d.suggestion for d in defects]
    known = [s for s in suggestions if s is not None]
    return rate(known) if len(known) == len(suggestions) else None


def _maps(survey: Survey, classes: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return title and SVG of every strip map; a time line where nothing has a place."""
    observations = survey.counted
    maps = strip_maps(
        observations,
        survey.gaps,
        end_m=survey.length_m,
        around=survey.facts.mode != "wall",
        classes=classes,
    )
    if maps:
        titled = [(f"Segment {segment + 1}" if len(maps) > 1 else "", svg) for segment, svg in maps]
        return [{"title": title, "svg": Markup(svg)} for title, svg in titled]
    if not observations or survey.facts.fps is None:  # photographs have no time
        return []
    frames = survey.progress.frames if survey.progress else observations[-1].last_frame_id + 1
    svg = timeline(observations, frames=frames, fps=survey.facts.fps, classes=classes)
    return [{"title": "", "svg": Markup(svg)}]
