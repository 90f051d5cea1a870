"""Tables in the style of the PACP exchange database, as CSV files; suggestions, not certified."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scnet_edge.files import make_subfolder
from scnet_edge.inspection.records import Observation
from scnet_edge.survey.codes import Codes, suggest
from scnet_edge.survey.exchange.located import comment, hour, located, video_time
from scnet_edge.survey.exchange.table import write_rows
from scnet_edge.survey.folder import Survey
from scnet_edge.survey.report.words import extent_h

TABLES: dict[str, tuple[str, ...]] = {
    "Inspections": (
        *("InspectionID", "Surveyed_By", "Certificate_Number", "Pipe_Segment_Reference", "Date"),
        *("Time", "Street", "City", "Upstream_MH", "Downstream_MH", "Direction", "Height", "Width"),
        *("Shape", "Material", "Total_Length", "Length_Surveyed", "Media_Label", "Purpose"),
        *("Pre_Cleaning", "IsImperial"),
    ),
    "Conditions": (
        *("ConditionID", "InspectionID", "Distance", "Counter", "PACP_Code", "Continuous"),
        *("Value_1st_Dimension", "Value_2nd_Dimension", "Value_Percent", "Joint", "Clock_At_From"),
        *("Clock_To", "Remarks", "VCR_Time"),
    ),
    "Media_Inspections": ("MediaID", "InspectionID", "Video_Name"),
    "Media_Conditions": ("MediaConditionID", "ConditionID", "Image_Reference"),
}
INSPECTION = 1


def write_pacp(survey: Survey, codes: Codes, folder: Path) -> list[Path]:
    """Write `pacp/Inspections.csv`, `Conditions.csv` and those of the media; lengths in metres."""
    conditions = list(_conditions(survey, codes))
    media = [
        {
            "MediaConditionID": i,
            "ConditionID": condition["ConditionID"],
            "Image_Reference": o.snapshot,
        }
        for i, (condition, o) in enumerate(conditions, start=1)
        if o.snapshot
    ]
    video = {"MediaID": 1, "InspectionID": INSPECTION, "Video_Name": survey.facts.source}
    rows: dict[str, list[dict[str, object]]] = {
        "Inspections": [_inspection(survey)],
        "Conditions": [condition for condition, _ in conditions],
        "Media_Inspections": [video],
        "Media_Conditions": media,
    }
    tables = make_subfolder(folder, "pacp")
    paths = [tables / f"{name}.csv" for name in TABLES]
    for path, (name, columns) in zip(paths, TABLES.items(), strict=True):
        write_rows(path, columns, rows[name])
    return paths


def _inspection(survey: Survey) -> dict[str, object]:
    """Return the head; what only a person can know, their certificate above all, stays empty."""
    facts, site = survey.facts, survey.facts.site
    length_m = survey.progress.chainage_m if survey.progress else None
    return {
        "InspectionID": INSPECTION,
        "Surveyed_By": site.operator,
        "Pipe_Segment_Reference": site.pipe_id,
        "Date": facts.created[:10].replace("-", ""),
        "Time": facts.created[11:16],
        "Street": site.place,
        "Upstream_MH": site.from_node,
        "Downstream_MH": site.to_node,
        "Direction": "D",
        "Height": facts.geometry.get("diameter_mm", ""),
        "Shape": "C",
        "Material": site.material,
        "Length_Surveyed": "" if length_m is None else round(length_m, 2),
        "Media_Label": facts.source,
        "IsImperial": 0,
    }


def _conditions(survey: Survey, codes: Codes) -> Iterator[tuple[dict[str, object], Observation]]:
    """Yield the lines; a continuous crack has two, from S01 at its start to F01 at its end."""
    number, runs = 0, 0
    for o in located(survey, "pacp-csv"):
        suggestion = suggest(o, codes)
        runs += suggestion.continuous
        ends = [(o.start_m, f"S{runs:02d}"), (o.end_m, f"F{runs:02d}")]
        for distance_m, mark in ends if suggestion.continuous else [(o.start_m, "")]:
            number += 1
            yield (
                {
                    "ConditionID": number,
                    "InspectionID": INSPECTION,
                    "Distance": round(distance_m or 0.0, 2),
                    "Counter": o.best_frame_id,
                    "PACP_Code": suggestion.pacp,
                    "Continuous": mark,
                    **_clock(o),
                    "Remarks": comment(o),
                    "VCR_Time": video_time(o, survey.facts.fps).replace(":", ""),
                },
                o,
            )


def _clock(observation: Observation) -> dict[str, object]:
    """Return both ends, clockwise; within one hour the first alone, all around from 12 to 12."""
    if observation.clock_from is None or observation.clock_to is None:
        return {}
    start, end = hour(observation.clock_from), hour(observation.clock_to)
    alone = start == end and extent_h(observation.clock_from, observation.clock_to) < 1
    return {"Clock_At_From": start, "Clock_To": "" if alone else end}
