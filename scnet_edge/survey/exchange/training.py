"""What a reviewer has decided, as a data set and a corpus to train on.

    images/SURVEY-000123.jpg   the frames whose records have all been looked at
    masks/SURVEY-000123.png    1 where a crack was accepted, with its corrected outline, else 0
    train/, test/              that they lie in: the last fifth of the way tests
    corpus.toml                this data set, with drawn walls beside it, for `train --corpus`

A rejected record is a hard negative: its pixels are no crack. A frame with a record that nobody has
looked at is left out. Several surveys may be written into one folder.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np

from scnet_edge.errors import InputError, escape
from scnet_edge.files import make_subfolder, write_file, write_image
from scnet_edge.inspection.records import Observation
from scnet_edge.survey.codes import Codes
from scnet_edge.survey.evidence import picture_path, read_crack_mask, read_picture
from scnet_edge.survey.folder import Survey
from scnet_edge.types import Mask

CORPUS = "corpus.toml"
TEST_SHARE = 0.2  # of the frames, the last ones: neighbours show the same crack
CORPUS_TEXT = """\
# What people have confirmed, with drawn walls beside it, so that a net does not forget.
licence = "as your footage; drawn walls are ours"
drawn = 0.3
plain = 0.1
"""
SET_TEXT = """
[[set]]
name = "{name}"
data = {data}
share = {share}
licence = "as your footage"
"""

logger = logging.getLogger(__name__)


def write_training(survey: Survey, codes: Codes, folder: Path) -> list[Path]:
    """Write the reviewed frames of a survey, and the corpus of all that is in the folder.

    Raises:
        InputError: no frame has been reviewed.
    """
    if not write_frames(survey, folder):
        raise InputError(
            f"{survey.folder}: no frame whose records are all reviewed and have a picture; "
            "review them first, scnet-edge review SURVEY --serve"
        )
    return [write_corpus(folder)]


def write_frames(survey: Survey, folder: Path, *, test_share: float = TEST_SHARE) -> int:
    """Write the reviewed frames of a survey as a data set, and return how many.

    Args:
        survey: what is rejected or accepted in it is learnt.
        folder: of the data set; frames of other surveys may be there.
        test_share: of the frames, the last ones, that test and do not train.
    """
    frames = _read_reviewed(survey)
    first_test = len(frames) - round(test_share * len(frames))
    for i, (picture, mask) in enumerate(frames):
        part = make_subfolder(_make_folder(folder), "train" if i < first_test else "test")
        name = f"{survey.facts.survey_id}-{picture.stem}"
        write_image(make_subfolder(part, "masks") / f"{name}.png", mask.astype(np.uint8))
        write_file(make_subfolder(part, "images") / f"{name}.jpg", picture.read_bytes())
    return len(frames)


def write_corpus(folder: Path, *, missed: Path | None = None) -> Path:
    """Write the corpus of a folder that `write_frames` filled, and return its file.

    Args:
        folder: of the data set.
        missed: a folder of pictures that show a crack somewhere; they only score.

    Raises:
        InputError: the folder has a name that TOML cannot hold.
    """
    if not str(folder.absolute()).isprintable():
        raise InputError(f"{escape(folder)}: expected a printable name for a corpus; name another")
    sets = [("confirmed", "folder", folder, 0.6)]
    sets += [] if missed is None else [("missed", "image-level", missed, 0.0)]
    text = CORPUS_TEXT + "".join(
        SET_TEXT.format(
            name=name,
            data=msgspec.json.encode(f"{layout}:{place.absolute()}").decode(),
            share=share,
        )
        for name, layout, place, share in sets
    )
    write_file(folder / CORPUS, text.encode())
    return folder / CORPUS


def _make_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _read_reviewed(survey: Survey) -> list[tuple[Path, Mask]]:
    """Return the pictures to learn from with their accepted cracks, along the way."""
    by_frame: dict[tuple[int, int], list[Observation]] = defaultdict(list)
    for one in (*survey.observations, *(one for one, _ in survey.aside)):
        by_frame[one.segment, one.best_frame_id].append(one)
    found = [_learnt(survey, records) for _, records in sorted(by_frame.items())]
    frames = [frame for frame in found if frame is not None]
    if left := len(found) - len(frames):
        logger.warning(
            "%s: %d frames left out: not reviewed yet, or without a picture", survey.folder, left
        )
    return frames


def _learnt(survey: Survey, records: list[Observation]) -> tuple[Path, Mask] | None:
    """Return a frame's picture and its accepted cracks; None where they are not known."""
    if any(one.review == "needs_review" for one in records):
        return None
    path = picture_path(survey.folder, records[0])
    picture = read_picture(survey.folder, records[0])
    if path is None or picture is None:
        return None
    cracks = np.zeros(picture.shape[:2], np.bool_)
    for one in (one for one in records if one.review == "accepted"):
        mask = read_crack_mask(survey.folder, one)
        if mask is None or mask.shape != cracks.shape:
            return None
        cracks |= mask
    return path, cracks
