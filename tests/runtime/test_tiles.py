"""Tiles against the same picture seen in one piece, by functions that see a neighbourhood."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import pairwise

import cv2
import numpy as np
import pytest
from dark_tiles import TILE_HW, darkness, run

from scnet_edge.inspection.measure import measure_cracks
from scnet_edge.runtime.scale import look
from scnet_edge.runtime.tiles import (
    CUT_PX,
    LEAST_SHARE,
    Grid,
    Maps,
    blend,
    grid_of,
    join_grid,
    pad,
)
from scnet_edge.types import Frame

SIZES_HW = [(64, 96), (65, 97), (100, 100), (128, 192), (150, 333), (192, 96), (400, 97), (64, 961)]


def noise(frame_hw: tuple[int, int]) -> Frame:
    grey = np.random.default_rng(0).integers(0, 256, (*frame_hw, 1), np.uint8)
    return np.repeat(grey, 3, axis=2)


def strips(grid: Grid, value: float) -> list[tuple[int, Maps]]:
    tile = np.full((2, *grid.tile_hw), value, np.float32)
    return list(blend(grid, ((place, tile) for place in grid.places)))


@pytest.mark.parametrize("frame_hw", SIZES_HW)
def test_a_tile_counts_in_full_at_the_pictures_border_and_for_nothing_at_a_seam(
    frame_hw: tuple[int, int],
) -> None:
    grid = grid_of(frame_hw, TILE_HW)
    for axis in (grid.rows, grid.columns):
        assert axis.starts_px[0] == 0
        assert axis.starts_px[-1] + len(axis.shares[-1]) == axis.length_px
        assert (axis.shares[0][0], axis.shares[-1][-1]) == (1, 1)
        total = np.zeros(axis.length_px)
        for start, share in zip(axis.starts_px, axis.shares, strict=True):
            total[start : start + len(share)] += share
        np.testing.assert_allclose(total, 1, atol=1e-6)
        for earlier, later in pairwise(axis.shares):
            assert max(earlier[-1], later[0]) == pytest.approx(LEAST_SHARE, rel=0.1)


@pytest.mark.parametrize("frame_hw", SIZES_HW)
def test_strips_come_from_top_to_bottom_and_join(frame_hw: tuple[int, int]) -> None:
    grid = grid_of(frame_hw, TILE_HW)
    found = strips(grid, 0.25)
    assert [top for top, _ in found] == np.cumsum(
        [0, *(s.shape[1] for _, s in found[:-1])]
    ).tolist()
    whole = np.concatenate([strip for _, strip in found], axis=1)
    assert whole.shape == (2, *(max(f, t) for f, t in zip(frame_hw, TILE_HW, strict=True)))
    np.testing.assert_allclose(whole, 0.25, atol=1e-6)


@pytest.mark.parametrize("frame_hw", SIZES_HW)
def test_a_pixel_is_the_sum_of_its_tiles_by_their_shares(frame_hw: tuple[int, int]) -> None:
    """Also where most of a tile is copied, and to the bit in one piece and in strips."""
    grid, random = grid_of(frame_hw, TILE_HW), np.random.default_rng(0)
    maps = [(place, random.random((2, *TILE_HW), np.float32)) for place in grid.places]
    expected = np.zeros((2, grid.rows.length_px, grid.columns.length_px))
    for (i, j), values in maps:
        top, left = grid.corner((i, j))
        share = np.outer(grid.rows.shares[i], grid.columns.shares[j])
        expected[:, top : top + TILE_HW[0], left : left + TILE_HW[1]] += values * share
    whole = join_grid(grid, maps)
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    in_strips = np.concatenate([strip for _, strip in blend(grid, maps)], axis=1)
    np.testing.assert_array_equal(in_strips, whole)


@pytest.mark.parametrize("frame_hw", SIZES_HW)
def test_no_seam_shows_beside_the_whole_picture(frame_hw: tuple[int, int]) -> None:
    frame = noise(frame_hw)
    seen = look(frame, run, TILE_HW, "native", threshold=0.5)
    expected = darkness(pad(frame, TILE_HW))[: frame_hw[0], : frame_hw[1]]
    assert [m.shape for m in seen.maps] == [frame_hw]
    np.testing.assert_allclose(seen.maps[0], expected, atol=2e-3)


def test_a_frame_of_the_tiles_size_comes_back_to_the_bit() -> None:
    frame = noise(TILE_HW)
    for scale in ("native", "fit", "auto"):
        seen = look(frame, run, TILE_HW, scale, threshold=0.5)
        np.testing.assert_array_equal(seen.maps[0], darkness(frame))
        assert seen.tiles == 1


@pytest.mark.parametrize("frame_hw", [(150, 170), (128, 192)])
def test_a_crack_across_a_seam_measures_as_in_one_piece(frame_hw: tuple[int, int]) -> None:
    """At every offset: a tile wide of them, so the seam crosses the crack everywhere."""
    height, width = frame_hw
    for offset in range(0, TILE_HW[1], 3):
        frame = np.full((*frame_hw, 3), 200, np.uint8)
        ends = ((offset % 40 + 10, 10), (width - 45 + offset % 40, height - 12))
        cv2.line(frame, *ends, (10, 10, 10), 5, cv2.LINE_AA)
        whole, seen = (
            darkness(frame) >= 0.5,
            look(frame, run, TILE_HW, "native", threshold=0.5).maps[0] >= 0.5,
        )
        [one], [other] = (measure_cracks(m, frame=frame) for m in (whole, seen))
        assert other.length_px == pytest.approx(one.length_px, abs=0.05)
        assert other.width_mean_px == pytest.approx(one.width_mean_px, abs=0.01)
        assert np.count_nonzero(whole != seen) <= 2


def test_a_mosaic_of_pictures_is_seen_picture_by_picture() -> None:
    """But for a band along the cuts: a function of the whole tile, such as a norm, is the same."""

    def brightness(tiles: Iterable[Frame]) -> Iterator[Maps]:
        for tile in tiles:
            yield np.full((1, *TILE_HW), tile.mean() / 255, np.float32)

    levels = np.array([[10, 250, 30], [90, 0, 200]], np.uint8)
    frame = (
        levels.repeat(TILE_HW[0], axis=0).repeat(TILE_HW[1], axis=1)[..., None].repeat(3, axis=2)
    )
    seen = look(frame, brightness, TILE_HW, "native", threshold=0.5).maps[0]
    for i, j in np.ndindex(2, 3):
        top, left = i * TILE_HW[0], j * TILE_HW[1]
        inner = seen[
            top + CUT_PX : top + TILE_HW[0] - CUT_PX, left + CUT_PX : left + TILE_HW[1] - CUT_PX
        ]
        np.testing.assert_allclose(inner, levels[i, j] / 255, atol=0.002)


def test_tiles_that_were_left_out_count_as_zero_and_change_no_other() -> None:
    grid, frame = grid_of((184, 312), TILE_HW), noise((184, 312))
    every = [(place, darkness(grid.crop(frame, place))[None]) for place in grid.places]
    left_out = (1, 2)
    some = [item for item in every if item[0] != left_out]
    full, part = (
        np.concatenate([strip for _, strip in blend(grid, maps)], axis=1)[0]
        for maps in (every, some)
    )
    elsewhere = np.ones(part.shape, bool)
    top, left = grid.corner(left_out)
    elsewhere[top : top + TILE_HW[0], left : left + TILE_HW[1]] = False
    np.testing.assert_array_equal(part[elsewhere], full[elsewhere])
    assert (part <= full).all()
    assert not part[~elsewhere].all()


@pytest.mark.parametrize("frame_hw", [(16, 16), (16, 400), (400, 16), (63, 95), (300, 40)])
def test_a_small_frame_is_mirrored_and_never_stretched(frame_hw: tuple[int, int]) -> None:
    frame = noise(frame_hw)
    full = pad(frame, TILE_HW)
    assert full.shape == (*(max(f, t) for f, t in zip(frame_hw, TILE_HW, strict=True)), 3)
    np.testing.assert_array_equal(full[: frame_hw[0], : frame_hw[1]], frame)
    if frame_hw[1] < TILE_HW[1]:
        np.testing.assert_array_equal(full[: frame_hw[0], frame_hw[1]], frame[:, -2])


@pytest.mark.parametrize("frame_hw", [(64, 96), (640, 480), (480, 640), (1080, 1920), (40, 300)])
def test_fit_keeps_the_aspect_ratio(frame_hw: tuple[int, int]) -> None:
    """A disc stays a disc of its size and place, and the tile sees it as one."""
    height, width = frame_hw
    radius = min(frame_hw) // 3
    frame = np.full((*frame_hw, 3), 255, np.uint8)
    cv2.circle(frame, (width // 2, height // 2), radius, (0, 0, 0), -1)
    tiles = []

    def watch(given: Iterable[Frame]) -> Iterator[Maps]:
        for tile in given:
            tiles.append(tile)
            yield 1 - tile[..., 0].astype(np.float32)[None] / 255

    seen = look(frame, watch, TILE_HW, "fit", threshold=0.5)
    found, truth = seen.maps[0] >= 0.5, frame[..., 0] == 0
    assert (found & truth).sum() / (found | truth).sum() > 0.93
    shown = cv2.connectedComponentsWithStats((tiles[0][..., 0] < 128).astype(np.uint8))[2][1:]
    _, _, across, down, _ = shown[0]
    assert abs(int(across) - int(down)) <= 1


def test_memory_is_that_of_a_row_of_tiles() -> None:
    grid = grid_of((4000, 960), TILE_HW)
    tile = np.zeros((1, *TILE_HW), np.float32)
    tracemalloc.start()
    rows = sum(s.shape[1] for _, s in blend(grid, ((place, tile) for place in grid.places)))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 4000
    assert peak_bytes < 8 * 4 * TILE_HW[0] * 960
