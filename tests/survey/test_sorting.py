"""Which records a person should look at, and why the others stand aside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hand_made import facts, observation

from scnet_edge.survey.folder import Survey
from scnet_edge.survey.sorting import count_aside, set_aside

RING: dict[str, Any] = {
    "kind": "circumferential",
    "start_m": 4.0,
    "end_m": 4.008,
    "clock_from": 7.0,
    "clock_to": 2.0,
    "confidence": 0.75,
}


def survey(*observations: Any) -> Survey:
    return Survey(
        folder=Path(),
        facts=facts(),
        observations=observations,
        gaps=(),
        alarms=(),
        progress=None,
    )


def test_every_record_is_in_one_part_with_its_reason() -> None:
    found = survey(
        observation(1),
        observation(2, confidence=0.6),
        observation(3, flags=("short",)),
        observation(4, **RING),
    )
    sorted_out = set_aside(found)
    assert [o.seq for o in sorted_out.observations] == [1]
    assert [(o.seq, why) for o, why in sorted_out.aside] == [
        (2, "unsure"),
        (3, "short"),
        (4, "joint"),
    ]
    assert count_aside(sorted_out) == "1 joint of the pipe, 1 short, 1 unsure"


def test_what_a_person_accepted_is_looked_at() -> None:
    found = survey(observation(1, review="accepted", **RING), observation(2, flags=("short",)))
    assert [o.seq for o in set_aside(found).observations] == [1]


def test_nothing_stands_aside_where_everything_is_asked_for() -> None:
    found = survey(observation(1, **RING), observation(2, flags=("short",), confidence=0.5))
    assert set_aside(found, 0.0) == found
    assert count_aside(found) == ""
