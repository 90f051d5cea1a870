"""Alarms, cracks found, and the threshold over domains, each against what was drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.morphology import skeletonize
from sklearn.metrics import fbeta_score

from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError
from scnet_edge.evaluation.alarms import LEAST_PX, add_alarms, alarm_levels, count_alarms
from scnet_edge.evaluation.domains import score_domain
from scnet_edge.evaluation.metrics import THRESHOLDS, count
from scnet_edge.evaluation.objects import count_objects, middle_of
from scnet_edge.evaluation.operating import (
    GRID,
    best_threshold,
    choose_points,
    domain_counts,
    f2_of,
    list_seeds,
    quiet_point,
)
from scnet_edge.inspection.tracing import MIN_AREA_PX
from scnet_edge.models.decision import Decision

SIZE = (60, 80)


def drawn(*areas: tuple[int, int, int, int], value: float = 0.9) -> np.ndarray:
    """Return a probability map with rectangles (y, x, h, w)."""
    probability = np.full(SIZE, 0.01, np.float32)
    for y, x, h, w in areas:
        probability[y : y + h, x : x + w] = value
    return probability


def quiet(tmp_path: Path, name: str) -> Sample:
    path = tmp_path / f"{name}.png"
    cv2.imwrite(str(path), np.zeros((*SIZE, 3), np.uint8))
    return Sample(path, path, "negative")


def cracked(tmp_path: Path, name: str, mask: np.ndarray) -> Sample:
    path = tmp_path / f"{name}-mask.png"
    cv2.imwrite(str(path), mask.astype(np.uint8) * 255)
    return Sample(path, path)


def test_an_alarm_is_what_an_inspection_would_report() -> None:
    assert LEAST_PX == MIN_AREA_PX


def test_alarms_are_areas_that_are_large_enough() -> None:
    frames = [
        count_alarms(drawn((0, 0, 4, 5), (20, 20, 5, 5), (40, 40, 1, 19)) > 0.5),
        count_alarms(drawn() > 0.5),
        count_alarms(drawn((0, 0, 60, 80)) > 0.5),
        count_alarms(drawn((0, 0, 2, 5)) > 0.5),
    ]
    alarms = add_alarms(frames, Decision(threshold=0.5, seed=0.7))
    assert (alarms.threshold, alarms.seed) == (0.5, 0.7)
    assert (alarms.frames, alarms.alarmed, alarms.per_frame) == (4, 0.5, 0.75)
    assert alarms.pixels == pytest.approx((20 + 25 + 19 + 4800 + 10) / (4 * 4800))
    low, high = alarms.alarmed_ci95
    assert low < 0.5 < high
    with pytest.raises(InputError, match="at least one image"):
        add_alarms([], Decision(threshold=0.5))


@pytest.mark.parametrize(
    "decisions",
    [[Decision(threshold=t) for t in GRID], list_seeds(0.2)],
    ids=["thresholds", "seeds"],
)
def test_alarm_levels_are_those_of_each_decision(decisions: list[Decision]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        probability = cv2.GaussianBlur(rng.random(SIZE, np.float32), (0, 0), 3)
        probability = (probability - probability.min()) / np.ptp(probability)
        expected = [count_alarms(d.mask_of(probability)).areas > 0 for d in decisions]
        assert alarm_levels(probability, decisions).tolist() == expected


@pytest.mark.parametrize("width", [1, 2, 3, 5, 9])
def test_the_middle_of_a_crack_follows_its_skeleton(width: int) -> None:
    mask = np.zeros((120, 200), np.uint8)
    cv2.polylines(mask, [np.array([[10, 20], [90, 60], [190, 100]])], False, 1, width)
    middle, skeleton = middle_of(mask > 0), skeletonize(mask > 0)
    near = cv2.dilate(skeleton.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert middle[near].sum() > 0.9 * middle.sum()
    reach = cv2.dilate(middle.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert skeleton[reach].sum() > 0.95 * skeleton.sum()


@pytest.mark.parametrize(("seen", "found"), [(0.2, 0), (0.45, 0), (0.55, 1), (1.0, 1)])
def test_a_crack_is_found_by_half_of_its_length(seen: float, found: int) -> None:
    truth = np.zeros((60, 200), np.bool_)
    truth[20:23, :] = True  # fine
    truth[40:41, 3:12] = True  # too small to count
    mask = np.zeros_like(truth)
    mask[22:23, : round(200 * seen)] = True
    assert count_objects(mask, truth) == (1, found)


def test_a_fine_crack_weighs_as_much_as_a_wide_one() -> None:
    truth = np.zeros((120, 200), np.bool_)
    truth[20:22, 5:195] = truth[60:100, 5:195] = True
    assert count_objects(truth & (np.arange(120) > 50)[:, None], truth) == (2, 1)
    assert count_objects(truth & (np.arange(120) < 50)[:, None], truth) == (2, 1)


def test_a_domain_of_all_kinds(tmp_path: Path) -> None:
    truth = drawn((10, 0, 3, 80)) > 0.5
    sound = np.zeros(SIZE, np.bool_)
    pairs = [
        (cracked(tmp_path, "a", truth), drawn((10, 0, 3, 80))),
        (cracked(tmp_path, "b", truth), drawn((10, 0, 3, 20))),
        (cracked(tmp_path, "c", sound), drawn((0, 0, 9, 9))),  # a mask, but no crack in it
        (quiet(tmp_path, "d"), drawn()),
        (Sample(tmp_path, tmp_path, "image-level"), drawn((0, 0, 9, 9))),
        (Sample(tmp_path, tmp_path, "image-level"), drawn()),
    ]
    score, strict = score_domain(
        pairs, decisions=[Decision(threshold=0.5), Decision(threshold=0.5, seed=0.95)]
    )
    assert strict.alarms is not None
    assert (strict.alarms.seed, strict.alarms.alarmed) == (0.95, 0)
    assert strict.cracks is not None
    assert (strict.cracks.f1, strict.cracks.crack_recall) == (0, 0)
    assert strict.cracks.best_f1 > 0.6  # of pixels alone
    assert score.cracks is not None
    assert (score.cracks.images, score.cracks.cracks, score.cracks.crack_recall) == (3, 2, 0.5)
    right, predicted, true = 240 + 60, 240 + 60 + 81, 480
    assert score.cracks.f1 == pytest.approx(2 * right / (predicted + true))
    assert score.alarms is not None
    assert (score.alarms.frames, score.alarms.alarmed) == (2, 0.5)
    assert score.image_level is not None
    assert (score.image_level.images, score.image_level.flagged) == (2, 0.5)
    with pytest.raises(InputError, match="at least one image"):
        score_domain([], decisions=[Decision(threshold=0.5)])


def test_the_threshold_serves_cracks_and_quiet_frames(tmp_path: Path) -> None:
    """Cracks are seen up to .6, sound frames alarm up to .4; a wide domain does not outvote."""
    truth = drawn((10, 0, 3, 80)) > 0.5
    cracks = domain_counts([(cracked(tmp_path, "a", truth), drawn((10, 0, 3, 80), value=0.6))])
    sound = domain_counts([(quiet(tmp_path, str(i)), drawn((0, 0, 9, 9), value=0.4)) for i in "bc"])
    assert cracks.alarmed is None
    assert sound.counts is None
    best = best_threshold([cracks, sound])
    assert 0.4 < best.threshold <= 0.6
    assert best.score == 1
    assert best_threshold([cracks]).named == "F1"
    assert best_threshold([cracks]).threshold == pytest.approx(0.02)  # the lowest of the best
    kept = best_threshold([cracks, sound], kept=0.38)
    assert kept.threshold == pytest.approx(0.38)
    assert kept.score == 0.5  # no sound frame is quiet there
    assert best_threshold([cracks], kept=0.38).threshold == pytest.approx(0.38)


def test_masks_without_any_crack_are_quiet_frames(tmp_path: Path) -> None:
    """A small set of reviewed pictures may hold out nothing but what was rejected."""
    probability = drawn((0, 0, 9, 9), value=0.4)
    rejected = domain_counts([(cracked(tmp_path, "a", np.zeros(SIZE)), probability)])
    negative = domain_counts([(quiet(tmp_path, "b"), probability)])
    assert rejected.counts is None
    assert np.array_equal(rejected.alarmed, negative.alarmed)
    assert best_threshold([rejected]).threshold > 0.4


def test_the_own_point_has_the_lowest_seed_that_keeps_frames_quiet() -> None:
    maps = [drawn((0, 0, 9, 9), value=value) for value in (0.2, 0.4, 0.6, 0.8)]

    def seed(alarmed: float) -> float:
        point = quiet_point(maps, threshold=0.3, alarmed=alarmed)
        assert (point.name, point.threshold) == ("own", 0.3)
        return point.seed

    assert seed(0.75) == 0  # three of four alarm without one
    assert seed(0.5) == pytest.approx(0.41)
    assert seed(0.25) == pytest.approx(0.61)
    assert seed(0.0) == pytest.approx(0.81)
    (figure,) = quiet_point(maps, threshold=0.3, alarmed=0.3).domains.values()
    assert figure.alarmed == 0.25
    with pytest.raises(InputError, match=r"found 100\.0% with 0\.99"):
        quiet_point([drawn((0, 0, 9, 9), value=1.0)], threshold=0.3, alarmed=0.05)
    with pytest.raises(InputError, match="at least one frame"):
        quiet_point([], threshold=0.3, alarmed=0.05)


def test_points_to_choose_from(tmp_path: Path) -> None:
    """Cracks are seen up to .3; of ten sound frames one alarms up to .9, one more up to .7."""
    truth = drawn((10, 0, 4, 80), (30, 0, 4, 80)) > 0.5
    map_of_cracks = drawn((10, 0, 4, 80), (30, 0, 4, 80), value=0.3)
    map_of_cracks[50:53, :70] = 0.1  # of the wall, for which recall is not worth it
    loud = (0.9, 0.7, 0.5, *[0.0] * 7)
    domains = {
        "cracks": [(cracked(tmp_path, "a", truth), map_of_cracks)],
        "sound": [
            (quiet(tmp_path, str(i)), drawn((0, 0, 9, 9), value=v)) for i, v in enumerate(loud)
        ],
    }
    points = choose_points(domains)
    assert points["sensitive"] == Decision(threshold=0.12)
    assert points["balanced"].threshold == pytest.approx(0.12)  # the lowest without that wall
    assert points["balanced"].seed == pytest.approx(0.71)  # one of ten alarms
    assert points["strict"].seed == pytest.approx(0.91)  # none does
    domains["louder"] = [(quiet(tmp_path, "c"), drawn((0, 0, 9, 9), value=0.995))]
    assert choose_points(domains)["strict"].seed == pytest.approx(0.99)  # no seed does
    for only in ("cracks", "sound"):
        with pytest.raises(InputError, match="found only one of the two"):
            choose_points({only: domains[only]})


def test_the_threshold_is_the_lowest_that_costs_next_to_nothing(tmp_path: Path) -> None:
    probability = drawn((20, 20, 20, 20))
    probability[20:22, 40] = 0.3  # F1 of 0.9975 with these two pixels
    probability[22:25, 40] = 0.1  # and of 0.994 with these three, too
    truth = drawn((20, 20, 20, 20)) > 0.5
    sound = [(quiet(tmp_path, "a"), drawn())]
    points = choose_points({"c": [(cracked(tmp_path, "c", truth), probability)], "s": sound})
    assert points["balanced"].threshold == pytest.approx(0.12)


def test_f2_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(SIZE) < 0.3
    probability = np.clip(rng.normal(0.3 + 0.3 * truth, 0.2), 0, 1).astype(np.float32)
    ours = f2_of(count(probability, truth))
    for index in (10, 40, 70):
        predicted = probability >= THRESHOLDS[index]
        expected = fbeta_score(truth.ravel(), predicted.ravel(), beta=2)
        assert ours[index] == pytest.approx(expected)
