"""From maps to the figures that a card or a report states."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.metrics import f1_score

from scnet_edge.config import read_json, write_json
from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError
from scnet_edge.evaluation.scores import Evaluation, card_metrics, evaluate
from scnet_edge.models.decision import Decision

FACTS = {"subject": "drawn", "engine": "none", "data": "drawn test"}


def predicted(folder: Path, n: int = 6) -> list[tuple[Sample, np.ndarray]]:
    rng, pairs = np.random.default_rng(0), []
    for i in range(n):
        truth = np.zeros((30, 40), np.uint8)
        truth[10:13, i : i + 25] = 255
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), truth)
        probability = np.clip(rng.normal(0.2 + 0.4 * (truth > 0), 0.15), 0, 1)
        pairs.append((Sample(path, path), probability.astype(np.float32)))
    return pairs


def test_figures_hold_together_and_are_read_back(tmp_path: Path) -> None:
    pairs = predicted(tmp_path)
    scores = evaluate(pairs, decision=Decision(threshold=0.4), **FACTS)
    truth = np.concatenate([s.read_mask().ravel() for s, _ in pairs])
    ours = np.concatenate([p.ravel() for _, p in pairs]) >= np.float32(0.4)
    assert scores.shipped.f1 == pytest.approx(f1_score(truth, ours))
    assert scores.images == 6
    assert scores.shipped.ci95[0] < scores.shipped.f1 < scores.shipped.ci95[1]
    assert scores.shipped.f1 <= scores.ods.f1 <= scores.ois + 0.05
    assert scores.tolerance["0"] == scores.ods.f1 <= scores.tolerance["2"] <= scores.tolerance["5"]
    assert scores.shipped.tolerance["0"] == scores.shipped.f1
    for at in (scores, scores.shipped):
        f1 = scores.ods.f1 if at is scores else scores.shipped.f1
        assert at.iou == pytest.approx(f1 / (2 - f1))
        assert at.iou < at.miou <= 1
    assert scores.ods.ci95[0] < scores.ods.f1 < scores.ods.ci95[1]

    write_json(tmp_path / "scores.json", scores)
    assert read_json(tmp_path / "scores.json", Evaluation) == scores


def test_images_without_a_crack_are_scored_by_alarms(tmp_path: Path) -> None:
    pairs = predicted(tmp_path)
    assert evaluate(pairs, decision=Decision(threshold=0.4), **FACTS).alarms is None
    cv2.imwrite(str(pairs[0][0].mask), np.zeros((30, 40), np.uint8))
    cv2.imwrite(str(pairs[1][0].mask), np.zeros((30, 40), np.uint8))
    pairs[1][1][:] = 0.1
    alarms = evaluate(pairs, decision=Decision(threshold=0.4), **FACTS).alarms
    assert alarms is not None
    assert (alarms.frames, alarms.alarmed, alarms.per_frame) == (2, 0.5, 0.5)


def test_card_says_what_was_measured(tmp_path: Path) -> None:
    scores = evaluate(predicted(tmp_path), decision=Decision(threshold=0.4), **FACTS)
    metrics = card_metrics(scores)
    assert (metrics.data, metrics.images, metrics.threshold) == ("drawn test", 6, 0.4)
    assert metrics.f1 == pytest.approx(scores.shipped.f1, abs=5e-5)
    assert metrics.ci95 == pytest.approx(scores.shipped.ci95, abs=5e-5)


def test_mask_of_another_size_is_named(tmp_path: Path) -> None:
    ((sample, probability),) = predicted(tmp_path, 1)
    with pytest.raises(InputError, match=r"0\.png: expected the size of its image"):
        evaluate([(sample, probability[:-1])], decision=Decision(threshold=0.5), **FACTS)


def test_no_images() -> None:
    with pytest.raises(InputError, match="at least one image"):
        evaluate([], decision=Decision(threshold=0.5), **FACTS)


@pytest.mark.parametrize(("value", "line"), [(0, "expected cracks"), (255, "invert the masks")])
def test_masks_of_one_class_have_no_score(tmp_path: Path, value: int, line: str) -> None:
    """They would score 1, whatever is predicted: at the highest threshold, or the lowest."""
    pairs = predicted(tmp_path)
    for sample, _ in pairs:
        cv2.imwrite(str(sample.mask), np.full((30, 40), value, np.uint8))
    with pytest.raises(InputError, match=line):
        evaluate(pairs, decision=Decision(threshold=0.5), **FACTS)


def test_inverted_masks_are_refused(tmp_path: Path) -> None:
    pairs = predicted(tmp_path)
    for sample, _ in pairs:
        cv2.imwrite(str(sample.mask), ~cv2.imread(str(sample.mask), cv2.IMREAD_GRAYSCALE))
    with pytest.raises(InputError, match=r"94 % of it is crack, .*inverted"):
        evaluate(pairs, decision=Decision(threshold=0.4), **FACTS)


def test_what_is_ignored_counts_for_nothing(tmp_path: Path) -> None:
    pairs = predicted(tmp_path)
    known, ours, scores = [], [], []
    for sample, probability in pairs:
        crack = sample.read_mask()
        labels = crack.astype(np.uint8)
        labels[:, 20:] = 255
        cv2.imwrite(str(sample.mask), labels)
        known.append(crack[:, :20].ravel())
        ours.append(probability[:, :20].ravel() >= np.float32(0.4))
    for said in (0.0, 1.0):
        for _, probability in pairs:
            probability[:, 20:] = said
        scores.append(evaluate(pairs, decision=Decision(threshold=0.4), **FACTS))
    expected = f1_score(np.concatenate(known), np.concatenate(ours))
    assert scores[0] == scores[1]
    assert scores[0].shipped.f1 == pytest.approx(expected)


def test_what_ships_is_the_mask_that_the_decision_gives(tmp_path: Path) -> None:
    """Of two cracks one is not sure: at the threshold both count, with a seed one does."""
    truth = np.zeros((30, 40), np.uint8)
    truth[5:8] = truth[20:23] = 255
    cv2.imwrite(str(tmp_path / "a.png"), truth)
    probability = np.where(truth > 0, 0.6, 0.05).astype(np.float32)
    probability[5:8, :10] = 0.95
    pairs = [(Sample(tmp_path / "a.png", tmp_path / "a.png"), probability)]
    plain = evaluate(pairs, decision=Decision(threshold=0.5), **FACTS)
    seeded = evaluate(pairs, decision=Decision(threshold=0.5, seed=0.9), **FACTS)
    assert (plain.shipped.f1, plain.shipped.seed) == (1, 0)
    assert (seeded.shipped.precision, seeded.shipped.recall) == (1, 0.5)
    assert (seeded.shipped.threshold, seeded.shipped.seed) == (0.5, 0.9)
    assert seeded.ods == plain.ods  # of pixels alone
    assert seeded.boundary_f1 < plain.boundary_f1 == 1
