"""Measurements against cracks drawn with known length, width and direction."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scnet_edge.errors import ConfigError, InputError
from scnet_edge.inspection.measure import Crack, Scale, measure_cracks

SUPERSAMPLING = 8
SIDE_PX = 200
Coverage = npt.NDArray[np.float64]
ANGLES_DEG = np.arange(0, 180, 11.25)
WIDTHS_PX = [2, 3, 4, 5, 7, 9, 12, 16, 20]


@pytest.mark.parametrize("width_px", WIDTHS_PX)
def test_straight_cracks_at_all_angles(width_px: int) -> None:
    random = np.random.default_rng(width_px)
    found = [only(measure_cracks(straight(width_px, angle, random) >= 0.5)) for angle in ANGLES_DEG]
    lengths = np.array([crack.length_px for crack in found])
    assert np.abs(lengths / 120 - 1).max() <= 0.03
    for name in ("width_mean_px", "width_p95_px", "width_max_px"):
        widths = np.array([getattr(crack, name) for crack in found])
        assert np.abs(widths - width_px).mean() <= 0.5, name
    turned = [crack.angle_deg - angle for crack, angle in zip(found, ANGLES_DEG, strict=True)]
    assert max(abs((t + 90) % 180 - 90) for t in turned) <= 0.5
    assert all(crack.branches == 0 and crack.tortuosity < 1.02 for crack in found)


@pytest.mark.parametrize("width_px", [3, 4, 5, 7, 9, 12, 16, 20])
def test_widths_come_from_the_image_where_the_mask_is_too_fat(width_px: int) -> None:
    random = np.random.default_rng(width_px)
    errors = []
    for angle in ANGLES_DEG:
        coverage = straight(width_px, angle, random)
        fat = cv2.dilate((coverage >= 0.5).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        crack = only(measure_cracks(fat, frame=photographed(coverage, random)))
        assert crack.width_source == "image"
        errors.append(crack.width_mean_px - width_px)
    assert np.abs(errors).mean() <= 0.5
    assert np.abs(errors).max() <= 0.5


def test_image_without_contrast_leaves_the_mask_its_say() -> None:
    mask = straight(6, 30) >= 0.5
    flat = np.full((SIDE_PX, SIDE_PX, 3), 128, np.uint8)
    assert measure_cracks(mask, frame=flat) == measure_cracks(mask)


def test_uneven_light_does_not_move_the_edges() -> None:
    coverage = straight(8, 90)
    lamp = np.linspace(0.5, 1.0, SIDE_PX)
    grey = (40 + 160 * (1 - coverage)) * lamp
    frame = np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)
    crack = only(measure_cracks(coverage >= 0.5, frame=frame))
    assert crack.width_mean_px == pytest.approx(8, abs=0.3)


@pytest.mark.parametrize("width_px", [3, 6, 11])
def test_polyline_and_sine(width_px: int) -> None:
    bent = np.array([[20, 30], [90, 60], [120, 130], [180, 170]], float)
    x = np.linspace(20, 180, 400)
    wave = np.stack([x, 100 + 25 * np.sin(x / 18)], axis=1)
    for points in (bent, wave):
        length_px = np.hypot(*np.diff(points, axis=0).T).sum()
        crack = only(measure_cracks(drawn(points, width_px) >= 0.5))
        # Drawn strokes have round ends, half a width beyond the last points.
        assert crack.length_px == pytest.approx(length_px + width_px, rel=0.03)
        assert crack.width_mean_px == pytest.approx(width_px, abs=0.5)
        chord_px = math.dist(points[0], points[-1])
        expected = (length_px + width_px) / (chord_px + width_px)
        assert crack.tortuosity == pytest.approx(expected, rel=0.03)


def test_width_profile_of_a_wedge() -> None:
    wedge = np.array([[20, 98], [180, 94], [180, 106], [20, 102]], float)
    crack = only(measure_cracks(filled(wedge) >= 0.5))
    assert crack.width_mean_px == pytest.approx(8, abs=0.5)
    assert crack.width_p95_px == pytest.approx(4 + 0.95 * 8, abs=0.6)
    # Across the last width of a crack there is no centre line to stand on.
    assert crack.width_max_px == pytest.approx(4 + 8 * (160 - 12) / 160, abs=0.6)


@pytest.mark.parametrize("width_px", [3, 8])
def test_ring(width_px: int) -> None:
    turn = np.linspace(0, 2 * np.pi, 300)
    points = 100 + 60 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    crack = only(measure_cracks(drawn(points, width_px) >= 0.5))
    assert crack.length_px == pytest.approx(2 * np.pi * 60, rel=0.03)
    assert crack.width_mean_px == pytest.approx(width_px, abs=0.5)
    assert crack.branches == 0
    assert crack.tortuosity == pytest.approx(np.pi / 2, rel=0.03)


@pytest.mark.parametrize("width_px", [3, 8, 13])
@pytest.mark.parametrize("angle_deg", [0, 20, 45])
def test_cross_has_one_branch_point(width_px: int, angle_deg: float) -> None:
    arms = [straight(width_px, angle_deg + turn) for turn in (0, 90)]
    crack = only(measure_cracks(np.maximum(*arms) >= 0.5))
    assert crack.branches == 1
    assert crack.length_px == pytest.approx(240, rel=0.03)
    assert crack.width_mean_px == pytest.approx(width_px, abs=1.01 if angle_deg == 0 else 0.5)


def test_branch_between_two_forks() -> None:
    trunk = [(20, 100), (180, 100)]
    twigs = [[(70, 100), (70, 30)], [(130, 100), (130, 170)]]
    strokes = [drawn(np.array(p, float), 4) for p in (trunk, *twigs)]
    crack = only(measure_cracks(np.max(strokes, axis=0) >= 0.5))
    assert crack.branches == 2
    assert crack.length_px == pytest.approx(164 + 72 + 72, rel=0.03)


def test_rough_outline_adds_no_branches() -> None:
    random = np.random.default_rng(3)
    noise = cv2.GaussianBlur(random.normal(0, 1, (SIDE_PX, SIDE_PX)), (0, 0), 1.5)
    mask = cv2.GaussianBlur(straight(10, 25), (0, 0), 1.5) + noise > 0.5
    crack = measure_cracks(mask)[0]
    assert crack.branches == 0
    assert crack.length_px == pytest.approx(120, rel=0.06)


def test_cracks_come_largest_first_with_half_open_boxes() -> None:
    mask = np.zeros((60, 80), bool)
    mask[5:9, 10:40] = True
    mask[30:33, 20:80] = True
    mask[50, 3:10] = True
    large, small = measure_cracks(mask)
    assert (large.area_px, large.bbox_xyxy) == (180, (20, 30, 80, 33))
    assert (small.area_px, small.bbox_xyxy) == (120, (10, 5, 40, 9))
    assert len(measure_cracks(mask, min_area_px=7)) == 3


def test_vertical_and_falling_diagonal() -> None:
    mask = np.zeros((64, 64), bool)
    mask[5:60, 30:34] = True
    assert only(measure_cracks(mask)).angle_deg == pytest.approx(90)
    assert only(measure_cracks(np.eye(64, dtype=bool))).angle_deg == pytest.approx(45)
    assert only(measure_cracks(np.eye(64, dtype=bool)[::-1])).angle_deg == pytest.approx(135)


def test_diagonal_neighbours_are_one_crack() -> None:
    crack = only(measure_cracks(np.eye(64, dtype=bool)))
    assert crack.length_px == pytest.approx(64 * math.sqrt(2), rel=0.03)


def test_crack_that_leaves_the_frame_keeps_its_width() -> None:
    points = np.array([[-40, 60], [240, 150]], float)
    crack = only(measure_cracks(drawn(points, 9) >= 0.5))
    assert crack.width_mean_px == pytest.approx(9, abs=0.5)
    assert crack.length_px == pytest.approx(200 / math.cos(math.atan2(90, 280)), rel=0.03)
    assert crack.bbox_xyxy[0] == 0
    assert crack.bbox_xyxy[2] == SIDE_PX


def test_the_image_refines_a_crack_close_to_the_border() -> None:
    coverage = drawn(np.array([[4.0, 30.0], [4.0, 170.0]]), 5)
    frame = photographed(coverage, np.random.default_rng(1))
    crack = only(measure_cracks(coverage >= 0.5, frame=frame))
    assert crack.width_source == "image"
    assert crack.width_mean_px == pytest.approx(5, abs=0.5)


def test_crack_along_the_border() -> None:
    mask = np.zeros((40, 100), bool)
    mask[:4, 10:90] = True
    crack = only(measure_cracks(mask))
    assert crack.length_px == pytest.approx(80, rel=0.03)
    assert crack.width_mean_px == pytest.approx(4, abs=0.3)


def test_empty_mask_and_single_pixel() -> None:
    mask = np.zeros((20, 30), bool)
    assert measure_cracks(mask) == []
    mask[7, 9] = True
    assert measure_cracks(mask) == []
    pixel = only(measure_cracks(mask, min_area_px=1))
    assert (pixel.length_px, pixel.width_max_px, pixel.bbox_xyxy) == (1, 1, (9, 7, 10, 8))


def test_smallest_ring_does_not_collapse() -> None:
    mask = np.zeros((20, 30), bool)
    mask[[9, 10, 10, 11], [15, 14, 16, 15]] = True
    assert only(measure_cracks(mask, min_area_px=1)).length_px == pytest.approx(4 * math.sqrt(2))


def test_disc_is_as_long_as_wide() -> None:
    disc = np.zeros((80, 80), np.uint8)
    cv2.circle(disc, (40, 40), 20, 1, cv2.FILLED)
    crack = only(measure_cracks(disc > 0))
    assert crack.length_px == pytest.approx(41, abs=2)
    assert crack.branches == 0


def test_millimetres_and_their_sigmas() -> None:
    mask = straight(6, 30) >= 0.5
    crack = only(measure_cracks(mask, scale=Scale(mm_per_px=0.2, sigma_mm_per_px=0.01)))
    assert crack.length_mm == pytest.approx(0.2 * crack.length_px)
    assert crack.width_p95_mm == pytest.approx(0.2 * crack.width_p95_px)
    assert crack.area_mm2 == pytest.approx(0.04 * crack.area_px)
    grid_mm, scale_mm = 0.2 * math.sqrt(2 / 12), 0.01 * crack.width_mean_px
    assert crack.width_mean_mm_sigma == pytest.approx(math.hypot(grid_mm, scale_mm))
    assert only(measure_cracks(mask)).length_mm is None


def test_no_width_in_millimetres_below_three_pixels() -> None:
    mask = np.zeros((40, 120), bool)
    mask[20:22, 10:110] = True
    crack = only(measure_cracks(mask, scale=Scale(mm_per_px=0.5)))
    assert (crack.width_mean_mm, crack.width_max_mm_sigma) == (None, None)
    assert crack.length_mm == pytest.approx(50, rel=0.03)


def test_sigmas_cover_the_errors_of_drawn_cracks() -> None:
    random, scale = np.random.default_rng(0), Scale(mm_per_px=1.0)
    length_z, width_z = [], []
    for angle in ANGLES_DEG:
        for width_px in (4, 7, 12):
            mask = straight(width_px, angle, random) >= 0.5
            crack = only(measure_cracks(mask, scale=scale))
            assert crack.length_mm_sigma
            assert crack.width_mean_mm_sigma
            length_z.append((crack.length_px - 120) / crack.length_mm_sigma)
            width_z.append((crack.width_mean_px - width_px) / crack.width_mean_mm_sigma)
    for z in (length_z, width_z):
        assert (np.abs(z) <= 2).mean() >= 0.9


@given(mask=hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24)))
@settings(max_examples=100, deadline=None)
def test_any_mask_gives_finite_numbers(mask: npt.NDArray[np.bool_]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
    cracks = measure_cracks(mask, frame=frame, min_area_px=1)
    assert sum(crack.area_px for crack in cracks) == mask.sum()
    for crack in cracks:
        assert math.isfinite(crack.tortuosity)
        assert crack.length_px >= 1
        assert 0 < crack.width_mean_px <= crack.width_max_px
        assert 0 <= crack.angle_deg < 180


@given(angle_deg=st.floats(0, 90), width_px=st.floats(3, 12))
@settings(max_examples=30, deadline=None)
def test_a_quarter_turn_changes_only_the_angle(angle_deg: float, width_px: float) -> None:
    mask = straight(width_px, angle_deg) >= 0.5
    crack, turned = only(measure_cracks(mask)), only(measure_cracks(np.rot90(mask)))
    assert turned.length_px == pytest.approx(crack.length_px, rel=0.02)
    assert turned.width_mean_px == pytest.approx(crack.width_mean_px, abs=0.3)
    difference = (turned.angle_deg - crack.angle_deg) % 180
    assert difference == pytest.approx(90, abs=0.01)


@pytest.mark.parametrize("mm_per_px", [0.0, -1.0, math.nan, math.inf])
def test_scale_must_be_positive(mm_per_px: float) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        Scale(mm_per_px=mm_per_px)
    with pytest.raises(ConfigError, match="sigma"):
        Scale(mm_per_px=1, sigma_mm_per_px=-abs(mm_per_px) - 1)


def test_unfit_arrays_are_refused() -> None:
    mask = np.zeros((20, 30), bool)
    with pytest.raises(InputError, match="uint8"):
        measure_cracks(mask.astype(np.uint8))
    with pytest.raises(InputError, match=r"\(20, 30, 3\)"):
        measure_cracks(mask, frame=np.zeros((20, 31, 3), np.uint8))
    for shape in ((1, 40_000), (0, 7), (0, 0)):
        with pytest.raises(InputError, match="1 to 32766"):
            measure_cracks(np.zeros(shape, bool))


def only(cracks: list[Crack]) -> Crack:
    [crack] = cracks
    return crack


def straight(
    width_px: float, angle_deg: float, random: np.random.Generator | None = None
) -> Coverage:
    """A butt-ended crack, 120 px long, through the middle (or, with `random`, half a px off)."""
    shift = np.zeros(2) if random is None else random.uniform(-0.5, 0.5, 2)
    along = np.array([math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))])
    end, side = 60 * along, width_px / 2 * np.array([-along[1], along[0]])
    return filled(SIDE_PX / 2 + shift + np.array([-end - side, end - side, end + side, side - end]))


def filled(corners: npt.NDArray[np.float64]) -> Coverage:
    big = canvas()
    cv2.fillPoly(big, [in_sixteenths(corners)], 255, shift=4)
    return shrunk(big)


def drawn(points: npt.NDArray[np.float64], width_px: float) -> Coverage:
    """A round-ended stroke."""
    big = canvas()
    thickness = round(width_px * SUPERSAMPLING)
    cv2.polylines(big, [in_sixteenths(points)], False, 255, thickness, shift=4)
    return shrunk(big)


def photographed(coverage: Coverage, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A dark crack on a light wall through a slightly soft lens with noise."""
    grey = cv2.GaussianBlur(180 - 120 * coverage, (0, 0), 0.7) + random.normal(0, 6, coverage.shape)
    return np.repeat(np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def canvas() -> npt.NDArray[np.uint8]:
    return np.zeros((SIDE_PX * SUPERSAMPLING,) * 2, np.uint8)


def in_sixteenths(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    return np.rint(((points + 0.5) * SUPERSAMPLING - 0.5) * 16).astype(np.int32)


def shrunk(big: npt.NDArray[np.uint8]) -> Coverage:
    return cv2.resize(big, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA) / 255.0
