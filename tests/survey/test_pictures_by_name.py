"""Folders of pictures that change between two runs of `inspect`: a picture is known by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hand_made import facts

from scnet_edge.errors import Incomplete, SurveyError
from scnet_edge.inspection.odometry import open_odometry
from scnet_edge.inspection.setup import Setup
from scnet_edge.runtime.loop import run_loop
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.folder import Survey, read_survey
from scnet_edge.survey.inspector import Inspector
from scnet_edge.survey.journal import Journal
from scnet_edge.types import Frame, Result
from scnet_edge.video.sources import open_source

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)
WALL = Setup(mode="wall")
SCALED = Setup(mode="wall", mm_per_px=0.5)


def shoot(folder: Path, name: str, *, length_px: int = 60) -> None:
    """Write a picture with one crack of this length."""
    frame = np.full((96, 160, 3), 190, np.uint8)
    cv2.line(frame, (20, 40), (20 + length_px, 50), (30, 30, 30), 5)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / name), frame)


def segment(frame: Frame) -> Result:
    mask = frame[..., 0] < 100
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None)


def inspected(
    photos: Path, out: Path, *, frames: int | None = None, odometry: str | None = None
) -> tuple[Survey, str]:
    """Inspect a folder, or so many frames of it; return the survey, and what could not be read."""
    said = ""
    setup = WALL if odometry is None else SCALED
    with (
        Journal(out, facts(mode="wall", fps=None), limits=SMALL, replays=True) as journal,
        open_odometry(odometry, setup) as where,
        open_source(str(photos)) as source,
    ):
        inspector = Inspector(journal, setup, where, separate=odometry is None)
        source = replace(source, items=inspector.unseen(source.items))
        try:
            run_loop(source, segment, [inspector], policy="every", frames=frames)
        except Incomplete as e:
            said = str(e)
        finally:
            inspector.close(finished=inspector.exhausted)
    return read_survey(out), said


def files(survey: Survey) -> list[str]:
    return [o.photograph.file for o in survey.observations if o.photograph]


def test_a_folder_that_grows_between_two_calls_is_not_confused(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    for name in ("b.png", "d.png", "f.png"):
        shoot(photos, name)
    survey, _ = inspected(photos, out, frames=2)
    assert files(survey) == ["b.png", "d.png"]
    for name in ("a.png", "c/x.png", "z.png"):  # before, between and behind what was seen
        shoot(photos, name, length_px=90)
    survey, _ = inspected(photos, out)
    assert files(survey)[:2] == ["b.png", "d.png"]
    assert sorted(files(survey)) == ["a.png", "b.png", "c/x.png", "d.png", "f.png", "z.png"]
    assert [o.seq for o in survey.observations] == [1, 2, 3, 4, 5, 6]
    assert len({o.best_frame_id for o in survey.observations}) == 6
    for o in survey.observations:
        assert o.photograph is not None
        grown = o.photograph.file in ("a.png", "c/x.png", "z.png")
        assert o.length_px == pytest.approx(95 if grown else 65, abs=9)
    assert survey.progress is not None
    assert (survey.progress.frames, survey.progress.finished) == (6, True)
    again, _ = inspected(photos, out)
    assert files(again) == files(survey)


def test_a_picture_that_is_mended_later_is_inspected_and_its_gap_goes(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    for name in ("1.png", "3.png"):
        shoot(photos, name)
    (photos / "2.png").write_bytes(b"")
    for _ in range(2):  # the same gap is recorded once
        survey, said = inspected(photos, out)
        [gap] = survey.gaps
        assert (gap.reason, gap.file) == ("unreadable", "2.png")
        assert "empty file" in gap.detail
        assert "1 of 3 pictures could not be read" in said
        assert files(survey) == ["1.png", "3.png"]
    shoot(photos, "2.png")
    survey, said = inspected(photos, out)
    assert (survey.gaps, said) == ((), "")
    assert files(survey) == ["1.png", "3.png", "2.png"]


def test_pictures_of_one_drive_may_be_added_behind_and_not_between(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    for i in (1, 3):
        shoot(photos, f"{i}.png")
    inspected(photos, out, odometry="step://2m")
    shoot(photos, "4.png")
    survey, _ = inspected(photos, out, odometry="step://2m")
    assert files(survey) == ["1.png", "3.png", "4.png"]
    assert [round(o.start_m or 0) for o in survey.observations] == [0, 2, 4]
    shoot(photos, "2.png")
    with pytest.raises(SurveyError, match=r"2\.png was not the picture number 2 of this drive"):
        inspected(photos, out, odometry="step://2m")


def test_a_lost_journal_does_not_record_pictures_again(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    for i in (1, 2):
        shoot(photos, f"{i}.png")
    inspected(photos, out)
    (out / "survey.db").write_bytes(b"garbage" * 1000)
    survey, _ = inspected(photos, out)
    assert files(survey) == ["1.png", "2.png"]


def test_every_record_of_the_survey_names_its_photograph(tmp_path: Path) -> None:
    shoot(tmp_path / "photos", "day 2/PIER_01.png")
    survey, _ = inspected(tmp_path / "photos", tmp_path / "out")
    [found] = survey.observations
    assert found.photograph is not None
    assert found.photograph.file == "day 2/PIER_01.png"
    assert not found.clock_synced
