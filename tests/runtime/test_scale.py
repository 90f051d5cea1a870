"""A picture looked at strip by strip against the same picture looked at whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import pytest

from scnet_edge.runtime.scale import look, look_in_strips, strip_tops
from scnet_edge.runtime.tiles import Maps
from scnet_edge.types import Frame, Mask

TILE_HW = (64, 96)
SIZES_HW = [(40, 300), (64, 96), (65, 97), (128, 192), (150, 333), (300, 50), (400, 97)]


def run(tiles: Iterable[Frame]) -> Iterator[Maps]:
    for tile in tiles:
        assert tile.shape == (*TILE_HW, 3)
        dark = 1 - tile[..., 0].astype(np.float32) / 255
        yield cv2.blur(dark, (5, 5), borderType=cv2.BORDER_CONSTANT)[None]


class Picture:
    """Gives the rows of a picture of noise, and counts how many."""

    def __init__(self, frame_hw: tuple[int, int]) -> None:
        grey = np.random.default_rng(0).integers(0, 256, (*frame_hw, 1), np.uint8)
        self.frame = np.repeat(grey, 3, axis=2)
        self.ignored = np.zeros(frame_hw, bool)
        self.most_rows = self.given_rows = 0

    def rows(self, top: int, bottom: int) -> tuple[Frame, Mask]:
        self.most_rows = max(self.most_rows, bottom - top)
        self.given_rows += bottom - top
        return self.frame[top:bottom], self.ignored[top:bottom]


@pytest.mark.parametrize("frame_hw", SIZES_HW)
def test_strips_are_the_whole_picture(frame_hw: tuple[int, int]) -> None:
    picture = Picture(frame_hw)
    whole = look(picture.frame, run, TILE_HW, "native", threshold=0.5).maps[0]
    found = list(look_in_strips(frame_hw, picture.rows, run, TILE_HW))
    np.testing.assert_array_equal(np.concatenate(found), whole)
    tops = np.cumsum([0, *(len(strip) for strip in found[:-1])]).tolist()
    assert tops == strip_tops(frame_hw, TILE_HW)
    assert picture.most_rows <= TILE_HW[0]


@pytest.mark.parametrize("frame_hw", [(400, 97), (256, 192)])
def test_one_may_begin_at_any_strip(frame_hw: tuple[int, int]) -> None:
    picture = Picture(frame_hw)
    whole = look(picture.frame, run, TILE_HW, "native", threshold=0.5).maps[0]
    all_rows = None
    for begin, top in enumerate(strip_tops(frame_hw, TILE_HW)):
        picture.given_rows = 0
        found = np.concatenate(
            list(look_in_strips(frame_hw, picture.rows, run, TILE_HW, begin=begin))
        )
        np.testing.assert_array_equal(found, whole[top:])
        all_rows = all_rows or picture.given_rows
    assert picture.given_rows <= 3 * TILE_HW[0] < all_rows


def test_tiles_that_are_ignored_are_not_computed() -> None:
    picture, seen = Picture((400, 192)), []

    def counted(tiles: Iterable[Frame]) -> Iterator[Maps]:
        for values in run(tiles):
            seen.append(values)
            yield values

    picture.ignored[:, :96] = True
    list(look_in_strips((400, 192), picture.rows, counted, TILE_HW))
    right_half = len(seen)
    assert 0 < right_half < len(strip_tops((400, 192), TILE_HW)) * 3
    picture.ignored[:] = True
    found = list(look_in_strips((400, 192), picture.rows, counted, TILE_HW))
    assert np.concatenate(found).shape == (400, 192)
    assert not np.concatenate(found).any()
    assert len(seen) == right_half
