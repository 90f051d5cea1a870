"""Which records a person should look at, and why the others stand aside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hand_made import facts, observation, unscaled

from scnet_edge.inspection.records import Figure, Observation
from scnet_edge.survey.folder import Survey
from scnet_edge.survey.sorting import count_aside, find_structures, set_aside

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
        observation(2, confidence=0.55),
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


AROUND_MM = 942.5  # of a pipe of 300 mm


def around(seq: int, clock: tuple[float, float], **changes: Any) -> Observation:
    """Return a line around the pipe at 4.000 to 4.008 m."""
    hours = (clock[1] - clock[0]) % 12
    values: dict[str, Any] = {
        "kind": "circumferential",
        "start_m": 4.0,
        "end_m": 4.008,
        "clock_from": clock[0],
        "clock_to": clock[1],
        "length_mm": Figure(hours / 12 * AROUND_MM, 1.0),
        "confidence": 0.62,
    }
    return observation(seq, **{**values, **changes})


def along(seq: int, start_m: float, end_m: float, **changes: Any) -> Observation:
    """Return a straight line along the pipe at 4:30."""
    values: dict[str, Any] = {
        "start_m": start_m,
        "end_m": end_m,
        "clock_from": 4.48,
        "clock_to": 4.52,
        "tortuosity": 1.01,
        "confidence": 0.62,
    }
    return observation(seq, **{**values, **changes})


def test_lines_around_half_of_the_pipe_at_one_chainage_are_a_joint() -> None:
    ring = [around(1, (7.6, 1.4)), around(2, (2.0, 2.9), start_m=4.002, end_m=4.01)]
    assert find_structures(ring) == {1: "joint", 2: "joint"}


def test_three_pieces_are_a_joint_from_a_third_of_the_clock() -> None:
    pieces = [around(1, (11.0, 1.0)), around(2, (3.0, 4.5)), around(3, (8.0, 9.0))]
    assert set(find_structures(pieces).values()) == {"joint"}
    assert find_structures(pieces[:2]) == {}


def test_a_crack_that_is_sure_or_bent_or_alone_stays_a_crack() -> None:
    assert find_structures([around(1, (7.6, 1.4), confidence=0.9)]) == {}
    assert find_structures([around(1, (7.6, 1.4), end_m=4.06)]) == {}
    assert find_structures([around(1, (7.6, 10.0))]) == {}


def root(seq: int, start_m: float, end_m: float, clock_h: float, **changes: Any) -> Observation:
    """Return a piece along the pipe that hangs out of something at one of its ends."""
    clock = {"clock_from": clock_h, "clock_to": clock_h + 0.2}
    return along(seq, start_m, end_m, confidence=changes.pop("confidence", 0.7), **clock, **changes)


def test_short_pieces_that_begin_or_end_beside_each_other_are_roots() -> None:
    behind = [root(1, 2.0, 2.06, 2.0), root(2, 2.008, 2.03, 4.0), root(3, 2.012, 2.09, 9.0)]
    assert find_structures(behind) == {1: "roots", 2: "roots", 3: "roots"}
    before = [root(1, 1.95, 2.0, 2.0), root(2, 1.91, 2.008, 4.0), root(3, 1.98, 2.012, 9.0)]
    assert find_structures(before) == {1: "roots", 2: "roots", 3: "roots"}


def test_a_piece_at_a_ring_is_a_root() -> None:
    ring = [around(1, (7.6, 2.4))]
    assert find_structures([*ring, root(2, 4.005, 4.06, 3.0)]) == {1: "joint", 2: "roots"}
    assert find_structures([*ring, root(2, 4.05, 4.09, 3.0)]) == {1: "joint"}


def test_cracks_that_are_long_sure_two_or_spread_are_no_roots() -> None:
    two = [root(1, 2.0, 2.06, 2.0), root(2, 2.008, 2.03, 4.0)]
    assert find_structures(two) == {}
    assert find_structures([*two, root(3, 2.01, 2.3, 9.0)]) == {}
    assert find_structures([*two, root(3, 2.01, 2.05, 9.0, confidence=0.85)]) == {}
    assert find_structures([*two, root(3, 2.02, 2.07, 9.0)]) == {}
    assert find_structures([*two, root(3, 2.01, 2.05, 9.0, segment=1)]) == {}
    broken = [around(i, (h, h + 0.5)) for i, h in ((1, 2.0), (2, 3.0), (3, 4.0))]
    assert find_structures(broken) == {}


def test_pieces_of_two_segments_or_two_chainages_are_no_ring() -> None:
    one, other = around(1, (7.6, 11.0)), around(2, (11.2, 2.4))
    assert len(find_structures([one, other])) == 2
    elsewhere = around(2, (11.2, 2.4), segment=1)
    further = around(2, (11.2, 2.4), start_m=4.05, end_m=4.058)
    assert find_structures([one, elsewhere]) == find_structures([one, further]) == {}


def test_a_line_for_a_metre_where_water_may_stand_is_a_water_line() -> None:
    assert find_structures([along(1, 1.0, 2.4)]) == {1: "water_line"}
    pieces = [along(1, 1.0, 1.5), along(2, 1.8, 2.3, clock_from=4.5, clock_to=4.55)]
    assert find_structures(pieces) == {1: "water_line", 2: "water_line"}


def test_a_line_that_is_short_high_or_scattered_is_a_crack() -> None:
    assert find_structures([along(1, 1.0, 1.6)]) == {}
    assert find_structures([along(1, 1.0, 2.4, clock_from=1.0, clock_to=1.04)]) == {}
    assert find_structures([along(1, 1.0, 1.2), along(2, 4.0, 4.2)]) == {}


def test_a_wall_without_clock_or_chainage_has_no_structures() -> None:
    assert find_structures([unscaled(1), unscaled(2)]) == {}
