"""Garbage in the journal: moved aside, a new one with the same records, an alarm, and on."""

from pathlib import Path

import pytest
from hand_made import facts, observation, picture

from scnet_edge.errors import SurveyError
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import JOURNAL, Journal
from scnet_edge.survey.recorder import record

LIMITS = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=2**16)


@pytest.mark.parametrize("at", [0, 5000])  # the file's header, a table's page
def test_fault_10_journal_garbage(tmp_path: Path, at: int) -> None:
    with Journal(tmp_path, facts(), limits=LIMITS) as journal:
        for seq in (1, 2, 3):
            record(journal, observation(seq), *picture(seq))
    sound = read_survey(tmp_path).observations
    with (tmp_path / JOURNAL).open("r+b") as f:
        f.seek(at)
        f.write(b"\xde\xad\xbe\xef" * 4096)
    with pytest.raises(SurveyError, match="damaged"):
        read_survey(tmp_path)

    with Journal(tmp_path, facts(), limits=LIMITS, replays=True) as journal:
        assert journal.acknowledged == 3
        assert journal.progress is not None
        assert journal.progress.frame_id == sound[-1].last_frame_id
        assert record(journal, observation(4), *picture(4))
    survey = read_survey(tmp_path)
    assert survey.observations[:3] == sound
    assert [o.seq for o in survey.observations] == [1, 2, 3, 4]
    assert [a.reason for a in survey.alarms] == ["journal_corrupt", "records_restored"]
    [aside] = tmp_path.glob(f"{JOURNAL}.corrupt-*Z")
    assert b"\xde\xad\xbe\xef" in aside.read_bytes()
