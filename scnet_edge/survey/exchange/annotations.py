"""Masks that people have drawn or corrected in an annotation tool, taken back into a survey.

COCO JSON            of CVAT, Label Studio, Roboflow: polygons and run lengths
Label Studio JSON    polygons; brush strokes are exported as COCO or PNG
labelme JSON         one file, or a folder of them: polygons
mask PNG             one file, or a folder of them, as data sets have them

An annotation belongs to the record whose snapshot it is called after, `000012`, whatever folder,
prefix or suffix a tool has put around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
from msgspec.structs import replace

from scnet_edge.data.coco import read_coco_masks
from scnet_edge.data.masks import read_mask
from scnet_edge.data.outlines import Polygon, check_polygon, polygon_mask
from scnet_edge.errors import InputError
from scnet_edge.inspection.records import Observation
from scnet_edge.survey.database import connect
from scnet_edge.survey.evidence import (
    read_crack_mask,
    read_picture,
    write_crack_mask,
    write_sidecar,
)
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import JOURNAL, lock_survey
from scnet_edge.types import Mask

CORRECTED = "mask_corrected"
MAX_BYTES = 512 << 20
_SEQ = re.compile(r"(?:^|[^0-9])(\d{6,})(?:[._](?:jpe?g|png|json|rf)|$)", re.IGNORECASE)
Named: TypeAlias = Iterator[tuple[str, Mask | None]]  # None: listed, and nothing drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of an import, as the numbers of the records.

    Attributes:
        same: the mask is as it was; the record is accepted.
        corrected: the mask is another now; the record is accepted.
        rejected: listed without any crack.
        unknown: names that belong to no record.
    """

    same: tuple[int, ...]
    corrected: tuple[int, ...]
    rejected: tuple[int, ...]
    unknown: tuple[str, ...]


def import_annotations(folder: Path, path: Path, *, reject_empty: bool = False) -> Imported:
    """Take the masks of an annotation tool into a survey; all of them, or none.

    A record with a mask is accepted. Its figures stay those of the program; where the mask is
    another one now, the record says so.

    Args:
        folder: the survey's, which nobody may be writing.
        path: what the tool has exported.
        reject_empty: a picture that is listed without an annotation is of no crack; else it is
            left as it is.

    Raises:
        InputError: a file of no known form, or a mask of another size than its picture.
        SurveyError: no survey, or one that is being written.
    """
    records = {o.seq: o for o in read_survey(folder).observations}
    changed, masks = dict[int, Observation](), dict[int, Mask]()
    same, corrected, rejected, unknown = [], [], [], []
    for name, mask in _read(path):
        match = _SEQ.search(name.replace("\\", "/").rsplit("/", 1)[-1])
        record = records.get(int(match[1])) if match else None
        if record is None:
            unknown.append(name)
        elif mask is None or not mask.any():
            if reject_empty:
                rejected.append(record.seq)
                changed[record.seq] = replace(record, review="rejected")
        else:
            _check_size(folder, record, mask, name)
            before = read_crack_mask(folder, record)
            flags = record.flags
            if before is not None and np.array_equal(before, mask):
                same.append(record.seq)
            else:
                corrected.append(record.seq)
                masks[record.seq] = mask
                flags = tuple(dict.fromkeys((*flags, CORRECTED)))
            changed[record.seq] = replace(record, review="accepted", flags=flags)
    _write(folder, changed, masks)
    return Imported(
        same=tuple(same),
        corrected=tuple(corrected),
        rejected=tuple(rejected),
        unknown=tuple(unknown),
    )


def _write(folder: Path, changed: dict[int, Observation], masks: dict[int, Mask]) -> None:
    with closing(lock_survey(folder)), closing(connect(folder / JOURNAL)) as db:
        for seq, mask in masks.items():
            write_crack_mask(folder, seq, mask)
        db.execute("BEGIN IMMEDIATE")
        for seq, record in changed.items():
            text = msgspec.json.encode(record).decode()
            db.execute("UPDATE observation SET record = ? WHERE seq = ?", (text, seq))
        db.execute("COMMIT")
        for record in changed.values():
            write_sidecar(folder, record)


def _check_size(folder: Path, record: Observation, mask: Mask, name: str) -> None:
    picture = read_picture(folder, record)
    if picture is None:
        raise InputError(f"{name}: record {record.seq} has no picture in the survey")
    if picture.shape[:2] != mask.shape:
        sizes = [f"{hw[1]}x{hw[0]}" for hw in (picture.shape[:2], mask.shape)]
        raise InputError(f"{name}: expected a mask of {sizes[0]} px, found {sizes[1]}")


def _read(path: Path) -> Named:
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in (".png", ".json"))
        if not found:
            raise InputError(f"{path}: no PNG and no JSON in it, expected masks or annotations")
        for one in found:
            yield from _read(one)
    elif path.suffix.lower() == ".png":
        yield path.name, read_mask(path).crack
    elif path.suffix.lower() == ".json":
        yield from _of_json(path)
    else:
        raise InputError(f"{path}: expected a folder, .json or .png, found something else")


def _of_json(path: Path) -> Named:
    try:
        data = msgspec.json.decode(_bytes(path))
    except msgspec.MsgspecError as e:
        raise InputError(f"{path}: not JSON ({e})") from e
    if isinstance(data, dict) and "images" in data:
        yield from read_coco_masks(path)
        return
    try:
        if isinstance(data, list):
            for task in data:
                yield _of_label_studio(task)
        elif isinstance(data, dict) and "shapes" in data:
            yield _of_labelme(data)
        else:
            raise InputError(f"{path}: expected COCO, Label Studio or labelme, found other JSON")
    except (KeyError, TypeError, ValueError, IndexError) as e:
        raise InputError(f"{path}: an annotation that is none ({type(e).__name__} {e})") from e


def _of_labelme(data: dict[str, Any]) -> tuple[str, Mask | None]:
    size_hw = (int(data["imageHeight"]), int(data["imageWidth"]))
    polygons = [shape["points"] for shape in data["shapes"] if len(shape["points"]) > 2]
    return str(data["imagePath"]), _filled(polygons, size_hw)


def _of_label_studio(task: dict[str, Any]) -> tuple[str, Mask | None]:
    name = str(task.get("file_upload") or task["data"]["image"])
    polygons, size_hw = [], None
    for annotation in task.get("annotations", ()):
        for result in annotation.get("result", ()):
            if result.get("type") == "brushlabels":
                raise InputError(f"{name}: brush strokes; export as COCO or as PNG masks")
            if result.get("type") == "polygonlabels":
                size_hw = (int(result["original_height"]), int(result["original_width"]))
                scale = np.array(size_hw[::-1]) / 100  # points are in percent
                polygons.append((np.array(result["value"]["points"], float) * scale).tolist())
    return name, None if size_hw is None else _filled(polygons, size_hw)


def _filled(polygons: Iterable[Any], size_hw: tuple[int, int]) -> Mask | None:
    """Return the mask of polygons; None without any."""
    if not 0 < min(size_hw) <= max(size_hw) <= 16384:
        raise ValueError(f"a picture of {size_hw[1]}x{size_hw[0]} px")
    drawn: list[Polygon] = [np.array(polygon, float).ravel().tolist() for polygon in polygons]
    for polygon in drawn:
        check_polygon(polygon, size_hw, "an annotation")
    return polygon_mask(drawn, size_hw) if drawn else None


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: over {MAX_BYTES >> 20} MB")
        return path.read_bytes()
    except OSError as e:
        raise InputError(f"{path}: cannot be read ({e.strerror})") from e
