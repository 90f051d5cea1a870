import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import f1_score, precision_score, recall_score

from scnet_edge.errors import InputError
from scnet_edge.sinks.run_folder import Scoreboard, count_pixels
from scnet_edge.types import PixelCounts

RNG = np.random.default_rng(3)
PAIRS = [(RNG.random((40, 60)) < 0.05, RNG.random((40, 60)) < 0.08) for _ in range(4)]


def test_exact_scores_over_frames_are_those_of_sklearn_over_all_pixels() -> None:
    board = Scoreboard()
    for mask, truth in PAIRS:
        board.add(mask, truth)
    found = board.counts[0]
    mask = np.concatenate([mask.ravel() for mask, _ in PAIRS])
    truth = np.concatenate([truth.ravel() for _, truth in PAIRS])
    assert found.precision == pytest.approx(precision_score(truth, mask))
    assert found.recall == pytest.approx(recall_score(truth, mask))
    assert found.f1 == pytest.approx(f1_score(truth, mask))


@pytest.mark.parametrize("tolerance_px", [1, 2, 3])
def test_tolerance_is_the_euclidean_distance(tolerance_px: int) -> None:
    mask, truth = PAIRS[0]
    found = count_pixels(mask, truth, tolerance_px=tolerance_px)
    assert found.right == (mask & (distance_transform_edt(~truth) <= tolerance_px)).sum()
    assert found.found == (truth & (distance_transform_edt(~mask) <= tolerance_px)).sum()


def test_a_crack_two_pixels_off_is_forgiven_and_three_is_not() -> None:
    truth, near, far = (np.zeros((20, 20), bool) for _ in range(3))
    truth[:, 5] = near[:, 7] = far[:, 8] = True
    board = Scoreboard()
    board.add(near, truth)
    assert (board.counts[0].f1, board.counts[2].f1) == (0.0, 1.0)
    assert count_pixels(far, truth, tolerance_px=2).f1 == 0.0


def test_nothing_predicted_and_nothing_there_is_perfect() -> None:
    assert PixelCounts().f1 == 1.0
    assert PixelCounts(true=5).f1 == 0.0
    assert PixelCounts(predicted=5).f1 == 0.0


def test_a_truth_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="pipe-3: truth mask has shape"):
        Scoreboard().add(np.zeros((4, 4), bool), np.zeros((4, 5), bool), where="pipe-3")
