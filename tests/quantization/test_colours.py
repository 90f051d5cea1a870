"""Swapped colours show beside frames of the same kind, whatever their tint; and on real sets."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from scnet_edge.data.datasets import open_dataset
from scnet_edge.quantization.frame_candidates import find_swapped_colours, red_minus_blue


def tints(mean: float, count: int = 24, spread: float = 12.0, seed: int = 0) -> list[float]:
    return list(np.random.default_rng(seed).normal(mean, spread, count))


@pytest.mark.parametrize("mean", [-13.0, -10.0, 10.0, 40.0])
def test_cold_and_warm_frames_pass_as_they_are_and_not_swapped(mean: float) -> None:
    ours, theirs = tints(mean), tints(mean, seed=1)
    assert find_swapped_colours(ours, theirs, "the gate") == ""
    swapped = find_swapped_colours([-t for t in ours], theirs, "the gate")
    words = ("redder than blue", "bluer than red")
    assert all(word in swapped for word in (*words, "those of the gate", "--colours-checked"))
    assert swapped.index(words[mean > 0]) < swapped.index(words[mean < 0])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (tints(-10), []),  # nothing to compare with
        (tints(-10), tints(0.5, spread=0.1)),  # grey on one side
        (tints(-1.5, spread=0.1), tints(30, spread=0.1)),
        (tints(-3, count=8), tints(3, count=8, seed=1)),  # weak beside the spread
        (tints(2), tints(40)),  # another tint, the same order
        ([0.0] * 8, [0.0] * 8),
    ],
)
def test_what_cannot_be_told_is_not_doubted(ours: list[float], theirs: list[float]) -> None:
    assert find_swapped_colours(ours, theirs, "the gate") == ""


@pytest.mark.data
@pytest.mark.skipif("SCNET_EDGE_DATA" not in os.environ, reason="SCNET_EDGE_DATA is not set")
@pytest.mark.parametrize("name", ["deepcrack", "crackforest", "masonry"])
def test_real_sets(name: str) -> None:
    root = Path(os.environ["SCNET_EDGE_DATA"])
    train, test = (
        [red_minus_blue(s.read_frame()) for s in open_dataset(f"{name}:{root / name}", split)]
        for split in ("train", "test")
    )
    rng = np.random.default_rng(0)

    def share(count: int, sign: int) -> float:
        """Return how often frames drawn at random are doubted."""
        draws = [sign * rng.choice(train, count, replace=False) for _ in range(500)]
        return float(
            np.mean([find_swapped_colours(list(d), test, "the gate") != "" for d in draws])
        )

    assert share(64, 1) == 0
    assert share(64, -1) == 1
    assert share(8, 1) < 0.01
    assert share(8, -1) > 0.75
