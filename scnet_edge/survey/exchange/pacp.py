"""The tables of the PACP 7 exchange database, as CSV files; suggestions, not certified.

They are named as in the database, which is what importers of CSV look for. What only a person can
know, their certificate above all, has its column and stays empty.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from scnet_edge.files import make_subfolder
from scnet_edge.inspection.records import Observation
from scnet_edge.survey.codes import Codes, suggest
from scnet_edge.survey.evidence import SNAPSHOTS
from scnet_edge.survey.exchange.located import comment, hour, station_m, video_time, with_chainage
from scnet_edge.survey.exchange.table import write_rows
from scnet_edge.survey.folder import Survey
from scnet_edge.survey.report.words import extent_h

TABLES: dict[str, tuple[str, ...]] = {
    "PACP_Inspections": (
        *("InspectionID", "Surveyed_By", "Certificate_Number", "Reviewed_By"),
        *("Reviewer_Certificate_Number", "Owner", "Customer", "Media_Label", "Project"),
        *("Inspection_Date", "Inspection_Time", "Weather", "PreCleaning", "Purpose", "Direction"),
        *("Inspection_Technology_Used_CCTV", "Inspection_Status", "Pipe_Segment_Reference"),
        *("Street", "City", "Location_Details", "Pipe_Use", "Height", "Width", "Shape", "Material"),
        *("Total_Length", "Length_Surveyed", "Upstream_MH", "Downstream_MH", "Additional_Info"),
        "IsImperial",
    ),
    "PACP_Conditions": (
        *("ConditionID", "InspectionID", "Distance", "Counter", "PACP_Code", "Continuous"),
        *("Value_1st_Dimension", "Value_2nd_Dimension", "Value_Percent", "Joint", "Clock_At_From"),
        *("Clock_To", "Remarks", "VCR_Time"),
    ),
    "PACP_Media_Inspections": ("MediaID", "InspectionID", "Video_Name", "Video_Location"),
    "PACP_Media_Conditions": (
        *("MediaConditionID", "ConditionID", "Image_Reference", "Image_Path"),
    ),
}
INSPECTION = 1


def write_pacp(survey: Survey, codes: Codes, folder: Path) -> list[Path]:
    """Write `pacp/PACP_Inspections.csv` and the other tables; lengths in metres."""
    snapshots = os.path.relpath(survey.folder / SNAPSHOTS, folder / "pacp")
    conditions = list(_conditions(survey, codes))
    media = [
        {
            "MediaConditionID": i,
            "ConditionID": condition["ConditionID"],
            "Image_Reference": o.snapshot,
            "Image_Path": snapshots,
        }
        for i, (condition, o) in enumerate(conditions, start=1)
        if o.snapshot
    ]
    where, _, name = survey.facts.source.replace("\\", "/").rpartition("/")
    video = {
        "MediaID": 1,
        "InspectionID": INSPECTION,
        "Video_Name": name,
        "Video_Location": where,
    }
    rows: dict[str, list[dict[str, object]]] = {
        "PACP_Inspections": [_inspection(survey)],
        "PACP_Conditions": [condition for condition, _ in conditions],
        "PACP_Media_Inspections": [video],
        "PACP_Media_Conditions": media,
    }
    tables = make_subfolder(folder, "pacp")
    paths = [tables / f"{name}.csv" for name in TABLES]
    for path, (name, columns) in zip(paths, TABLES.items(), strict=True):
        write_rows(path, columns, rows[name])
    return paths


def _inspection(survey: Survey) -> dict[str, object]:
    """Return the head of the inspection."""
    facts, site = survey.facts, survey.facts.site
    return {
        "InspectionID": INSPECTION,
        "Surveyed_By": site.operator,
        "Pipe_Segment_Reference": site.pipe_id,
        "Customer": site.client,
        "Inspection_Date": facts.created[:10],
        "Inspection_Time": facts.created[11:19],
        "PreCleaning": "X",  # not known
        "Inspection_Technology_Used_CCTV": 1,
        "Inspection_Status": "CI" if survey.progress and survey.progress.finished else "",
        "Street": site.place,
        "Upstream_MH": site.from_node,
        "Downstream_MH": site.to_node,
        "Direction": "D",
        "Height": facts.geometry.get("diameter_mm", ""),
        "Shape": "C",
        "Material": site.material,
        "Length_Surveyed": "" if survey.length_m is None else survey.length_m,
        "Media_Label": facts.source.replace("\\", "/").split("/")[-1],
        "Additional_Info": f"found by scnet-edge {facts.version}, to be reviewed",
        "IsImperial": 0,
    }


def _conditions(survey: Survey, codes: Codes) -> Iterator[tuple[dict[str, object], Observation]]:
    """Yield the lines; a continuous crack has two, from S01 at its start to F01 at its end."""
    number, runs = 0, 0
    for o in with_chainage(survey, "pacp-csv"):
        suggestion = suggest(o, codes)
        runs += suggestion.continuous
        ends = [(o.start_m, f"S{runs:02d}"), (o.end_m, f"F{runs:02d}")]
        for distance_m, mark in ends if suggestion.continuous else [(o.start_m, "")]:
            number += 1
            yield (
                {
                    "ConditionID": number,
                    "InspectionID": INSPECTION,
                    "Distance": station_m(survey, distance_m),
                    "Counter": o.best_frame_id,
                    "PACP_Code": suggestion.pacp,
                    "Continuous": mark,
                    **_clock(o),
                    "Remarks": comment(o),
                    "VCR_Time": video_time(o).replace(":", ""),
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
