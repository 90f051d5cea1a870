"""What reviewers have decided, read back as the trainings read it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from hand_made import facts, observation, picture

from scnet_edge.data.corpus import read_corpus
from scnet_edge.data.datasets import open_dataset
from scnet_edge.errors import InputError, SurveyError
from scnet_edge.survey.codes import read_codes
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.exchange import export_survey, training
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import JOURNAL, Journal
from scnet_edge.survey.recorder import record
from scnet_edge.survey.review import review_record
from scnet_edge.survey.sorting import set_aside

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)
COUNT = 10


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    with Journal(folder, facts(), limits=SMALL) as journal:
        for seq in range(1, COUNT + 1):
            record(journal, observation(seq, confidence=0.6), *picture(seq))
    return folder


def write(survey: Path, out: Path) -> Path:
    [corpus] = export_survey(set_aside(read_survey(survey)), read_codes(), "training", out)
    return corpus


def test_accepted_is_crack_and_rejected_is_none(survey: Path, tmp_path: Path) -> None:
    corrected = np.zeros((120, 160), np.bool_)
    corrected[40:50, 20:60] = True
    for seq in range(1, COUNT):  # the last one nobody has looked at
        review_record(survey, seq, verdict="rejected" if seq % 2 else "accepted", by="a")
    review_record(survey, 2, mask=corrected, by="a")
    out = tmp_path / "learn"
    [reviewed] = read_corpus(write(survey, out)).sets
    samples = {split: reviewed.samples(split) for split in ("train", "test")}
    names = {split: [int(s.name[-6:]) for s in found] for split, found in samples.items()}
    assert names == {"train": [1, 2, 3, 4, 5, 6, 7], "test": [8, 9]}
    for sample in (*samples["train"], *samples["test"]):
        seq = int(sample.name[-6:])
        expected = corrected if seq == 2 else picture(seq)[1]
        assert np.array_equal(sample.read_mask(), expected & (seq % 2 == 0))
        shot = survey / "snapshots" / f"{seq:06d}.jpg"
        assert sample.image.read_bytes() == shot.read_bytes()


def test_a_crack_of_another_frame_is_not_taught_as_none(tmp_path: Path) -> None:
    """Its outline is known in the frame that stands for it alone."""
    survey = tmp_path / "survey"
    reviews = ("accepted", "rejected", "rejected", "accepted")
    with Journal(survey, facts(), limits=SMALL) as journal:
        for seq, review in enumerate(reviews, 1):  # the first is in view until the third's frame
            last = 34 if seq == 1 else 10 * seq + 4
            one = observation(seq, first_frame_id=10 * seq, last_frame_id=last, review=review)
            record(journal, one, *picture(seq))
        both = observation(5, first_frame_id=40, last_frame_id=54, review="accepted")
        record(journal, both, *picture(5))  # and the fifth's crack in the fourth's frame
    write(survey, tmp_path / "learn")
    learnt = {
        s.name[-6:]: s.read_truth() for s in open_dataset(f"folder:{tmp_path / 'learn'}", "all")
    }
    assert sorted(learnt) == ["000001", "000004", "000005"]
    assert learnt["000001"].ignored is None
    fourth, crack = learnt["000004"], picture(4)[1]
    assert np.array_equal(fourth.crack, crack)
    assert fourth.ignored is not None
    far = cv2.distanceTransform((~crack).astype(np.uint8), cv2.DIST_C, 3) > training.AROUND_PX
    assert far.any()
    assert np.array_equal(fourth.ignored, far)


def test_two_surveys_share_a_folder(survey: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with Journal(other, facts(survey_id="ffff"), limits=SMALL) as journal:
        record(journal, observation(1, review="accepted"), *picture(1))
    for seq in range(1, COUNT + 1):
        review_record(survey, seq, verdict="accepted", by="a")
    for folder in (survey, other):
        write(folder, tmp_path / "learn")
    assert len(open_dataset(f"folder:{tmp_path / 'learn'}", "all")) == COUNT + 1


def test_a_crack_without_its_mask_teaches_nothing(survey: Path, tmp_path: Path) -> None:
    for seq in (1, 2):
        review_record(survey, seq, verdict="accepted", by="a")
    (survey / "snapshots" / "000001.png").unlink()
    write(survey, tmp_path / "learn")
    assert [s.name[-6:] for s in open_dataset(f"folder:{tmp_path / 'learn'}", "all")] == ["000002"]


def test_without_a_review_there_is_nothing_to_learn(survey: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="review them first"):
        write(survey, tmp_path / "learn")
    assert not (tmp_path / "learn" / "train").exists()


@pytest.mark.parametrize("name", ["../../escaped", "a/b", "a\n", "", "a" * 65, "."])
def test_a_survey_that_is_called_like_a_path_is_damaged(survey: Path, name: str) -> None:
    """Its frames are called after it, and would lie outside the data set."""
    with closing(sqlite3.connect(survey / JOURNAL)) as db, db:
        [text] = db.execute("SELECT facts FROM survey").fetchone()
        changed = json.dumps(json.loads(text) | {"survey_id": name})
        db.execute("UPDATE survey SET facts = ?", (changed,))
    with pytest.raises(SurveyError, match="damaged"):
        read_survey(survey)


def test_a_kill_leaves_no_picture_without_its_mask(
    survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, data: bytes) -> None:
        raise KeyboardInterrupt

    for seq in range(1, COUNT + 1):
        review_record(survey, seq, verdict="accepted", by="a")
    monkeypatch.setattr(training, "write_file", killed)
    with pytest.raises(KeyboardInterrupt):
        write(survey, tmp_path / "learn")
    found = [path for path in (tmp_path / "learn").rglob("*") if path.is_file()]
    assert [path.suffix for path in found] == [".png"]


def test_the_corpus_holds_whatever_its_folder_is_called(survey: Path, tmp_path: Path) -> None:
    for seq in range(1, COUNT + 1):
        review_record(survey, seq, verdict="accepted", by="a")
    out = tmp_path / 'a "quoted" \\ folder'
    [learnt] = read_corpus(write(survey, out)).sets
    assert len(learnt.samples("train")) == 8
    with pytest.raises(InputError, match="printable"):
        write(survey, tmp_path / "two\nlines")
