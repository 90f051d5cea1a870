import pytest
from hand_made import observation

from scnet_edge.survey.report.words import clock_text


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ((2.5, 3.25), "2:30 \u2013 3:15"),
        ((2.5, 2.52), "2:30"),
        ((11.99, 0.02), "12:00"),
        ((0.0, 11.99), "all around"),
        ((0.02, 11.8), "12:00 \u2013 11:50"),
        ((3.02, 2.8), "3:00 \u2013 2:50"),
        ((None, None), ""),
    ],
)
def test_a_place_around_the_pipe(clock: tuple[float | None, float | None], expected: str) -> None:
    assert clock_text(observation(1, clock_from=clock[0], clock_to=clock[1])) == expected
