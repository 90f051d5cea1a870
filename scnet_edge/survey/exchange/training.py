"""What a reviewer has decided, as a data set and a corpus to train on.

    images/SURVEY-000123.jpg   the frames whose records have all been looked at
    masks/SURVEY-000123.png    1 where a crack was accepted, with its corrected outline; 0 where
                               there is none; 255 where nobody knows
    train/, test/              that they lie in: the last fifth of the way tests
    corpus.toml                this data set, with drawn walls beside it, for `train --corpus`

A rejected record is a hard negative: its pixels are no crack. A crack's outline is known in the one
frame that stands for it. Where it was seen in another frame, only the surroundings of that frame's
own accepted cracks are known; a frame without any is left out, as is one with a record that nobody
has looked at. Several surveys may be written into one folder.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.errors import InputError, escape
from scnet_edge.files import make_subfolder, write_file, write_image
from scnet_edge.inspection.records import Observation
from scnet_edge.survey.codes import Codes
from scnet_edge.survey.evidence import picture_path, read_crack_mask, read_picture
from scnet_edge.survey.folder import Survey

CORPUS = "corpus.toml"
AROUND_PX = 24  # of a crack, in which its frame is known though another crack is in it
IGNORED = 255
TEST_SHARE = 0.2  # of the frames, the last ones: neighbours show the same crack
CORPUS_TEXT = """\
# What people have confirmed, with drawn walls beside it, so that a net does not forget.
licence = "as your footage; drawn walls are ours"
scale = [0.6, 2.0]
drawn = 0.2
pipe_views = 0.15
wall_views = 0.2
plain = 0.05
blended = 0.1
"""
SET_TEXT = """
[[set]]
name = "{name}"
data = {data}
share = {share}
licence = "as your footage"
{more}"""

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
        write_image(make_subfolder(part, "masks") / f"{name}.png", mask)
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
    sets = [("confirmed", "folder", folder, 0.3, "lends = true\ntakes = true\n")]
    sets += [] if missed is None else [("missed", "image-level", missed, 0.0, "")]
    text = CORPUS_TEXT + "".join(
        SET_TEXT.format(
            name=name,
            data=msgspec.json.encode(f"{layout}:{place.absolute()}").decode(),
            share=share,
            more=more,
        )
        for name, layout, place, share, more in sets
    )
    write_file(folder / CORPUS, text.encode())
    return folder / CORPUS


def _make_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _read_reviewed(survey: Survey) -> list[tuple[Path, npt.NDArray[np.uint8]]]:
    """Return the pictures to learn from with their accepted cracks, along the way."""
    by_frame: dict[tuple[int, int], list[Observation]] = defaultdict(list)
    every = (*survey.observations, *(one for one, _ in survey.aside))
    for one in every:
        by_frame[one.segment, one.best_frame_id].append(one)
    found = [
        _learnt(survey, records, alone=not _sees_others(place, every))
        for place, records in sorted(by_frame.items())
    ]
    frames = [frame for frame in found if frame is not None]
    if left := len(found) - len(frames):
        logger.warning(
            "%s: %d frames left out: not reviewed yet, without a picture, or with a crack "
            "whose outline is of another frame",
            survey.folder,
            left,
        )
    return frames


def _sees_others(place: tuple[int, int], records: Sequence[Observation]) -> bool:
    """Return whether a frame shows a crack, or what may be one, that another frame stands for."""
    segment, frame_id = place
    return any(
        one.segment == segment
        and one.best_frame_id != frame_id
        and one.first_frame_id <= frame_id <= one.last_frame_id
        and one.review != "rejected"
        for one in records
    )


def _learnt(
    survey: Survey, records: list[Observation], *, alone: bool
) -> tuple[Path, npt.NDArray[np.uint8]] | None:
    """Return a frame's picture and its mask of 0, 1 and 255; None where it is not known.

    Args:
        survey: What they are of.
        records: All that the frame stands for.
        alone: Whether no other crack is in the frame.
    """
    accepted = [one for one in records if one.review == "accepted"]
    if any(one.review == "needs_review" for one in records) or not (alone or accepted):
        return None
    path = picture_path(survey.folder, records[0])
    picture = read_picture(survey.folder, records[0])
    if path is None or picture is None:
        return None
    cracks = np.zeros(picture.shape[:2], np.uint8)
    for one in accepted:
        mask = read_crack_mask(survey.folder, one)
        if mask is None or mask.shape != cracks.shape:
            return None
        cracks[mask] = 1
    if not alone:
        around = np.ones((2 * AROUND_PX + 1,) * 2, np.uint8)
        cracks[cv2.dilate(cracks, around) == 0] = IGNORED
    return path, cracks
