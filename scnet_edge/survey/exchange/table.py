"""One line an observation, for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from scnet_edge.files import write_file
from scnet_edge.inspection.records import Figure, Observation
from scnet_edge.survey.codes import Codes, suggest
from scnet_edge.survey.folder import Survey

PLAIN = (
    "seq",
    "segment",
    "kind",
    "start_m",
    "end_m",
    "start_sigma_m",
    "clock_from",
    "clock_to",
    "angle_deg",
    "branches",
    "tortuosity",
    "confidence",
    "length_px",
    "width_mean_px",
    "width_p95_px",
    "width_max_px",
    "area_px",
    "mm_per_px",
    "sightings",
    "first_frame_id",
    "last_frame_id",
    "best_frame_id",
    "utc_ns",
    "clock_synced",
    "snapshot",
    "review",
)
FIGURES = ("length_mm", "width_mean_mm", "width_p95_mm", "width_max_mm", "area_mm2")
SUGGESTED = ("pacp", "grade", "en13508", "en13508_width_mm")
COLUMNS = (
    *PLAIN,
    *(name for figure in FIGURES for name in (figure, f"{figure}_sigma")),
    *(f"suggested_{name}" for name in SUGGESTED),
    "flags",
    "remarks",
)
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # with these a spreadsheet begins to compute


def write_table(survey: Survey, codes: Codes, folder: Path) -> list[Path]:
    """Write `observations.csv`; what is not known is empty."""
    path = folder / "observations.csv"
    write_rows(path, COLUMNS, (_row(survey, o, codes) for o in survey.observations))
    return [path]


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a CSV file of these columns, UTF-8, with the lines that RFC 4180 asks for."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns), restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    write_file(path, text.getvalue().encode())


def _row(survey: Survey, observation: Observation, codes: Codes) -> dict[str, object]:
    row = {name: getattr(observation, name) for name in PLAIN}
    for name in FIGURES:
        figure: Figure | None = getattr(observation, name)
        if figure is not None:
            row |= {name: figure.value, f"{name}_sigma": figure.sigma}
    if survey.facts.mode != "wall":
        suggestion = suggest(observation, codes)
        row |= {f"suggested_{name}": getattr(suggestion, name) for name in SUGGESTED}
    return {**row, "flags": " ".join(observation.flags), "remarks": observation.remarks}


def _cell(value: object) -> object:
    """Return text that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.startswith(FORMULAS):
        return f"'{value}"
    return "" if value is None else value
