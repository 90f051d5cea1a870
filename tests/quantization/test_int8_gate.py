"""The gate's arithmetic by hand, and what it will not let pass whatever it scores."""

from __future__ import annotations

from dataclasses import replace
from inspect import signature

import msgspec
import numpy as np
import pytest

from scnet_edge.errors import ConfigError, InputError
from scnet_edge.evaluation.metrics import count
from scnet_edge.inspection.tracing import MIN_AREA_PX, trace_cracks
from scnet_edge.quantization.gate import (
    Gate,
    calibration_objections,
    find_unjudged,
    judge,
    parse_gate,
    strata,
)
from scnet_edge.quantization.graph_scores import GraphScores, Traits
from scnet_edge.quantization.ranges import CalibrationFile

TRUTH = np.zeros((40, 50), bool)
TRUTH[10:20] = True


def scores_of(maps: list[np.ndarray], truth: np.ndarray = TRUTH) -> GraphScores:
    scores = GraphScores(threshold=0.5)
    for each in maps:
        scores.counts.append(count(each.astype(np.float32), truth))
        scores.probabilities.append(each.astype(np.float16))
    return scores


def kinds(count: int, data: str = "drawn") -> list[Traits]:
    return [
        Traits(
            data=data, tags=frozenset(), brightness=100.0 + i, width_px=2.0 + i, red_minus_blue=9.0
        )
        for i in range(count)
    ]


def verdict(ours: GraphScores, reference: GraphScores, **changes: object):
    traits = changes.pop("kinds", kinds(len(ours.counts)))
    gate = changes.pop("gate", Gate())
    return judge("INT8", "int8", (), ours, reference, traits, gate, **changes)


def test_the_same_masks_pass() -> None:
    exact = [TRUTH * 0.9] * 8
    candidate = verdict(scores_of(exact), scores_of(exact))
    assert candidate.passed
    assert candidate.f1 == candidate.f1_fp32 == 1
    assert candidate.lost_ci95 == (0, 0)
    assert candidate.mask_agreement == 1


def test_a_loss_fails_and_is_counted_as_sklearn_counts() -> None:
    from sklearn.metrics import f1_score

    worse = TRUTH * 0.9
    worse[10:12] = 0.2
    ours, reference = scores_of([worse] * 8), scores_of([TRUTH * 0.9] * 8)
    candidate = verdict(ours, reference)
    assert not candidate.passed
    expected = 1 - f1_score(TRUTH.ravel(), (worse >= 0.5).ravel())
    assert candidate.lost_f1 == pytest.approx(expected)
    assert candidate.lost_ci95 == pytest.approx((expected, expected))
    assert candidate.mask_agreement == pytest.approx(((worse >= 0.5) == TRUTH).mean())
    assert any("F1 (upper end" in reason for reason in candidate.reasons)
    generous = verdict(ours, reference, gate=Gate(max_lost_f1=0.5))
    assert not any("upper end" in reason for reason in generous.reasons)


def test_one_bad_stratum_fails_a_good_average() -> None:
    good, bad = TRUTH * 0.9, TRUTH * 0.9
    bad[10] = 0.2
    maps = [good] * 195 + [bad] * 5
    who = kinds(195) + [
        Traits(
            data="drawn",
            tags=frozenset({"wet"}),
            brightness=200.0,
            width_px=300.0,
            red_minus_blue=9.0,
        )
        for _ in range(5)
    ]
    candidate = verdict(scores_of(maps), scores_of([good] * 200), kinds=who)
    assert candidate.lost_f1 < 0.005
    assert len(candidate.reasons) == 1
    assert "stratum 'wet'" in candidate.reasons[0]


def test_strata_are_data_sets_tags_and_the_thin_and_dark_quarter() -> None:
    groups = strata(kinds(8, "a") + kinds(8, "b"))
    assert groups["a"] == list(range(8))
    assert groups["thin"] == groups["dark"] == [0, 1, 8, 9]


def test_strata_that_say_too_little_are_named_and_a_users_own_is_refused() -> None:
    exact = scores_of([TRUTH * 0.9] * 8)
    who = kinds(4, "deepcrack") + kinds(4, "masonry")
    assert find_unjudged(exact, who) == {"deepcrack": 4, "thin": 2, "dark": 2, "masonry": 4}
    assert find_unjudged(scores_of([TRUTH * 0.9] * 40), kinds(40)) == {}
    wet = [replace(kind, tags=frozenset({"wet"})) for kind in who[:4]] + who[4:]
    with pytest.raises(InputError, match=r"stratum 'wet': expected 5 images .* found 4 images"):
        find_unjudged(exact, wet)


def test_broken_masks_fail() -> None:
    reference = scores_of([TRUTH * 0.9] * 8)
    empty = verdict(scores_of([TRUTH * 0.0] * 8), reference)
    assert any("every mask is empty" in r for r in empty.reasons)
    full = verdict(scores_of([np.ones((40, 50))] * 8), reference)
    assert any("every mask is full" in r for r in full.reasons)
    some = verdict(scores_of([TRUTH * 0.9] * 7 + [TRUTH * 0.0]), reference)
    assert any("1 masks are empty" in r for r in some.reasons)
    sick = scores_of([TRUTH * 0.9] * 8)
    sick.finite = False
    assert "probabilities are not finite" in verdict(sick, reference).reasons


def test_the_smallest_crack_that_is_reported_may_not_vanish() -> None:
    """20 connected pixels of 2000 count as a crack, 19 or a scatter do not."""
    assert signature(trace_cracks).parameters["min_area_px"].default == MIN_AREA_PX == 20
    crack, speck, scatter = (np.zeros((40, 50)) for _ in range(3))
    crack[5, 10:30] = speck[5, 10:29] = scatter[::4, ::4] = 0.9
    whole = [TRUTH * 0.9] * 7
    for last, vanishes in ((crack, True), (speck, False), (scatter, False)):
        candidate = verdict(scores_of([*whole, TRUTH * 0.0]), scores_of([*whole, last]))
        assert any("1 masks are empty" in r for r in candidate.reasons) == vanishes


def test_the_optimum_threshold_is_reported_and_the_shipped_one_stays() -> None:
    shifted = np.where(TRUTH, 0.45, 0.1)
    candidate = verdict(scores_of([shifted] * 8), scores_of([TRUTH * 0.9] * 8))
    assert candidate.f1 == 0
    assert candidate.best_threshold == pytest.approx(0.11)
    assert not candidate.passed


@pytest.mark.parametrize("text", ["f1", "f1:", "f1:-0.1", "f1:nan", "iou:0.01", "0.005", "f1:1"])
def test_a_gate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="f1:LOSS"):
        parse_gate(text)


def test_a_gate_is_read() -> None:
    assert parse_gate("f1:0.005") == Gate(max_lost_f1=0.005)
    assert parse_gate("f1:0.005").spec == "f1:0.005"


def test_objections_to_frames(calibrated) -> None:
    from scnet_edge.simulation.clip import render_stills

    good: CalibrationFile = calibrated([f for f, _ in render_stills(8, (96, 128), seed=3)])
    judging = kinds(8, "deepcrack")
    assert calibration_objections(good, judging) == []

    def with_frames(**changes: float) -> CalibrationFile:
        frames = {k: msgspec.structs.replace(f, **changes) for k, f in good.frames.items()}
        return msgspec.structs.replace(good, frames=frames)

    assert "noise" in calibration_objections(with_frames(sharpness=20.0), judging)[0]
    assert "black" in calibration_objections(with_frames(brightness=0.0), judging)[0]
    cold = with_frames(red_minus_blue=-7.0)
    assert "swapped" in calibration_objections(cold, judging)[0]
    assert calibration_objections(cold, kinds(8, "drawn")) == []  # their tint is nobody's
    assert (
        calibration_objections(msgspec.structs.replace(cold, colours_checked=True), judging) == []
    )
    few = msgspec.structs.replace(good, frames=dict(list(good.frames.items())[:3]))
    assert "3 different frames" in calibration_objections(few, judging)[0]
