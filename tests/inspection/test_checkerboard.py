"""A checkerboard drawn through a known lens gives that lens back."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.errors import InputError
from scnet_edge.inspection.lens import Board, Lens, find_board, read_lens, solve_lens, undistort

BOARD = Board(columns=8, rows=5, square_mm=25)
SIZE_HW = (360, 480)
TRUE = Lens(
    fx=420,
    fy=424,
    cx=236,
    cy=183,
    distortion=(-0.21, 0.06, 0.001, -0.001),
    width_px=480,
    height_px=360,
)


def pictures() -> list[np.ndarray]:
    """The board, tilted many ways, as the true lens sees it: each pixel's ray meets the plane."""
    random = np.random.default_rng(2)
    y, x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    rays = undistort(np.stack([x, y], axis=-1).reshape(-1, 2).astype(float), TRUE)
    rays = np.column_stack([rays, np.ones(len(rays))])
    seen = []
    for _ in range(12):
        turn, _ = cv2.Rodrigues(random.uniform(-0.45, 0.45, 3))
        at = np.array([random.uniform(-45, 45), random.uniform(-30, 30), random.uniform(270, 360)])
        away = (turn[:, 2] @ at) / (rays @ turn[:, 2])
        on_board = (away[:, None] * rays - at) @ turn[:, :2] / 25 + (4.5, 3.0)
        column, row = np.floor(on_board).astype(int).T
        white = (column + row) % 2 == 1
        white |= (column < 0) | (row < 0) | (column > 8) | (row > 5)
        grey = cv2.GaussianBlur(np.where(white, 225.0, 35.0).reshape(SIZE_HW), (0, 0), 0.8)
        grey += random.normal(0, 3, SIZE_HW)
        seen.append(np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2))
    return seen


@pytest.fixture(scope="module")
def boards() -> list[np.ndarray]:
    found = [find_board(picture, BOARD) for picture in pictures()]
    return [corners for corners in found if corners is not None]


def test_the_lens_comes_back(boards: list[np.ndarray]) -> None:
    assert len(boards) >= 9
    lens = solve_lens(boards, BOARD, SIZE_HW)
    assert (lens.fx, lens.fy) == pytest.approx((TRUE.fx, TRUE.fy), rel=0.01)
    assert (lens.cx, lens.cy) == pytest.approx((TRUE.cx, TRUE.cy), abs=4)
    assert lens.rms_px is not None
    assert lens.rms_px < 0.5
    corner = np.array([[20.0, 20.0], [460.0, 340.0]])
    np.testing.assert_allclose(undistort(corner, lens), undistort(corner, TRUE), atol=0.006)


def test_what_cannot_be_calibrated_is_refused(boards: list[np.ndarray]) -> None:
    with pytest.raises(InputError, match="in 3 pictures, expected at least 6"):
        solve_lens(boards[:3], BOARD, SIZE_HW)
    middle = [(corners - corners.mean(axis=0)) * 0.2 + (240, 180) for corners in boards]
    with pytest.raises(InputError, match="corners as well"):
        solve_lens(middle, BOARD, SIZE_HW)
    shaken = [corners + np.random.default_rng(0).normal(0, 6, corners.shape) for corners in boards]
    with pytest.raises(InputError, match="fit to"):
        solve_lens(shaken, BOARD, SIZE_HW)
    with pytest.raises(InputError, match="at least 3x3"):
        Board(columns=2, rows=5, square_mm=10)


def test_a_frame_without_the_board_has_none() -> None:
    assert find_board(np.full((*SIZE_HW, 3), 90, np.uint8), BOARD) is None


def test_the_command_writes_a_file_that_can_be_read(tmp_path: Path, command_line) -> None:
    for number, picture in enumerate(pictures()):
        cv2.imwrite(str(tmp_path / f"board-{number}.png"), picture)
    out = tmp_path / "camera.toml"
    arguments = ["--board", "8x5", "--square-mm", "25", "--out", str(out)]
    done = command_line("calibrate-camera", str(tmp_path), *arguments)
    assert done.returncode == 0, done.stderr
    assert read_lens(out).fx == pytest.approx(TRUE.fx, rel=0.01)
    wrong = command_line("calibrate-camera", str(tmp_path), "--board", "9x9", "--out", str(out))
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert "inner corners" in wrong.stderr
