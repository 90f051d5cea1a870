"""The whole survey as one JSON document, whose schema is published as docs/survey.schema.json."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Literal

import msgspec

from scnet_edge.config import write_json
from scnet_edge.inspection.records import Gap, Observation
from scnet_edge.survey.codes import Codes, Suggestion, suggest
from scnet_edge.survey.facts import Alarm, Facts, Progress
from scnet_edge.survey.folder import Survey

SCHEMA_ID = "survey.schema.json"


class DocumentEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One observation and what is suggested for it; None on a flat wall."""

    observation: Observation
    suggested: Suggestion | None


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a survey holds, but for its pictures."""

    format: Literal["scnet-edge survey"] = "scnet-edge survey"
    version: Literal[1] = 1
    facts: Facts
    progress: Progress | None
    observations: tuple[DocumentEntry, ...]
    gaps: tuple[Gap, ...]
    alarms: tuple[Alarm, ...]


def write_document(survey: Survey, codes: Codes, folder: Path) -> list[Path]:
    """Write `survey.json`."""
    path = folder / "survey.json"
    write_json(path, document_of(survey, codes))
    return [path]


def document_of(survey: Survey, codes: Codes) -> Document:
    """Return the survey as the document."""
    wall = survey.facts.mode == "wall"
    entries = (
        DocumentEntry(observation=o, suggested=None if wall else suggest(o, codes))
        for o in survey.observations
    )
    return Document(
        facts=survey.facts,
        progress=survey.progress,
        observations=tuple(entries),
        gaps=survey.gaps,
        alarms=survey.alarms,
    )


def document_schema() -> dict[str, Any]:
    """Return the JSON schema, draft 2020-12, of the document."""
    schema = msgspec.json.schema(Document)
    for stated in schema["$defs"].values():  # docstrings, which 3.13 indents otherwise than 3.12
        if "description" in stated:
            stated["description"] = inspect.cleandoc(stated["description"])
    dialect = "https" + "://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "$id": SCHEMA_ID, "title": "A survey of scnet-edge", **schema}
