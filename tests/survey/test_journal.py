import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hand_made import facts, gap, observation, picture

from scnet_edge.errors import SurveyError
from scnet_edge.survey.database import VERSION, DiskLimits
from scnet_edge.survey.facts import Progress
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import JOURNAL, Journal
from scnet_edge.survey.recorder import record

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=64 * 1024)
V1 = Path(__file__).parent / "data" / "journal-v1.db"


def test_what_was_committed_is_read_back(tmp_path: Path) -> None:
    progress = Progress(frame_id=33, resume_frame_id=33, frames=34, chainage_m=3.5)
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        assert record(journal, observation(1), *picture(1))
        assert journal.commit(observations=[observation(2)], gaps=[gap()], progress=progress)
        assert journal.acknowledged == 2
    survey = read_survey(tmp_path)
    assert survey.facts == facts()
    assert [o.seq for o in survey.observations] == [1, 2]
    assert survey.observations[1] == observation(2)
    assert survey.observations[0].snapshot == "000001.jpg"
    assert (survey.gaps, survey.progress, survey.alarms) == ((gap(),), progress, ())


def test_a_survey_resumes_where_it_stood(tmp_path: Path) -> None:
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        journal.commit(
            observations=[observation(1)],
            progress=Progress(frame_id=7, resume_frame_id=7, frames=8, chainage_m=1),
        )
    with Journal(tmp_path, facts(survey_id="another"), limits=SMALL) as journal:
        assert journal.facts == facts()
        assert journal.acknowledged == 1
        assert journal.progress is not None
        assert journal.progress.frame_id == 7


def test_sqlite_is_told_to_write_through(tmp_path: Path) -> None:
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        db = journal._connect()
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == b"wal"
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_a_version_1_journal_is_brought_up_to_date(tmp_path: Path) -> None:
    shutil.copy(V1, tmp_path / JOURNAL)
    with Journal(tmp_path, facts(survey_id="another"), limits=SMALL) as journal:
        assert journal.facts == facts()
        assert journal.acknowledged == 3
        journal.alarm("test", "the table that version 1 has not")
    survey = read_survey(tmp_path)
    assert [o.seq for o in survey.observations] == [1, 2, 3]
    assert survey.gaps == (gap(),)
    assert [a.reason for a in survey.alarms] == ["test"]
    with closing(sqlite3.connect(tmp_path / JOURNAL)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == VERSION
        assert (
            db.execute("SELECT kind, width_p95_mm FROM finding").fetchall()
            == [("longitudinal", 1.0)] * 3
        )


def test_a_version_1_journal_can_be_read_without_being_changed(tmp_path: Path) -> None:
    shutil.copy(V1, tmp_path / JOURNAL)
    assert len(read_survey(tmp_path).observations) == 3
    with closing(sqlite3.connect(tmp_path / JOURNAL)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == 1


@pytest.mark.parametrize("read", [False, True])
def test_a_newer_journal_is_refused_and_kept(tmp_path: Path, read: bool) -> None:
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        journal.commit(observations=[observation(1)])
    with closing(sqlite3.connect(tmp_path / JOURNAL)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(SurveyError, match="update scnet-edge"):
        read_survey(tmp_path) if read else Journal(tmp_path, facts(), limits=SMALL)
    assert [p.name for p in tmp_path.glob("*.corrupt-*")] == []


def test_another_programs_database_is_refused_and_kept(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / JOURNAL)) as db:
        db.execute("CREATE TABLE theirs (x)")
    with pytest.raises(SurveyError, match="another program"):
        Journal(tmp_path, facts(), limits=SMALL)


def test_two_processes_cannot_write_one_survey(tmp_path: Path) -> None:
    with (
        Journal(tmp_path, facts(), limits=SMALL),
        pytest.raises(SurveyError, match="another process"),
    ):
        Journal(tmp_path, facts(), limits=SMALL)


def test_a_survey_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        for seq in (1, 2, 3):
            journal.commit(observations=[observation(seq)])
            assert len(read_survey(tmp_path).observations) == seq


def test_a_folder_without_a_journal_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="no survey"):
        read_survey(tmp_path / "nowhere")
