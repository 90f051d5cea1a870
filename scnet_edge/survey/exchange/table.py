"""One line an observation, for spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scnet_edge.errors import ConfigError
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
    "time_s",
    "utc_ns",
    "clock_synced",
    "snapshot",
    "review",
)
FIGURES = ("length_mm", "width_mean_mm", "width_p95_mm", "width_max_mm", "area_mm2")
SUGGESTED = ("pacp", "grade", "en13508", "en13508_width_mm")
REVIEWED = ("remarks", "reviewed_by", "reviewed_utc")
COLUMNS = (
    *PLAIN,
    *(name for figure in FIGURES for name in (figure, f"{figure}_sigma")),
    *(f"suggested_{name}" for name in SUGGESTED),
    *("photograph", "taken", "lon", "lat"),
    "flags",
    *REVIEWED,
)
DECIMALS = {"lon": 7, "lat": 7}  # a centimetre; of everything else six
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # with these a spreadsheet begins to compute


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a spreadsheet wants its files."""

    encoding: str = "utf-8"
    separator: str = ","
    decimal: str = "."


PLAIN_DIALECT = Dialect()
# Where a comma parts the decimals, a spreadsheet parts cells at semicolons; without a byte order
# mark it takes UTF-8 for another encoding.
COMMA_DIALECT = Dialect(encoding="utf-8-sig", separator=";", decimal=",")
COMMA_LANGUAGES = ("cs", "da", "de", "es", "fi", "fr", "it", "nb", "nl", "pl", "pt", "sv")


def dialect_of(locale: str) -> Dialect:
    """Return the dialect of a language, such as `de` or `de_DE`.

    Raises:
        ConfigError: it is not known.
    """
    language = re.split(r"[-_.]", locale.lower())[0]
    if language == "en":
        return PLAIN_DIALECT
    if language in COMMA_LANGUAGES:
        return COMMA_DIALECT
    known = ", ".join(("en", *COMMA_LANGUAGES))
    raise ConfigError(f"--locale {locale}: expected one of {known}")


def write_table(
    survey: Survey, codes: Codes, folder: Path, *, dialect: Dialect = PLAIN_DIALECT
) -> list[Path]:
    """Write `observations.csv`; what is not known is empty."""
    path = folder / "observations.csv"
    rows = (row_of(survey, o, codes) for o in survey.observations)
    write_rows(path, COLUMNS, rows, dialect=dialect)
    return [path]


def write_rows(
    path: Path,
    columns: Iterable[str],
    rows: Iterable[Mapping[str, object]],
    *,
    dialect: Dialect = PLAIN_DIALECT,
) -> None:
    """Write a CSV file of these columns, with the lines that RFC 4180 asks for."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns), restval="", delimiter=dialect.separator)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(name, value, dialect) for name, value in row.items()})
    write_file(path, text.getvalue().encode(dialect.encoding))


def row_of(survey: Survey, observation: Observation, codes: Codes) -> dict[str, object]:
    """Return an observation as column -> number, text or None."""
    row = {name: getattr(observation, name) for name in PLAIN}
    if (photograph := observation.photograph) is not None:
        lon, lat = photograph.lonlat or (None, None)
        row |= {"photograph": photograph.file, "taken": photograph.taken, "lon": lon, "lat": lat}
    for name in FIGURES:
        figure: Figure | None = getattr(observation, name)
        if figure is not None:
            row |= {name: figure.value, f"{name}_sigma": figure.sigma}
    if survey.facts.mode != "wall":
        suggestion = suggest(observation, codes)
        row |= {f"suggested_{name}": getattr(suggestion, name) for name in SUGGESTED}
    said = {name: getattr(observation, name) for name in REVIEWED}
    return {**row, "flags": " ".join(observation.flags), **said}


def _cell(column: str, value: object, dialect: Dialect) -> object:
    """Return text that no spreadsheet takes for a formula, and numbers as it writes them."""
    if isinstance(value, float):
        return repr(round(value, DECIMALS.get(column, 6))).replace(".", dialect.decimal)
    if isinstance(value, str) and value.startswith(FORMULAS):
        return f"'{value}"
    return "" if value is None else value
