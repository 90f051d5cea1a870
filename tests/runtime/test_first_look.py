"""What `auto` finds beside `native`, by functions that see a neighbourhood."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import pytest
from dark_tiles import TILE_HW, darkness, run

from scnet_edge.inspection.measure import measure_cracks
from scnet_edge.runtime.first_look import Corner, cover, join, make_smaller, smaller_hw
from scnet_edge.runtime.scale import look
from scnet_edge.runtime.tiles import grid_of
from scnet_edge.types import Frame, Mask

FRAME_HW = (400, 600)
FIRST = len(grid_of(smaller_hw(FRAME_HW, TILE_HW), TILE_HW).places)
EVERY = len(grid_of(FRAME_HW, TILE_HW).places)


def wall(frame_hw: tuple[int, int] = FRAME_HW) -> Frame:
    return np.full((*frame_hw, 3), 255, np.uint8)


def with_a_line(grey: int) -> Frame:
    frame = wall()
    cv2.line(frame, (205, 210), (225, 225), (grey, grey, grey), 5)
    return frame


def held(corners: Iterable[Corner], frame_hw: tuple[int, int]) -> Mask:
    """Return which pixels of a frame lie in a tile."""
    seen = np.zeros(frame_hw, bool)
    for top, left in corners:
        assert (top, left) >= (0, 0)
        seen[top : top + TILE_HW[0], left : left + TILE_HW[1]] = True
    return seen


@pytest.mark.parametrize("grey", [0, 150])
def test_auto_finds_what_native_finds(grey: int) -> None:
    """The darker one is a crack in the smaller frame, too; the paler one only a hint of it."""
    native, auto = (
        look(with_a_line(grey), run, TILE_HW, scale, threshold=0.4) for scale in ("native", "auto")
    )
    assert (native.tiles, auto.scale) == (EVERY, "auto")
    assert FIRST < auto.tiles <= FIRST + 2
    assert (native.maps[0] >= 0.4).any()
    np.testing.assert_array_equal(auto.maps[0] >= 0.41, native.maps[0] >= 0.41)


@pytest.mark.parametrize(("share", "looked"), [(0.13, True), (0.07, False)])
def test_a_tenth_of_the_threshold_is_looked_at(share: float, looked: bool) -> None:
    frame = wall()
    frame[150:190, 200:250] = round(255 * (1 - share * 0.5))
    seen = look(frame, run, TILE_HW, "auto", threshold=0.5)
    assert (seen.tiles > FIRST) == looked
    assert seen.maps[0].any() == looked


def test_an_empty_wall_is_the_first_look_alone() -> None:
    seen = look(wall(), run, TILE_HW, "auto", threshold=0.41)
    assert seen.tiles == FIRST
    assert seen.maps[0].shape == FRAME_HW
    assert not seen.maps[0].any()


def test_a_wall_that_is_cracked_all_over_is_native() -> None:
    frame = np.random.default_rng(0).integers(0, 200, (*FRAME_HW, 1), np.uint8).repeat(3, axis=2)
    native, auto = (look(frame, run, TILE_HW, s, threshold=0.4) for s in ("native", "auto"))
    np.testing.assert_array_equal(auto.maps[0], native.maps[0])
    assert auto.tiles == FIRST + native.tiles


def test_a_small_frame_is_native() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (64, 150, 1), np.uint8).repeat(3, axis=2)
    auto, native = (look(frame, run, TILE_HW, s, threshold=0.4) for s in ("auto", "native"))
    np.testing.assert_array_equal(auto.maps[0], native.maps[0])
    assert auto.tiles == native.tiles


def test_what_is_ignored_is_not_looked_at() -> None:
    frame = with_a_line(0)
    cv2.line(frame, (505, 310), (525, 325), (0, 0, 0), 5)
    ignored = np.zeros(FRAME_HW, bool)
    ignored[:, 400:] = True
    seen = look(frame, run, TILE_HW, "auto", threshold=0.4, ignored=ignored)
    assert FIRST < seen.tiles <= FIRST + 2
    assert (seen.maps[0][:, :400] >= 0.4).any()
    assert not seen.maps[0][:, 400:].any()


@pytest.mark.parametrize("frame_hw", [(400, 600), (300, 1000)])
def test_a_crack_of_many_tiles_measures_as_in_one_piece(frame_hw: tuple[int, int]) -> None:
    """At every offset: a tile wide of them, so the seams cross the crack everywhere."""
    height, width = frame_hw
    for offset in range(0, TILE_HW[1], 12):
        frame = wall(frame_hw)
        ends = ((offset + 10, 10), (width - 110 + offset, height - 12))
        cv2.line(frame, *ends, (10, 10, 10), 5, cv2.LINE_AA)
        seen = look(frame, run, TILE_HW, "auto", threshold=0.5)
        assert seen.tiles < len(grid_of(frame_hw, TILE_HW).places)
        whole, found = darkness(frame) >= 0.5, seen.maps[0] >= 0.5
        [one], [other] = (measure_cracks(m, frame=frame) for m in (whole, found))
        assert other.length_px == pytest.approx(one.length_px, abs=0.05)
        assert other.width_mean_px == pytest.approx(one.width_mean_px, abs=0.01)
        assert np.count_nonzero(whole != found) <= 2


@pytest.mark.parametrize("frame_hw", [(400, 600), (64, 600), (40, 600), (401, 599)])
def test_every_pixel_that_shows_something_lies_in_a_tile(frame_hw: tuple[int, int]) -> None:
    random = np.random.default_rng(3)
    size_hw = smaller_hw(frame_hw, TILE_HW)
    for share in (0.0005, 0.01, 0.3):
        hints = random.random(size_hw) < share
        near = cv2.resize(hints.astype(np.uint8), frame_hw[::-1], interpolation=cv2.INTER_NEAREST)
        grown = cv2.dilate(near, np.ones((31, 31), np.uint8)) > 0
        assert not (grown & ~held(cover(hints, frame_hw, TILE_HW), frame_hw)).any()
    assert cover(np.zeros(size_hw, bool), frame_hw, TILE_HW) == []


def test_what_one_tile_can_hold_takes_one() -> None:
    for offset in range(60):
        hints = np.zeros((100, 150), bool)
        hints[20 + offset : 27 + offset, 30 + offset : 44 + offset] = True  # 28 x 56 px
        [(top, left)] = cover(hints, FRAME_HW, TILE_HW)
        assert abs(top + TILE_HW[0] / 2 - 4 * (23.5 + offset)) <= 1  # in its middle
        assert abs(left + TILE_HW[1] / 2 - 4 * (37 + offset)) <= 1


def test_tiles_anywhere_join_without_a_seam() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (200, 300, 1), np.uint8).repeat(3, axis=2)
    corners = [(0, 0), (30, 60), (20, 20), (136, 204), (110, 150)]
    tiles = (frame[top : top + TILE_HW[0], left : left + TILE_HW[1]] for top, left in corners)
    [joined] = join((200, 300), TILE_HW, corners, run(tiles))
    assert not joined[~held(corners, (200, 300))].any()
    well_within = np.zeros((200, 300), bool)
    for top, left in corners:
        rows = slice(top + 16 * (top > 0), top + TILE_HW[0] - 16 * (top + TILE_HW[0] < 200))
        columns = slice(left + 16 * (left > 0), left + TILE_HW[1] - 16 * (left + TILE_HW[1] < 300))
        well_within[rows, columns] = True
    np.testing.assert_allclose(joined[well_within], darkness(frame)[well_within], atol=2e-3)


@pytest.mark.parametrize(
    "frame_hw", [(720, 1280), (1080, 1920), (1200, 1600), (2160, 3840), (3000, 4000), (4000, 6000)]
)
def test_the_first_look_is_no_smaller_than_it_must_be(frame_hw: tuple[int, int]) -> None:
    tile_hw = (384, 544)
    size_hw = smaller_hw(frame_hw, tile_hw)
    grid = grid_of(size_hw, tile_hw)
    assert 2 <= frame_hw[0] / size_hw[0] <= 3.66
    assert size_hw[0] / size_hw[1] == pytest.approx(frame_hw[0] / frame_hw[1], rel=0.01)
    assert len(grid.places) <= len(grid_of(frame_hw, tile_hw).places) / 6
    enlarged = round(1.03 * size_hw[0]), round(1.03 * size_hw[1])
    assert len(grid_of(enlarged, tile_hw).places) > len(grid.places)


def test_a_thin_crack_is_as_dark_in_the_smaller_frame() -> None:
    """Averaged, 2 px of 10 beside 200 would be at 90 and more."""
    for at in range(100, 108):
        frame = np.full((1080, 1920, 3), 200, np.uint8)
        frame[at : at + 2] = frame[:, at : at + 2] = 10
        for size_hw in ((306, 544), (540, 960), (300, 533)):
            smaller = make_smaller(frame, size_hw)
            assert smaller.shape == (*size_hw, 3)
            assert (smaller[:, size_hw[1] // 2].min(0) <= 105).all()
            assert (smaller[size_hw[0] // 2].min(0) <= 105).all()
            assert np.median(smaller) == 200


def test_noise_of_the_wall_does_not_become_a_crack() -> None:
    frame = np.random.default_rng(0).normal(150, 5, (720, 1280, 3)).astype(np.uint8)
    assert make_smaller(frame, (200, 355)).min() > 135
