"""File names and texts with tricks: nothing outside the survey's folder is read or written."""

import re
from pathlib import Path

import pytest
from hand_made import facts, observation, picture

from scnet_edge.errors import SurveyError
from scnet_edge.survey.begin import open_survey
from scnet_edge.survey.codes import read_codes
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.evidence import read_crack_mask, read_picture
from scnet_edge.survey.exchange import WRITERS, export_survey
from scnet_edge.survey.facts import Site
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import record

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)
TRICKS = (
    "../../canary.txt",
    "..%2f..%2fcanary.txt",
    "/etc/passwd",
    "nul\x00canary.txt",
    "x" * 300,
    "\u202egnp.evil",
    "$(touch canary2)`touch canary2`;touch canary2",
)


@pytest.mark.parametrize("trick", TRICKS)
def test_fault_22_tricky_survey_names(tmp_path: Path, trick: str) -> None:
    canary, folder = tmp_path / "canary.txt", tmp_path / "a" / "survey"
    canary.write_text("untouched")
    site = Site(pipe_id=trick, place=trick, operator=trick)
    with Journal(folder, facts(site=site, source=trick), limits=SMALL) as journal:
        seen = observation(1, remarks=trick, flags=(trick,), review="accepted")
        record(journal, seen, *picture(1))
        journal.commit(observations=[observation(2, snapshot=trick)])
    survey = read_survey(folder)
    assert read_picture(folder, survey.observations[1]) is None  # by number, never by name
    for format in WRITERS:
        for path in export_survey(survey, read_codes(), format, folder / "export"):
            assert path.resolve().is_relative_to(folder.resolve())
    assert canary.read_text() == "untouched"
    written = {re.sub("^[0-9a-f]{8}-", "", path.name) for path in tmp_path.rglob("*")}
    assert "canary2" not in written
    assert written <= OURS


OURS = {
    *("a", "survey", "canary.txt", "survey.db", "survey.db-wal", "survey.db-shm", "reserve"),
    *(".lock", "snapshots", "000001.jpg", "000001.png", "000001.json", "export", "pacp", "images"),
    *("observations.csv", "survey.json", "observations.geojson", "coco.json", "isybau.xml"),
    *("PACP_Inspections.csv", "PACP_Conditions.csv", "PACP_Media_Inspections.csv"),
    *("PACP_Media_Conditions.csv", "m150.xml", "corpus.toml", "train", "masks"),
}


def test_a_link_in_the_snapshots_folder_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"not for the report")
    with Journal(tmp_path / "survey", facts(), limits=SMALL) as journal:
        record(journal, observation(1), *picture(1))
    mask = tmp_path / "survey" / "snapshots" / "000001.png"
    mask.unlink()
    mask.symlink_to(secret)
    [found] = read_survey(tmp_path / "survey").observations
    assert read_crack_mask(tmp_path / "survey", found) is None


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SurveyError, match=r"thesis.txt"):
        open_survey(tmp_path, facts(), live=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
