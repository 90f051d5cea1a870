"""Which areas of a map are cracks, against a flood fill that is written out."""

from __future__ import annotations

import cv2
import msgspec
import numpy as np
import pytest
from skimage.measure import label

from scnet_edge.models.decision import FAINT_SHARE, SEED_PX, Decision
from scnet_edge.types import Map, Mask


def by_flood_fill(probability: Map, decision: Decision) -> Mask:
    """Return what `Decision.mask_of` says it returns, area by area."""
    mask = probability >= np.float32(decision.threshold)
    if not decision.seed:
        return mask
    areas = label(probability >= np.float32(FAINT_SHARE * decision.threshold), connectivity=2)
    out = np.zeros_like(mask)
    for area in range(1, areas.max() + 1):
        here = areas == area
        if (probability[here] >= np.float32(decision.seed)).sum() >= SEED_PX:
            out |= here & mask
    return out


def clouds(seed: int, size: tuple[int, int] = (60, 80)) -> Map:
    """Return a map with areas of all kinds."""
    noise = np.random.default_rng(seed).random(size, np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.asarray((smooth - smooth.min()) / np.ptp(smooth), np.float32) ** 2


@pytest.mark.parametrize("seed", [0.0, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("threshold", [0.1, 0.3])
def test_areas_are_those_of_a_flood_fill(threshold: float, seed: float) -> None:
    decision = Decision(threshold=threshold, seed=seed)
    kept = 0
    for chance in range(10):
        probability = clouds(chance)
        mask = decision.mask_of(probability)
        assert mask.dtype == np.bool_
        np.testing.assert_array_equal(mask, by_flood_fill(probability, decision))
        turned = np.asfortranarray(probability)  # the same map, laid out in columns
        np.testing.assert_array_equal(decision.mask_of(turned), mask)
        np.testing.assert_array_equal(decision.mask_of(probability[3:, 5:][:20]).shape, (20, 75))
        kept += int(mask.any())
    assert kept  # the case is not empty


def test_a_faint_end_of_a_sure_crack_counts_and_a_faint_line_does_not() -> None:
    probability = np.zeros((40, 100), np.float32)
    probability[10:13, :60] = 0.5
    probability[10:13, 60:70] = 0.1  # too faint for a pixel, enough to connect
    probability[10:13, 70:] = 0.95
    probability[30:33] = 0.6  # a joint, say
    probability[20, : SEED_PX - 1] = 1  # sure, and too small
    mask = Decision(threshold=0.36, seed=0.9).mask_of(probability)
    assert mask[10:13].mean() == pytest.approx(0.9)
    assert mask.sum() == mask[10:13].sum()
    assert Decision(threshold=0.36).mask_of(probability)[30:33].all()
    assert not Decision(threshold=0.36, seed=0.9).mask_of(np.full((9, 9), 0.5, np.float32)).any()


def test_more_areas_than_16_bits_number() -> None:
    probability = np.zeros((600, 600), np.float32)
    probability[::2, ::2] = 0.95  # 90,000 areas of a pixel each
    probability[597:599, 580:590] = 0.95
    mask = Decision(threshold=0.5, seed=0.9).mask_of(probability)
    np.testing.assert_array_equal(np.argwhere(mask)[0], [596, 580])
    assert mask[597:599, 580:590].all()
    assert mask.sum() < 60


def test_a_seed_below_the_threshold_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"seed 0\.3 is below the threshold 0\.5"):
        msgspec.convert({"threshold": 0.5, "seed": 0.3}, Decision)
    assert str(Decision(threshold=0.5)) == "0.50"
    assert str(Decision(threshold=0.5, seed=0.9)) == "0.50, seed 0.90"
