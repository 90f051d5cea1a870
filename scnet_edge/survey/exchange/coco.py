"""Snapshots and masks as a COCO data set, to look at or to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from scnet_edge.files import write_file
from scnet_edge.survey.codes import Codes
from scnet_edge.survey.evidence import SNAPSHOTS, read_crack_mask
from scnet_edge.survey.folder import Survey
from scnet_edge.types import Mask

CRACK = 1  # the only category


def write_coco(survey: Survey, codes: Codes, folder: Path) -> list[Path]:
    """Write `coco.json`, file names relative to the survey's folder.

    Masks are exact, as uncompressed run lengths: polygons through pixel centres would take half a
    pixel off each side of cracks that are three wide. What has no picture and mask is left out.
    """
    images, annotations = [], []
    for o in survey.observations:
        mask = read_crack_mask(survey.folder, o)
        if mask is None or o.snapshot is None or not mask.any():
            continue
        height_px, width_px = mask.shape
        name = f"{SNAPSHOTS}/{o.snapshot}"
        images.append({"id": o.seq, "file_name": name, "height": height_px, "width": width_px})
        attributes = {"kind": o.kind, "confidence": o.confidence, "review": o.review}
        annotations.append(_annotation(o.seq, mask) | {"attributes": attributes})
    data = {
        "info": {
            "description": f"Survey {survey.facts.survey_id}: found by a model, to be reviewed",
            "date_created": survey.facts.created,
        },
        "licenses": [],
        "categories": [{"id": CRACK, "name": "crack", "supercategory": "defect"}],
        "images": images,
        "annotations": annotations,
    }
    path = folder / "coco.json"
    write_file(path, msgspec.json.encode(data))
    return [path]


def run_lengths(mask: Mask) -> list[int]:
    """Return the lengths of the runs of a mask, column by column, that of zeros first."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]]))
    return [*([0] if flat[0] else []), *counts.tolist()]


def _annotation(seq: int, mask: Mask) -> dict[str, Any]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    return {
        "id": seq,
        "image_id": seq,
        "category_id": CRACK,
        "iscrowd": 0,
        "area": int(mask.sum()),
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
    }
