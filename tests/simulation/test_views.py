"""Views of pipes and walls made of pictures: cracks stay labelled, what is painted over is not."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from scnet_edge.simulation.joint_gaps import WallView, paint_gap
from scnet_edge.simulation.marks import paint_corrosion, paint_flakes, paint_scuffs, paint_stain
from scnet_edge.simulation.pipe_views import draw_pipe_view
from scnet_edge.simulation.wall_views import draw_wall_view
from scnet_edge.types import Frame, Mask

Draw = Callable[[Frame, Mask, np.random.Generator], WallView]
VIEWS = pytest.mark.parametrize("draw", [draw_pipe_view, draw_wall_view])


def cracked() -> tuple[Frame, Mask]:
    """Return a wall with a dark crack of 7 px."""
    mask = np.zeros((240, 320), np.uint8)
    cv2.polylines(mask, [np.array([[0, 60], [120, 150], [200, 90], [319, 200]])], False, 255, 7)
    frame = np.where(mask[..., None] > 0, 20, 200) * np.ones(3)
    return frame.astype(np.uint8), mask > 0


@VIEWS
def test_what_is_labelled_as_crack_is_darker_than_the_wall_beside_it(draw: Draw) -> None:
    frame, mask = cracked()
    darker = []
    for seed in range(12):
        view = draw(frame, mask, np.random.default_rng(seed))
        assert view.frame.shape == (384, 544, 3)
        assert not (view.mask & view.ignored).any()
        grey = view.frame.mean(axis=2)
        near = cv2.dilate(view.mask.astype(np.uint8), np.ones((15, 15))) > 0
        beside = near & ~(cv2.dilate(view.mask.astype(np.uint8), np.ones((5, 5))) > 0)
        if view.mask.sum() > 100:
            darker.append(grey[view.mask].mean() / grey[beside & ~view.ignored].mean())
    assert len(darker) >= 6
    assert max(darker) < 0.75


@VIEWS
def test_a_sound_picture_gives_no_crack_but_what_looks_like_one(draw: Draw) -> None:
    sound = np.full((240, 320, 3), 180, np.uint8)
    nothing = np.zeros((240, 320), np.bool_)
    dark = 0
    for seed in range(12):
        view = draw(sound, nothing, np.random.default_rng(seed))
        assert not view.mask.any()
        assert not view.ignored.any()
        grey = cv2.cvtColor(view.frame, cv2.COLOR_BGR2GRAY)
        beside = cv2.medianBlur(grey, 31)
        dark += int((grey < 0.7 * beside).sum() > 200)
    assert dark >= 4


@VIEWS
def test_a_seed_gives_one_view(draw: Draw) -> None:
    frame, mask = cracked()
    first, again, other = (draw(frame, mask, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.frame, again.frame)
    np.testing.assert_array_equal(first.mask, again.mask)
    assert (first.frame != other.frame).any()


def test_a_joint_hides_the_crack_that_it_covers() -> None:
    wall = np.full((60, 80, 3), 200, np.float32)
    crack = np.ones((60, 80), np.float32)
    y, x = np.mgrid[0:60, 0:80].astype(np.float32)
    for seed in range(20):
        out, left = paint_gap(
            wall, crack, y - np.float32(30), x / np.float32(40) - 1, np.random.default_rng(seed)
        )
        assert out.shape == wall.shape
        assert (left[(out.mean(axis=2) < 100)] == 0).all()  # none is left where it is dark
        assert left[:8].all()  # far from the joint nothing is hidden


def test_a_stain_darkens_one_border_and_hides_no_crack() -> None:
    wall, crack = np.full((120, 160, 3), 200, np.float32), np.ones((120, 160), np.float32)
    for seed in range(12):
        stained, left = paint_stain(wall, crack, np.random.default_rng(seed))
        grey = stained.mean(axis=2)
        assert left.all()
        assert (grey <= 200).all()
        borders = [grey[:3].mean(), grey[-3:].mean(), grey[:, :3].mean(), grey[:, -3:].mean()]
        assert min(borders) < 0.97 * max(borders)
        assert min(borders) <= grey.mean()


def test_flakes_take_the_cracks_with_them_that_they_carried() -> None:
    wall, crack = np.full((120, 160, 3), 120, np.float32), np.ones((120, 160), np.float32)
    gone = []
    for seed in range(12):
        flaked, left = paint_flakes(wall, crack, np.random.default_rng(seed))
        changed = np.abs(flaked.mean(axis=2) - 120) > 1
        assert changed[left == 0].mean() > 0.5 or not (left == 0).any()
        gone.append((left == 0).mean())
    assert 0.02 < np.mean(gone) < 0.6


def test_scuffs_are_short_and_hide_no_crack() -> None:
    wall, crack = np.full((200, 200, 3), 120, np.float32), np.ones((200, 200), np.float32)
    marked = 0
    for seed in range(12):
        scuffed, left = paint_scuffs(wall, crack, np.random.default_rng(seed))
        assert left.all()
        marked += int((np.abs(scuffed.mean(axis=2) - 120) > 15).sum() > 10)
    assert marked >= 9


def test_corrosion_has_bright_grains_and_dark_pits_and_leaves_a_crack_dark() -> None:
    wall, crack = np.full((200, 200, 3), 120, np.float32), np.zeros((200, 200), np.float32)
    wall[98:102], crack[98:102] = 20, 1
    bright, dark = [], []
    for seed in range(12):
        eaten, left = paint_corrosion(wall, crack, np.random.default_rng(seed))
        np.testing.assert_array_equal(left, crack)
        grey = eaten.mean(axis=2)
        assert grey[crack > 0].mean() < 0.4 * np.median(grey[crack == 0])
        bright.append((grey[crack == 0] > 130).mean())
        dark.append((grey[crack == 0] < 110).mean())
    assert 0.01 < np.mean(bright) < 0.4
    assert 0.01 < np.mean(dark) < 0.4
