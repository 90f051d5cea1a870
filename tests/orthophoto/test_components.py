"""Components of a mask in strips against OpenCV's of the whole mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from scnet_edge.orthophoto.components import Component, Components
from scnet_edge.types import Mask


def blobs(seed: int) -> Mask:
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(3, 70, 2))
    coarse = rng.random((height // 2 + 1, width // 2 + 1)).astype(np.float32)
    return cv2.resize(coarse, (width, height)) > rng.uniform(0.3, 0.7)


def in_strips(mask: Mask, seed: int) -> list[Component]:
    rng, components, found, top = np.random.default_rng(seed), Components(), [], 0
    while top < len(mask):
        bottom = top + int(rng.integers(1, 9))
        found += components.push(mask[top:bottom].view(np.uint8))
        top = bottom
    return [*found, *components.end()]


def whole(mask: Mask) -> tuple[slice, slice]:
    return slice(0, mask.shape[0]), slice(0, mask.shape[1])


@pytest.mark.parametrize("seed", range(40))
def test_strips_give_the_components_of_the_whole(seed: int) -> None:
    mask = blobs(seed)
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    expected = sorted((labels == label).tobytes() for label in range(1, count))
    found = in_strips(mask, seed)
    assert sorted(c.mask(*whole(mask)).tobytes() for c in found) == expected


@pytest.mark.parametrize("seed", range(10))
def test_pieces_are_the_component_cut_up(seed: int) -> None:
    mask = blobs(seed)
    for component in in_strips(mask, seed):
        pieces = list(component.pieces(6))
        joined = sum(piece.mask(*whole(mask)).astype(int) for piece in pieces)
        np.testing.assert_array_equal(joined, component.mask(*whole(mask)))
        sides = [side.stop - side.start for side in component.box]
        assert len(pieces) == 1 if sides[0] * sides[1] <= 36 else len(pieces) > 1


def test_what_is_complete_comes_at_once() -> None:
    components = Components()
    strip = np.zeros((4, 9), bool)
    strip[1, 2:5] = True
    assert len(list(components.push(strip.view(np.uint8)))) == 1
    strip[3, 8] = True  # reaches the last row: it may go on
    assert len(list(components.push(strip.view(np.uint8)))) == 1
    assert [c.area_px() for c in components.push(np.zeros((4, 9), np.uint8))] == [1]
    assert not list(components.end())


def test_levels_connect_and_are_told_apart() -> None:
    levels = np.array([[0, 1, 2, 2, 0, 3], [0, 0, 0, 3, 0, 0], [1, 0, 0, 0, 0, 0]], np.uint8)
    components = Components()
    areas = [*components.push(levels[:1]), *components.push(levels[1:]), *components.end()]
    assert sorted([a.area_px(least) for least in (1, 2, 3)] for a in areas) == [
        [1, 0, 0],
        [1, 1, 1],
        [4, 3, 1],
    ]
