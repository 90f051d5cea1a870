"""Snapshots and masks as a COCO data set, to look at or to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from scnet_edge.files import make_subfolder, write_file
from scnet_edge.inspection.records import Observation
from scnet_edge.survey.codes import Codes
from scnet_edge.survey.evidence import picture_path, read_crack_mask
from scnet_edge.survey.folder import Survey
from scnet_edge.types import Mask

IMAGES = "images"
CRACK = 1  # the only category


def write_coco(survey: Survey, codes: Codes, folder: Path) -> list[Path]:
    """Write `coco.json`, and its pictures into `images/` beside it.

    Masks are exact, as uncompressed run lengths: polygons through pixel centres would take half a
    pixel off each side of cracks that are three wide. What has no picture and mask is left out. A
    picture that shows several cracks is there once; one whose cracks are all rejected shows none.
    """
    pictures: dict[int, dict[str, Any]] = {}  # by the frame that they are of
    annotations = []
    for o in survey.observations:
        mask, shot = read_crack_mask(survey.folder, o), picture_path(survey.folder, o)
        if mask is None or shot is None or not mask.any():
            continue
        if o.best_frame_id not in pictures:
            write_file(make_subfolder(folder, IMAGES) / shot.name, shot.read_bytes())
            pictures[o.best_frame_id] = _image(o, shot.name, mask)
        if o.review != "rejected":
            attributes = {"kind": o.kind, "confidence": o.confidence, "review": o.review}
            annotation = _annotation(o.seq, pictures[o.best_frame_id]["id"], mask)
            annotations.append(annotation | {"attributes": attributes})
    data = {
        "info": {
            "description": f"Survey {survey.facts.survey_id}: found by a model, to be reviewed",
            "date_created": survey.facts.created,
        },
        "licenses": [],
        "categories": [{"id": CRACK, "name": "crack", "supercategory": "defect"}],
        "images": list(pictures.values()),
        "annotations": annotations,
    }
    path = folder / "coco.json"
    write_file(path, msgspec.json.encode(data))
    return [path]


def _image(observation: Observation, name: str, mask: Mask) -> dict[str, Any]:
    photograph = observation.photograph
    known = {}
    if photograph is not None:
        known = {"photograph": photograph.file, "lonlat": photograph.lonlat}
        known |= {"date_captured": photograph.taken} if photograph.taken else {}
    size = {"height": mask.shape[0], "width": mask.shape[1]}
    return {"id": observation.seq, "file_name": name, **size, **known}


def run_lengths(mask: Mask) -> list[int]:
    """Return the lengths of the runs of a mask, column by column, that of zeros first."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]]))
    return [*([0] if flat[0] else []), *counts.tolist()]


def _annotation(seq: int, image_id: int, mask: Mask) -> dict[str, Any]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    return {
        "id": seq,
        "image_id": image_id,
        "category_id": CRACK,
        "iscrowd": 0,
        "area": int(mask.sum()),
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
    }
