"""The wall and the camera, each where physics gives the answer."""

from __future__ import annotations

import numpy as np
import pytest

from scnet_edge.simulation.clip import CameraPose, expose, look, ring_light
from scnet_edge.simulation.pipe import JOINT_PX, make_section


@pytest.mark.parametrize("cracks", [0, 1, 3])
def test_a_section_has_the_size_and_the_cracks_asked_for(cracks: int) -> None:
    measure = pytest.importorskip("skimage.measure")
    section = make_section(np.random.default_rng(5), (300, 700), cracks=cracks, waterline=0.7)
    assert section.wall.shape == (300, 700, 3)
    assert section.wall.dtype == section.coverage.dtype == np.float32
    assert 0 <= section.wall.min() < section.wall.max() <= 1
    assert measure.label(section.coverage > 0).max() == cracks


def test_the_joint_is_no_crack() -> None:
    section = make_section(np.random.default_rng(5), (300, 700), cracks=2, waterline=0.7)
    grey = section.wall.mean((0, 2))
    assert grey[JOINT_PX // 2] < 0.9 * grey[3 * JOINT_PX :].mean()  # darker than the wall
    assert not section.coverage[:, : JOINT_PX // 2].any()


def test_looking_by_whole_pixels_is_cropping() -> None:
    wall = np.random.default_rng(0).random((90, 120, 3), np.float32)
    seen = look(wall, CameraPose(x_px=7, y_px=11, roll_rad=0), (64, 80))
    np.testing.assert_allclose(seen, wall[11:75, 7:87], atol=1e-6)


def test_rolling_keeps_the_centre_and_lifts_one_side() -> None:
    wall = np.zeros((101, 101), np.float32)
    wall[50, 50] = wall[50, 90] = 1
    seen = look(wall, CameraPose(x_px=0, y_px=0, roll_rad=np.radians(10)), (101, 101))
    assert seen[50, 50] == pytest.approx(1, abs=0.1)
    y, x = np.unravel_index(seen[:, 70:].argmax(), (101, 31))
    assert (y - 50, x + 70 - 50) == pytest.approx((-40 * np.sin(np.radians(10)), 39.4), abs=1)


def test_light_falls_off_from_the_middle() -> None:
    light = ring_light((96, 128))
    assert light.max() == light[40:56, 60:68].max() == pytest.approx(1, abs=0.01)
    assert light[0, 0] < light[0, 64] < light[48, 64]


def test_noise_is_that_of_counted_electrons() -> None:
    view = np.full((200, 200, 3), 0.2, np.float32)
    light = np.ones((200, 200), np.float32)
    frame = expose(view, light, gain=1, smear_px=0, rng=np.random.default_rng(1))
    linear = ((frame / 255 + 0.055) / 1.055) ** 2.4  # the inverse of sRGB
    assert linear.mean() == pytest.approx(0.2, rel=0.01)
    assert linear.std() == pytest.approx(np.sqrt(0.2 / 9000 + 0.0022**2), rel=0.15)


def test_smear_widens_along_x_only() -> None:
    view = np.zeros((64, 64, 3), np.float32)
    view[32, 32] = 0.9
    light = np.ones((64, 64), np.float32)
    frame = expose(view, light, gain=1, smear_px=9, rng=np.random.default_rng(1))
    bright = frame[..., 0] > 60
    assert bright[32].sum() >= 9
    assert bright[:, 32].sum() <= 3
