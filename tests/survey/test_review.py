import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hand_made import HOSTILE, facts, observation, picture

from scnet_edge.errors import ConfigError, SurveyError
from scnet_edge.survey.codes import read_codes, suggest
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.evidence import read_crack_mask
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import JOURNAL, Journal
from scnet_edge.survey.recorder import record
from scnet_edge.survey.review import review_record, undo_review
from scnet_edge.survey.sorting import set_aside

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        for seq in (1, 2):
            record(journal, observation(seq), *picture(seq))
    return tmp_path


def test_a_verdict_and_remarks_change_that_record_alone(survey: Path) -> None:
    before = read_survey(survey).observations
    review_record(survey, 2, verdict="rejected", remarks=HOSTILE)
    review_record(survey, 2, verdict="accepted")
    after = read_survey(survey).observations
    assert after[0] == before[0]
    assert (after[1].review, after[1].remarks) == ("accepted", HOSTILE)


def test_a_review_outlives_the_journal(survey: Path) -> None:
    review_record(survey, 1, verdict="rejected", remarks="a root")
    (survey / JOURNAL).write_bytes(b"garbage" * 1000)
    with Journal(survey, facts(), limits=SMALL):
        pass
    restored = read_survey(survey).observations[0]
    assert (restored.review, restored.remarks) == ("rejected", "a root")


def test_who_and_when_are_kept_with_what_was_before(survey: Path) -> None:
    before = read_survey(survey).observations[0]
    now = review_record(survey, 1, verdict="rejected", by="Ada L.")
    assert (now.reviewed_by, now.reviewed_utc[:4].isdecimal()) == ("Ada L.", True)
    with closing(sqlite3.connect(survey / JOURNAL)) as db:
        [(record,)] = db.execute("SELECT record FROM change").fetchall()
    assert '"by":"Ada L."' in record
    assert undo_review(survey, by="Ada L.") == before
    assert read_survey(survey).observations[0] == before


def test_corrections_accept_the_record_and_change_its_codes(survey: Path) -> None:
    codes = read_codes()
    assert suggest(read_survey(survey).observations[0], codes).en13508 == "BAB B A"
    now = review_record(survey, 1, kind="circumferential", opening="surface", by="a")
    assert (now.review, now.flags) == ("accepted", ("code_corrected",))
    suggested = suggest(now, codes)
    assert (suggested.pacp, suggested.en13508) == ("CC", "BAB A B")
    assert suggest(review_record(survey, 1, opening="open", by="a"), codes).pacp == "FC"
    assert review_record(survey, 2, opening="open", verdict="rejected", by="a").review == "rejected"


def test_a_corrected_clock_turns_the_outline(survey: Path) -> None:
    was = read_survey(survey).observations[0]
    now = review_record(survey, 1, clock_h=(11.0, 11.5), by="a")
    assert (now.clock_from, now.clock_to, now.flags) == (11.0, 11.5, ("clock_corrected",))
    turned = [
        (after - before) % 12
        for (_, after), (_, before) in zip(now.outline_m_h, was.outline_m_h, strict=True)
    ]
    assert turned == pytest.approx([9.0] * len(turned))
    for clock_h in ((-1.0, 2.0), (3.0, 12.0), (float("nan"), 1.0)):
        with pytest.raises(ConfigError, match="expected two hours"):
            review_record(survey, 1, clock_h=clock_h, by="a")


def test_undo_gives_the_mask_back_to_the_byte(survey: Path) -> None:
    file = survey / "snapshots" / "000001.png"
    before, corrected = file.read_bytes(), np.zeros((120, 160), np.bool_)
    corrected[50:60, 20:90] = True
    assert review_record(survey, 1, mask=corrected, by="a").flags == ("mask_corrected",)
    review_record(survey, 1, remarks="wider below", by="a")
    undo_review(survey, by="a")
    mask = read_crack_mask(survey, read_survey(survey).observations[0])
    assert mask is not None
    assert (mask == corrected).all()
    assert undo_review(survey, by="a").flags == ()
    assert file.read_bytes() == before
    with pytest.raises(SurveyError, match="nothing to undo for a"):
        undo_review(survey, by="a")


def test_nobody_undoes_what_another_has_said(survey: Path) -> None:
    review_record(survey, 1, verdict="accepted", by="a")
    review_record(survey, 2, verdict="rejected", by="b")
    review_record(survey, 1, verdict="rejected", by="b")
    with pytest.raises(SurveyError, match="b has changed observation 1 since"):
        undo_review(survey, by="a")
    undo_review(survey, by="b")
    assert undo_review(survey, by="a").review == "needs_review"
    assert [o.review for o in read_survey(survey).observations] == ["needs_review", "rejected"]


def test_a_name_is_printable(survey: Path) -> None:
    for name in ("", " ", "a\nb", "x" * 81):
        with pytest.raises(ConfigError, match="expected a name"):
            review_record(survey, 1, verdict="accepted", by=name)


def test_what_cannot_be_reviewed(survey: Path) -> None:
    with pytest.raises(SurveyError, match="no observation 3, expected one of 1 to 2"):
        review_record(survey, 3, verdict="accepted")
    with (
        Journal(survey, facts(), limits=SMALL),
        pytest.raises(SurveyError, match="another process"),
    ):
        review_record(survey, 1, verdict="accepted")


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
