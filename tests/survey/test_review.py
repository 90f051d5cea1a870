from pathlib import Path

import pytest
from hand_made import HOSTILE, facts, observation, picture

from scnet_edge.errors import SurveyError
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import JOURNAL, Journal
from scnet_edge.survey.recorder import record
from scnet_edge.survey.review import review
from scnet_edge.survey.sorting import set_aside
from scnet_edge.survey.space import DiskLimits

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        for seq in (1, 2):
            record(journal, observation(seq), *picture(seq))
    return tmp_path


def test_a_verdict_and_remarks_change_that_record_alone(survey: Path) -> None:
    before = read_survey(survey).observations
    review(survey, 2, verdict="rejected", remarks=HOSTILE)
    review(survey, 2, verdict="accepted")
    after = read_survey(survey).observations
    assert after[0] == before[0]
    assert (after[1].review, after[1].remarks) == ("accepted", HOSTILE)


def test_a_review_outlives_the_journal(survey: Path) -> None:
    review(survey, 1, verdict="rejected", remarks="a root")
    (survey / JOURNAL).write_bytes(b"garbage" * 1000)
    with Journal(survey, facts(), limits=SMALL):
        pass
    restored = read_survey(survey).observations[0]
    assert (restored.review, restored.remarks) == ("rejected", "a root")


def test_what_cannot_be_reviewed(survey: Path) -> None:
    with pytest.raises(SurveyError, match="no observation 3, expected one of 1 to 2"):
        review(survey, 3, verdict="accepted")
    with (
        Journal(survey, facts(), limits=SMALL),
        pytest.raises(SurveyError, match="another process"),
    ):
        review(survey, 1, verdict="accepted")


def test_what_is_less_sure_is_left_out_and_counted_unless_a_person_accepted_it(
    tmp_path: Path,
) -> None:
    doubtful = [
        observation(1, confidence=0.74),
        observation(2, confidence=0.75),
        observation(3, confidence=0.6, review="accepted"),
    ]
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        for one in doubtful:
            record(journal, one, *picture(one.seq))
    everything = read_survey(tmp_path)
    left = set_aside(everything, 0.75)
    assert [o.seq for o in left.observations] == [2, 3]
    assert [(o.seq, why) for o, why in left.aside] == [(1, "unsure")]
    assert set_aside(everything, 0.0) == everything
