from pathlib import Path
from typing import Any

import pytest
from hand_made import facts, gap, observation, unscaled
from msgspec.structs import replace

from scnet_edge.errors import InputError
from scnet_edge.inspection.records import Figure, Observation
from scnet_edge.survey.facts import Progress
from scnet_edge.survey.folder import Survey
from scnet_edge.survey.growth import compare_surveys

DONE = Progress(frame_id=999, resume_frame_id=1000, frames=1000, chainage_m=20.0, finished=True)


def survey(*found: Observation, **changes: Any) -> Survey:
    values: dict[str, Any] = {
        "folder": Path("survey"),
        "facts": facts(),
        "observations": found,
        "gaps": (),
        "alarms": (),
        "progress": DONE,
    }
    return Survey(**{**values, **changes})


def crack(seq: int, at_m: float, clock: float = 3.0, **changes: Any) -> Observation:
    outline = tuple((at_m + 0.02 * i, (clock + 0.02 * i) % 12) for i in range(21))
    place = {"start_m": at_m, "end_m": at_m + 0.4, "outline_m_h": outline}
    return observation(seq, **{**place, **changes})


def test_growth_is_the_difference_with_both_uncertainties() -> None:
    after = crack(7, 1.03, length_mm=Figure(460.0, 3.0), width_p95_mm=Figure(1.05, 0.06))
    [pair] = compare_surveys(survey(crack(1, 1.0)), survey(after)).pairs
    assert (pair.before, pair.after, pair.change) == (1, 7, "grown")
    assert pair.length_growth_mm == Figure(60.0, 5.0)  # 3-4-5
    assert pair.width_growth_mm
    assert pair.width_growth_mm.value == pytest.approx(0.05)
    assert pair.width_growth_mm.sigma == pytest.approx(0.1)
    assert pair.apart_m < 0.03


def test_within_the_uncertainty_nothing_has_changed() -> None:
    after = crack(1, 1.0, length_mm=Figure(405.0, 4.0))
    assert compare_surveys(survey(crack(1, 1.0)), survey(after)).pairs[0].change == "unchanged"
    less = crack(1, 1.0, width_p95_mm=Figure(0.5, 0.08))
    assert compare_surveys(survey(crack(1, 1.0)), survey(less)).pairs[0].change == "shrunk"


def test_neighbours_are_not_mixed_up() -> None:
    before = survey(crack(1, 1.0, 3.0), crack(2, 1.1, 3.6), crack(3, 5.0, 11.9))
    after = survey(crack(1, 5.02, 0.05), crack(2, 1.12, 3.6), crack(3, 1.02, 3.0))
    pairs = [(pair.before, pair.after) for pair in compare_surveys(before, after).pairs]
    assert pairs == [(1, 3), (2, 2), (3, 1)]  # the last one over 12 o'clock


def test_what_appeared_what_vanished_and_what_nobody_looked_at() -> None:
    before = survey(crack(1, 1.0), crack(2, 6.5), crack(3, 25.0))
    after = survey(crack(1, 10.0), crack(2, 6.5, 9.0), gaps=(gap(start_m=6.0, end_m=7.5),))
    found = compare_surveys(before, after)
    assert found.pairs == ()
    assert found.appeared == (1, 2)
    assert found.vanished == (1,)
    assert found.not_seen == ((2, 3), ())  # in a gap; beyond the end of the later one


def test_an_offset_of_the_odometers() -> None:
    before, after = survey(crack(1, 5.0)), survey(crack(1, 2.0))
    assert compare_surveys(before, after).pairs == ()
    assert len(compare_surveys(before, after, offset_m=3.0).pairs) == 1


def test_what_was_rejected_does_not_count() -> None:
    found = compare_surveys(survey(crack(1, 1.0, review="rejected")), survey(crack(1, 1.0)))
    assert (found.pairs, found.appeared) == ((), (1,))


def test_surveys_that_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="geometry pipe and wall"):
        compare_surveys(survey(), survey(facts=facts(mode="wall")))
    with pytest.raises(InputError, match=r"diameter 300.0 and 400.0"):
        compare_surveys(survey(), survey(facts=facts(geometry={"diameter_mm": 400.0})))
    with pytest.raises(InputError, match="no positions"):
        compare_surveys(survey(crack(1, 1.0)), survey(unscaled()))


@pytest.mark.parametrize("name", ["pipe_id", "place", "from_node", "to_node"])
def test_two_pipes_are_not_compared(name: str) -> None:
    other = replace(facts().site, **{name: "another"})
    with pytest.raises(InputError, match=r"another, expected the same"):
        compare_surveys(survey(crack(1, 1.0)), survey(crack(1, 1.0), facts=facts(site=other)))
    unnamed = facts(site=replace(facts().site, **{name: ""}))
    assert compare_surveys(survey(crack(1, 1.0)), survey(crack(1, 1.0), facts=unnamed)).pairs
    loud = facts(site=replace(facts().site, **{name: f"  {getattr(facts().site, name).upper()}"}))
    assert compare_surveys(survey(crack(1, 1.0)), survey(crack(1, 1.0), facts=loud)).pairs
