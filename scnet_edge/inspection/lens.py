"""A calibrated lens: pixels to rays, and its calibration from pictures of a checkerboard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import msgspec
import numpy as np

from scnet_edge.config import read_toml
from scnet_edge.errors import InputError
from scnet_edge.inspection.skeleton import Points
from scnet_edge.types import Frame

LEAST_BOARDS = 6
_WORST_RMS_PX = 1.5
_SEARCH_PX = 5  # half the window in which a corner is refined
_LEAST_COVERED = 0.35  # of the frame's width and height, by all corners together


class Lens(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Intrinsics in pixels, for frames of one size.

    Attributes:
        lens: `pinhole` with OpenCV's k1, k2, p1, p2[, k3, ...], or `fisheye` with k1 to k4.
        rms_px: reprojection error of the calibration, None where it is not known.
    """

    lens: Literal["pinhole", "fisheye"] = "pinhole"
    fx: Annotated[float, msgspec.Meta(gt=0)]
    fy: Annotated[float, msgspec.Meta(gt=0)]
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    width_px: Annotated[int, msgspec.Meta(gt=0)]
    height_px: Annotated[int, msgspec.Meta(gt=0)]
    rms_px: float | None = None

    def __post_init__(self) -> None:
        fits = (0, 4) if self.lens == "fisheye" else (0, 4, 5, 8, 12, 14)
        if len(self.distortion) not in fits:
            raise ValueError(
                f"a {self.lens} lens has {' or '.join(map(str, fits))} distortion coefficients, "
                f"found {len(self.distortion)}"
            )

    def matrix(self) -> Points:
        """Return the (3, 3) camera matrix."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])


def read_lens(path: Path) -> Lens:
    """Return the lens in a file that `scnet-edge calibrate-camera` wrote.

    Raises:
        ConfigError: missing, not TOML, or not a lens.
    """
    return read_toml(path, Lens)


def undistort(points_xy: Points, lens: Lens) -> Points:
    """Return x/z and y/z, (n, 2), of the rays through (n, 2) pixels; x right, y down, z ahead."""
    if not len(points_xy):
        return np.empty((0, 2))
    points = np.ascontiguousarray(points_xy, np.float64)[:, None]
    bent = np.array(lens.distortion or (0.0,) * 4)
    undo = cv2.fisheye.undistortPoints if lens.lens == "fisheye" else cv2.undistortPoints
    return np.asarray(undo(points, lens.matrix(), bent), np.float64).reshape(-1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Inner corners of a checkerboard, columns and rows, and the side of a square.

    Raises:
        InputError: fewer than 3 corners a side, or a square that has no size.
    """

    columns: int
    rows: int
    square_mm: float

    def __post_init__(self) -> None:
        if min(self.columns, self.rows) < 3 or not self.square_mm > 0:
            raise InputError(
                "a board needs at least 3x3 inner corners and squares above 0 mm, found "
                f"{self.columns}x{self.rows} of {self.square_mm:g} mm"
            )


def find_board(frame: Frame, board: Board) -> Points | None:
    """Return the inner corners of the board in a frame, (n, 2) xy; None where it is not whole."""
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    flags = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_FAST_CHECK
    found, corners = cv2.findChessboardCorners(grey, (board.columns, board.rows), flags=flags)
    if not found:
        return None
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 40, 0.001)
    window = (_SEARCH_PX, _SEARCH_PX)
    fine = cv2.cornerSubPix(grey, corners, window, (-1, -1), stop)
    return np.asarray(fine, np.float64).reshape(-1, 2)


def solve_lens(
    boards: list[Points], board: Board, size_hw: tuple[int, int], *, fisheye: bool = False
) -> Lens:
    """Return the lens that explains the corners best.

    Raises:
        InputError: too few boards, all in one part of the frame, or a fit that is not good.
    """
    if len(boards) < LEAST_BOARDS:
        raise InputError(
            f"the whole board of {board.columns}x{board.rows} inner corners is in {len(boards)} "
            f"pictures, expected at least {LEAST_BOARDS}; count inner corners, and show all of it"
        )
    _check_spread(boards, size_hw)
    grid = np.zeros((board.columns * board.rows, 3))
    grid[:, :2] = np.mgrid[: board.columns, : board.rows].T.reshape(-1, 2) * board.square_mm
    rms_px, matrix, bent = (_fisheye if fisheye else _pinhole)(grid, boards, size_hw)
    if not rms_px <= _WORST_RMS_PX:
        raise InputError(
            f"the corners fit to {rms_px:.2f} px, expected {_WORST_RMS_PX} or better; leave out "
            "blurred pictures, use a flat board, and --fisheye for a very wide lens"
        )
    return Lens(
        lens="fisheye" if fisheye else "pinhole",
        fx=float(matrix[0, 0]),
        fy=float(matrix[1, 1]),
        cx=float(matrix[0, 2]),
        cy=float(matrix[1, 2]),
        distortion=tuple(float(k) for k in np.ravel(bent)),
        width_px=size_hw[1],
        height_px=size_hw[0],
        rms_px=float(rms_px),
    )


def _check_spread(boards: list[Points], size_hw: tuple[int, int]) -> None:
    corners = np.concatenate(boards)
    covered = (corners.max(axis=0) - corners.min(axis=0)) / (size_hw[1], size_hw[0])
    if covered.min() < _LEAST_COVERED:
        raise InputError(
            f"all boards lie in {100 * covered[0]:.0f} % of the frame's width and "
            f"{100 * covered[1]:.0f} % of its height; show the board in the corners as well"
        )


def _pinhole(
    grid: Points, boards: list[Points], size_hw: tuple[int, int]
) -> tuple[float, Points, Points]:
    seen = [corners.astype(np.float32)[:, None] for corners in boards]
    plane = grid.astype(np.float32)
    rms_px, matrix, bent, *_ = cv2.calibrateCamera(
        [plane] * len(seen), seen, size_hw[::-1], np.eye(3), np.zeros(5)
    )
    return float(rms_px), np.asarray(matrix), np.asarray(bent)


def _fisheye(
    grid: Points, boards: list[Points], size_hw: tuple[int, int]
) -> tuple[float, Points, Points]:
    seen = [corners[None] for corners in boards]
    # OpenCV 5 has moved the names up.
    names: Any = cv2 if hasattr(cv2, "CALIB_RECOMPUTE_EXTRINSIC") else cv2.fisheye
    flags = names.CALIB_RECOMPUTE_EXTRINSIC | names.CALIB_FIX_SKEW
    try:
        rms_px, matrix, bent, *_ = cv2.fisheye.calibrate(
            [grid[None]] * len(seen),
            seen,
            size_hw[::-1],
            np.eye(3),
            np.zeros((4, 1)),
            flags=flags,
        )
    except cv2.error as e:
        raise InputError(
            "no fisheye lens explains the corners; leave out boards at the very edge, or do "
            "without --fisheye"
        ) from e
    return float(rms_px), np.asarray(matrix), np.asarray(bent)
