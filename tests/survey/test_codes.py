from pathlib import Path

import pytest
from hand_made import observation, unscaled

from scnet_edge.errors import ConfigError
from scnet_edge.inspection.records import Figure
from scnet_edge.survey.codes import PACKAGED, find_limit, judge, rate, read_codes, suggest

CODES = read_codes()


@pytest.mark.parametrize(
    ("kind", "crack", "fracture", "en_direction"),
    [
        ("longitudinal", ("CL", 2), ("FL", 3), "A"),
        ("circumferential", ("CC", 1), ("FC", 2), "B"),
        ("spiral", ("CS", 2), ("FS", 3), "D"),
        ("multiple", ("CM", 3), ("FM", 4), "C"),
    ],
)
def test_codes_by_direction(
    kind: str, crack: tuple[str, int], fracture: tuple[str, int], en_direction: str
) -> None:
    fine = suggest(observation(kind=kind), CODES)
    assert (fine.pacp, fine.grade) == crack
    assert fine.en13508 == f"BAB B {en_direction}"
    wide = suggest(observation(kind=kind, width_p95_mm=Figure(7.0, 0.5)), CODES)
    assert (wide.pacp, wide.grade) == fracture
    assert wide.en13508 == f"BAB C {en_direction}"


def test_an_opening_is_never_suggested_from_pixels_or_within_the_uncertainty() -> None:
    assert suggest(unscaled(width_p95_px=200.0), CODES).pacp == "CL"
    assert suggest(unscaled(), CODES).en13508 == "BAB ? A"
    assert suggest(unscaled(), CODES).en13508_width_mm is None
    assert suggest(observation(width_p95_mm=Figure(5.5, 0.5)), CODES).pacp == "CL"


@pytest.mark.parametrize(
    ("width_mm", "character", "quantity"),
    [(0.24, "A", 0.2), (0.5, "B", 0.5), (0.96, "B", 1.0), (1.4, "B", 1.0), (5.0, "C", 5.0)],
)
def test_en_13508_widths(width_mm: float, character: str, quantity: float) -> None:
    suggestion = suggest(observation(width_p95_mm=Figure(width_mm, 0.01)), CODES)
    assert suggestion.en13508.split()[1] == character
    assert suggestion.en13508_width_mm == pytest.approx(quantity)


@pytest.mark.parametrize(
    ("width", "verdict"),
    [
        (Figure(0.35, 0.02), "above"),
        (Figure(0.35, 0.04), "undecided"),
        (Figure(0.25, 0.04), "undecided"),
        (Figure(0.25, 0.02), "within"),
        (None, "not measured"),
    ],
)
def test_widths_against_a_limit(width: Figure | None, verdict: str) -> None:
    limit = find_limit(CODES, "concrete-0.3")
    assert judge(observation(width_p95_mm=width), limit) == verdict


def test_the_limits_that_ship() -> None:
    assert sorted(limit.width_mm for limit in CODES.limits.values()) == [0.1, 0.3, 0.4]
    with pytest.raises(ConfigError, match="expected one of"):
        find_limit(CODES, "concrete")


def test_ratings_of_a_known_pipe() -> None:
    # Two of grade 3, one of grade 2: the example of the rating's own description, 3221.
    kinds = ("longitudinal", "multiple", "multiple")
    rating = rate(suggest(observation(kind=kind), CODES) for kind in kinds)
    assert (rating.pipe_rating, rating.quick) == (8, "3221")
    assert rating.index == pytest.approx(8 / 3)


def test_ratings_of_a_sound_pipe_and_of_many() -> None:
    assert (rate([]).pipe_rating, rate([]).index, rate([]).quick) == (0, 0.0, "0000")
    assert rate([suggest(observation(), CODES)] * 9).quick == "2900"
    assert rate([suggest(observation(), CODES)] * 14).quick == "2A00"
    assert rate([suggest(observation(), CODES)] * 15).quick == "2B00"


def test_a_continuous_crack_counts_by_its_length() -> None:
    # 4.6 m are about 15 ft: three times 5 ft.
    suggestion = suggest(observation(start_m=1.0, end_m=5.6), CODES)
    assert (suggestion.continuous, suggestion.occurrences) == (True, 3)
    assert rate([suggestion]).quick == "2300"


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    text = PACKAGED.read_text(encoding="utf-8")
    own = tmp_path / "codes.toml"
    own.write_text(text.replace('code = "CL", grade = 2', 'code = "RL", grade = 4'))
    assert suggest(observation(), read_codes(own)).pacp == "RL"
    own.write_text(text.replace("grade = 2", "grade = 9", 1))
    with pytest.raises(ConfigError, match="grade"):
        read_codes(own)
    own.write_text("\n".join(line for line in text.splitlines() if not line.startswith("spiral")))
    with pytest.raises(ConfigError, match="spiral"):
        read_codes(own)
