"""A survey for other programs; each format is one file here, all from the same records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from scnet_edge.errors import ConfigError, InputError
from scnet_edge.files import make_subfolder
from scnet_edge.survey.codes import Codes
from scnet_edge.survey.exchange.coco import write_coco
from scnet_edge.survey.exchange.document import write_document
from scnet_edge.survey.exchange.geojson import write_geojson
from scnet_edge.survey.exchange.isybau import write_isybau
from scnet_edge.survey.exchange.m150 import write_m150
from scnet_edge.survey.exchange.pacp import write_pacp
from scnet_edge.survey.exchange.table import PLAIN_DIALECT, dialect_of, write_table
from scnet_edge.survey.exchange.training import write_training
from scnet_edge.survey.folder import Survey

Format: TypeAlias = Literal[
    "csv", "json", "geojson", "coco", "pacp-csv", "isybau-xml", "m150-xml", "training"
]
Writer: TypeAlias = Callable[[Survey, Codes, Path], list[Path]]

WRITERS: dict[Format, Writer] = {
    "csv": write_table,
    "json": write_document,
    "geojson": write_geojson,
    "coco": write_coco,
    "pacp-csv": write_pacp,
    "isybau-xml": write_isybau,
    "m150-xml": write_m150,
    "training": write_training,
}
FOR_PIPES: tuple[Format, ...] = ("pacp-csv", "isybau-xml", "m150-xml")


def export_survey(
    survey: Survey, codes: Codes, format: Format, folder: Path, *, locale: str | None = None
) -> list[Path]:
    """Write a survey in one format and return the files; older ones are replaced.

    Args:
        survey: What `read_survey` gave.
        codes: The table of suggestions.
        format: Of the files.
        folder: Where they go; it is made.
        locale: The language of the spreadsheet that shall open `csv`, such as `de`.

    Raises:
        ConfigError: an unknown locale, or one for a format that has none.
        InputError: a format for pipes and a survey of a wall, or one without positions.
    """
    if format in FOR_PIPES and survey.facts.mode == "wall":
        raise InputError(
            f"{survey.folder}: {format} is for pipes, this is a survey of a wall; "
            "export it as csv, json or geojson"
        )
    if folder.parent == survey.folder:
        make_subfolder(survey.folder, folder.name)
    if locale is not None and format != "csv":
        raise ConfigError(f"--locale is for csv; {format} is the same everywhere")
    dialect = PLAIN_DIALECT if locale is None else dialect_of(locale)
    folder.mkdir(parents=True, exist_ok=True)
    if format == "csv":
        return write_table(survey, codes, folder, dialect=dialect)
    return WRITERS[format](survey, codes, folder)
