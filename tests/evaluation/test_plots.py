"""Plots and panels are images that show what they should."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from scnet_edge.evaluation import plots
from scnet_edge.evaluation.metrics import as_map, count, levels
from scnet_edge.evaluation.scores import Tally
from scnet_edge.models.decision import Decision


def test_curve_is_a_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((30, 30)) < 0.2
    probability = np.clip(rng.normal(0.3 + 0.4 * truth, 0.2), 0, 1).astype(np.float32)
    plots.draw_curves(tmp_path / "pr.png", {"ours": count(probability, truth)})
    picture = cv2.imread(str(tmp_path / "pr.png"))
    assert picture.shape[0] > 300
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10


def test_verdict_tells_right_wrong_and_missed() -> None:
    frame = np.full((2, 2, 3), 90, np.uint8)
    mask, truth = np.array([[1, 1], [0, 0]]) > 0, np.array([[1, 0], [1, 0]]) > 0
    drawn = plots.panel(frame, mask, truth)
    assert drawn.shape == (2, 3 * 2 + 2 * plots.GAP_PX, 3)
    verdict = drawn[:, -2:]
    assert verdict[0, 0].tolist() == list(plots.RIGHT)
    assert verdict[0, 1].tolist() == list(plots.WRONG)
    assert verdict[1, 0].tolist() == list(plots.MISSED)
    assert verdict[1, 1].tolist() == [0, 0, 0]


def test_telling_images_are_ordered_by_f1() -> None:
    truth = np.zeros((10, 10), np.bool_)
    truth[4] = True
    counted = Tally(Decision(threshold=0.5))
    for i in range(6):  # the better the later; the first has no crack at all
        found = np.zeros((10, 10), np.bool_)
        found[4, : 2 * i] = True
        counted.names.append(str(i))
        counted.decided.add(levels(as_map(found)), truth & (i > 0), (0,))
    told = plots.pick_images(counted)
    assert told["good"][0] == "5"
    assert told["failed"][0] == "1"
    assert not any("0" in names for names in told.values())
