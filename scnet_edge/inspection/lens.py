"""A calibrated lens: pixels to rays, and the file that a calibration leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import cv2
import msgspec
import numpy as np

from scnet_edge.config import read_toml
from scnet_edge.inspection.skeleton import Points


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
