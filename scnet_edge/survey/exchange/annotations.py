"""Masks that people have drawn or corrected in an annotation tool, taken back into a survey.

COCO JSON            of CVAT, Label Studio, Roboflow: polygons and run lengths
Label Studio JSON    polygons and brush strokes; its PNG are not called after their pictures
labelme JSON         one file, or a folder of them: polygons
mask PNG             one file, or a folder of them, as data sets have them

A folder may be the whole of what CVAT exports as `COCO 1.0` or as `Segmentation mask 1.1`.

An annotation belongs to the record whose snapshot it is called after, `000012`, whatever folder,
prefix or suffix a tool has put around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import cv2
import msgspec
import numpy as np
from msgspec.structs import replace

from scnet_edge.config import NOT_JSON, read_text
from scnet_edge.data.brush import unpack_brush
from scnet_edge.data.coco import read_coco_masks
from scnet_edge.data.frames import MAX_PIXELS
from scnet_edge.data.labelme import read_labelme_mask
from scnet_edge.data.masks import read_mask
from scnet_edge.data.outlines import Polygon, check_polygon, choose_categories, draw_mask
from scnet_edge.errors import InputError
from scnet_edge.inspection.records import Observation
from scnet_edge.survey.evidence import encode_mask, read_crack_mask, read_picture
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.review import MASK, Edit, edit
from scnet_edge.types import Mask

_SEQ = re.compile(r"(?:^|[^0-9])(\d{6,18})(?:[._](?:jpe?g|png|json|rf)|$)", re.IGNORECASE)
Named: TypeAlias = Iterator[tuple[str, Mask | None]]  # None: listed, and nothing drawn
Side = Annotated[int, msgspec.Meta(gt=0, le=MAX_PIXELS)]
Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]
_OF_CVAT = ("annotations", "SegmentationClass")  # the folders that say what is crack
_OTHERS = {
    ".zip": "unpack it",
    ".xml": "export as COCO or as a segmentation mask",
}


class Form(msgspec.Struct, frozen=True):
    """What tells COCO from labelme."""

    images: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    shapes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Drawn(msgspec.Struct, frozen=True):
    """A polygon's points, in percent of the sides, or the run lengths of a brush."""

    points: tuple[tuple[float, float], ...] = ()
    rle: tuple[Byte, ...] = ()
    polygonlabels: tuple[str, ...] = ()
    brushlabels: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What it is called."""
        return next(iter((*self.polygonlabels, *self.brushlabels)), "crack")


class LabelResult(msgspec.Struct, frozen=True):
    """One shape of Label Studio."""

    type: str = ""
    original_width: Side = 1
    original_height: Side = 1
    value: Drawn = Drawn()


class Annotation(msgspec.Struct, frozen=True):
    """What one person has drawn, or begun and skipped."""

    result: tuple[LabelResult, ...] = ()
    was_cancelled: bool | None = False


class TaskData(msgspec.Struct, frozen=True):
    """What a task is about."""

    image: str = ""


class Task(msgspec.Struct, frozen=True):
    """One picture of a project of Label Studio."""

    file_upload: str | None = None
    data: TaskData = TaskData()
    annotations: tuple[Annotation, ...] = ()


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


def import_annotations(
    folder: Path,
    path: Path,
    *,
    labels: frozenset[str] = frozenset(),
    reject_empty: bool = False,
    by: str | None = None,
) -> Imported:
    """Take the masks of an annotation tool into a survey; none where one does not fit.

    Whoever is killed in between imports again: a record is accepted once its mask is in place.

    A record with a mask is accepted. Its figures stay those of the program; where the mask is
    another one now, the record says so.

    Args:
        folder: the survey's, which nobody may be writing.
        path: what the tool has exported.
        labels: those that are crack; empty where there is but one.
        reject_empty: a picture that is listed without an annotation is of no crack; else it is
            left as it is.
        by: who has drawn; None for the name of this machine's user.

    Raises:
        InputError: a file of no known form, or a mask of another size than its picture.
        SurveyError: no survey, or one that is being written.
    """
    records = {o.seq: o for o in read_survey(folder).observations}
    changed, masks = dict[int, Observation](), dict[int, bytes]()
    same, corrected, unknown = [], [], []
    for name, mask in read_annotations(path, labels):
        match = _SEQ.search(name.replace("\\", "/").rsplit("/", 1)[-1])
        record = records.get(int(match[1])) if match else None
        if record is None:
            unknown.append(name)
            continue
        if mask is not None:
            _check_size(folder, record, mask, name)
        for one, part in _parts(folder, record, records.values(), mask):
            before, flags = read_crack_mask(folder, one), one.flags
            if part is None or not part.any():
                if reject_empty and one.seq not in changed:
                    changed[one.seq] = replace(one, review="rejected")
                continue
            if before is not None and np.array_equal(before, part):
                same.append(one.seq)
            else:
                corrected.append(one.seq)
                masks[one.seq] = encode_mask(part)
                flags = tuple(dict.fromkeys((*flags, MASK)))
            changed[one.seq] = replace(one, review="accepted", flags=flags)
    edits = [Edit(after=record, mask=masks.get(seq)) for seq, record in changed.items()]
    edit(folder, edits, by=by)
    return Imported(
        same=tuple(same),
        corrected=tuple(corrected),
        rejected=tuple(seq for seq, o in changed.items() if o.review == "rejected"),
        unknown=tuple(unknown),
    )


def _parts(
    folder: Path, named: Observation, records: Iterable[Observation], mask: Mask | None
) -> list[tuple[Observation, Mask | None]]:
    """Return what of a picture's mask is of which record: a picture may show several cracks.

    A piece is of the record whose mask it overlaps most, and of the one that the picture is called
    after where it overlaps none.
    """
    shown = [
        o
        for o in records
        if o.best_frame_id == named.best_frame_id and (o is named or o.review != "rejected")
    ]
    if len(shown) == 1 or mask is None:
        return [(o, mask) for o in shown]
    before = [(o, read_crack_mask(folder, o)) for o in shown]
    known = [(o, old) for o, old in before if old is not None and old.shape == mask.shape]
    if known and np.array_equal(np.any([old for _, old in known], axis=0), mask):
        return [(o, old) for o, old in known]
    parts = {o.seq: np.zeros_like(mask) for o in shown}
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    for label in range(1, count):
        piece = labels == label
        overlaps = [(int((piece & old).sum()), o.seq) for o, old in known]
        most, seq = max(overlaps, default=(0, named.seq))
        parts[seq if most else named.seq] |= piece
    return [(o, parts[o.seq]) for o in shown]


def _check_size(folder: Path, record: Observation, mask: Mask, name: str) -> None:
    picture = read_picture(folder, record)
    if picture is None:
        raise InputError(f"{name}: record {record.seq} has no picture in the survey")
    if picture.shape[:2] != mask.shape:
        sizes = [f"{hw[1]}x{hw[0]}" for hw in (picture.shape[:2], mask.shape)]
        raise InputError(f"{name}: expected a mask of {sizes[0]} px, found {sizes[1]}")


def read_annotations(path: Path, labels: frozenset[str] = frozenset()) -> Named:
    """Yield the name of every picture in a file or folder and its mask, (H, W) bool.

    Raises:
        InputError: of no known form, damaged, too large, or of several labels and none is chosen.
    """
    if path.is_dir():
        path = next((path / name for name in _OF_CVAT if (path / name).is_dir()), path)
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in (".png", ".json"))
        if not found:
            raise InputError(f"{path}: no PNG and no JSON in it, expected masks or annotations")
        for one in found:
            yield from read_annotations(one, labels)
    elif path.suffix.lower() == ".png":
        yield path.name, read_mask(path).crack
    elif path.suffix.lower() == ".json":
        yield from _of_json(path, labels)
    else:
        hint = _OTHERS.get(path.suffix.lower(), "export as one of these")
        raise InputError(f"{path}: expected a folder, .json or .png; {hint}")


def _of_json(path: Path, labels: frozenset[str]) -> Named:
    text = read_text(path, InputError)
    try:
        if text.lstrip().startswith("["):
            tasks = msgspec.json.decode(text, type=list[Task])
            yield from _of_label_studio(path, tasks, labels)
            return
        form = msgspec.json.decode(text, type=Form)
    except NOT_JSON as e:
        raise InputError(f"{path}: no annotations in JSON ({e})") from e
    if form.images is not msgspec.UNSET:
        yield from read_coco_masks(path, labels)
    elif form.shapes is not msgspec.UNSET:
        yield read_labelme_mask(path, labels)
    else:
        raise InputError(f"{path}: expected COCO, Label Studio or labelme, found other JSON")


def _of_label_studio(path: Path, tasks: list[Task], labels: frozenset[str]) -> Named:
    shapes = [(task, list(_shapes(task))) for task in tasks]
    used = [shape.value.label for _, drawn in shapes for shape in drawn]
    crack = choose_categories(path, used, labels, None)
    for task, drawn in shapes:
        name = task.file_upload or task.data.image
        if not name:
            raise InputError(
                f"{path}: a task without a picture, expected file_upload or data.image; "
                "export as JSON, not as JSON-MIN"
            )
        yield name, _draw(name, [shape for shape in drawn if shape.value.label in crack])


def _shapes(task: Task) -> Iterator[LabelResult]:
    for annotation in task.annotations:
        if not annotation.was_cancelled:
            kinds = ("polygonlabels", "brushlabels")
            yield from (result for result in annotation.result if result.type in kinds)


def _draw(name: str, shapes: list[LabelResult]) -> Mask | None:
    if not shapes:
        return None
    size_hw = (shapes[-1].original_height, shapes[-1].original_width)
    if size_hw[0] * size_hw[1] > MAX_PIXELS:
        raise InputError(
            f"{name}: a picture of {size_hw[1]}x{size_hw[0]} px, expected at most "
            f"{MAX_PIXELS // 10**6} megapixels"
        )
    scale = np.array(size_hw[::-1]) / 100
    polygons: list[Polygon] = [
        (np.array(shape.value.points).reshape(-1, 2) * scale).ravel().tolist()
        for shape in shapes
        if shape.type == "polygonlabels"
    ]
    for polygon in polygons:
        check_polygon(polygon, size_hw, f"{name}: an annotation")
    mask = draw_mask(polygons, (), size_hw)
    for shape in shapes:
        if shape.type == "brushlabels":
            mask |= unpack_brush(bytes(shape.value.rle), size_hw, name)
    return mask
