"""From pixels to the wall: side-looking and forward-looking cameras in a pipe, and flat walls.

Places on a wall are (n, 2) float64: mm along, ahead of the camera, and mm around, clockwise from
the crown as seen in the direction of travel. On a flat wall the second is mm across, upwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from scnet_edge.errors import ConfigError
from scnet_edge.inspection.lens import Lens, undistort
from scnet_edge.inspection.setup import Setup, lens_of
from scnet_edge.inspection.skeleton import Points
from scnet_edge.inspection.spine import Values

Project: TypeAlias = Callable[[Points], Points]
_COARSEST = 0.04  # of the radius along the pipe, in one pixel: further ahead is not believed
_TRAVEL_XY = {"right": (1.0, 0.0), "left": (-1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How pixels of one camera lie on one wall, for a robot that is level.

    Attributes:
        size_hw: of the frames.
        project: (n, 2) xy in the frame to (n, 2) on the wall; NaN where a ray does not meet the
            part of the wall that is believed.
        around_mm: circumference of the pipe; None for a flat wall.
        scaled: False where there is no scale: then `project` gives pixels instead of mm.
        sigma_share: standard deviation of every length, as a share of it.
    """

    size_hw: tuple[int, int]
    project: Project
    around_mm: float | None
    scaled: bool
    sigma_share: float


def geometry_of(setup: Setup, size_hw: tuple[int, int]) -> Geometry:
    """Return the geometry of a setup for frames of one size.

    Raises:
        ConfigError: the camera is calibrated for another size, or does not fit into the pipe.
    """
    around_mm = None if setup.diameter_mm is None else math.pi * setup.diameter_mm
    lens = lens_of(setup, size_hw)
    if setup.mode == "forward":
        project = _forward(setup, lens)
    elif setup.mode == "side" and lens is not None:
        project = _side(setup, lens)
    else:
        project = _flat(setup, lens, size_hw)
    return Geometry(
        size_hw=size_hw,
        project=project,
        around_mm=None if setup.mode == "wall" else around_mm,
        scaled=setup.mode == "forward" or setup.mm_per_px is not None,
        sigma_share=setup.scale_sigma_share,
    )


def mm_per_px(geometry: Geometry, points_xy: Points) -> Values:
    """Return the scale at (n, 2) points: the square root of the mm2 that a px2 there covers."""
    step = np.array([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]])
    around = geometry.project((points_xy[None] + step[:, None]).reshape(-1, 2)).reshape(4, -1, 2)
    x, y = (
        wrap_around(around[0] - around[1], geometry),
        wrap_around(around[2] - around[3], geometry),
    )
    return np.sqrt(np.abs(x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]))


def wrap_around(way_mm: Points, geometry: Geometry) -> Points:
    """Return differences of places, the shorter way around the pipe."""
    return wrap(way_mm, geometry.around_mm)


def wrap(way_mm: Points, around_mm: float | None) -> Points:
    """Return differences of places, (..., 2), the shorter way around."""
    if around_mm is None:
        return way_mm
    around = (way_mm[..., 1] + around_mm / 2) % around_mm - around_mm / 2
    return np.stack([way_mm[..., 0], around], axis=-1)


def _flat(setup: Setup, lens: Lens | None, size_hw: tuple[int, int]) -> Project:
    """Look at a wall as if it were flat, square to the camera."""
    scale = setup.mm_per_px or 1.0
    along, across = axes_of(setup)
    middle = np.array([(size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2])
    look_mm = 0.0
    if setup.mode == "side" and setup.diameter_mm is not None:
        look_mm = setup.look_clock_h / 12 * math.pi * setup.diameter_mm

    def project(points_xy: Points) -> Points:
        if lens is None:
            off = (points_xy - middle) * scale
        else:
            off = undistort(points_xy, lens) * (lens.fx, lens.fy) * scale
        return np.stack([off @ along, look_mm + off @ across], axis=1)

    return project


def _side(setup: Setup, lens: Lens) -> Project:
    """Look square at the pipe's wall, which curves towards the camera; exact for a pinhole."""
    radius = _radius(setup)
    look_rad = setup.look_clock_h / 12 * 2 * math.pi
    distance_mm = (setup.mm_per_px or 1.0) * math.sqrt(lens.fx * lens.fy)
    if distance_mm >= 2 * radius:
        raise ConfigError(
            f"mm_per_px and fx put the camera {distance_mm:.0f} mm from the wall of a pipe of "
            f"{2 * radius:.0f} mm; correct mm_per_px, fx or diameter_mm"
        )
    along, across = axes_of(setup)
    origin = np.array([radius - distance_mm, 0.0])

    def project(points_xy: Points) -> Points:
        ray = undistort(points_xy, lens)
        towards = np.stack([np.ones(len(ray)), ray @ across], axis=1)  # outwards, clockwise
        reach = _reach(origin, towards, radius)
        hit = origin + reach[:, None] * towards
        turn_rad = np.arctan2(hit[:, 1], hit[:, 0])
        return np.stack([reach * (ray @ along), radius * (look_rad + turn_rad)], axis=1)

    return project


def _forward(setup: Setup, lens: Lens | None) -> Project:
    """Look along the pipe: each ray meets the cylinder once, ahead of the camera."""
    if lens is None:  # Setup has refused this
        raise ConfigError("mode 'forward' needs a calibrated camera")
    radius = _radius(setup)
    far_mm = setup.far_mm or radius * math.sqrt(_COARSEST * lens.fx)
    origin = np.array([setup.camera_right_mm, setup.camera_below_mm])
    if np.hypot(*origin) >= radius:
        raise ConfigError("camera_right_mm and camera_below_mm put the camera outside the pipe")
    turn = _onto_axis(setup, lens)

    def project(points_xy: Points) -> Points:
        ray = undistort(points_xy, lens)
        ray = np.column_stack([ray, np.ones(len(ray))]) @ turn.T
        reach = _reach(origin, ray[:, :2], radius)
        hit = origin + reach[:, None] * ray[:, :2]  # right, down
        ahead = reach * ray[:, 2]
        ahead[~((ahead > 0) & (ahead <= far_mm))] = np.nan
        around = radius * np.arctan2(hit[:, 0], -hit[:, 1])
        return np.stack([ahead, np.where(np.isnan(ahead), np.nan, around)], axis=1)

    return project


def _reach(origin: Values, towards: Points, radius: float) -> Values:
    """Return how many times each (n, 2) direction reaches from inside a circle to its rim."""
    a = np.maximum((towards**2).sum(axis=1), 1e-12)
    b, c = towards @ origin, origin @ origin - radius**2
    return np.asarray((np.sqrt(b**2 - a * c) - b) / a)


def _onto_axis(setup: Setup, lens: Lens) -> Points:
    """Return the least rotation that takes the ray along the pipe's axis to straight ahead."""
    x, y = setup.axis_x_px, setup.axis_y_px
    if x is None or y is None:
        return np.eye(3)
    ray = np.array([(x - lens.cx) / lens.fx, (y - lens.cy) / lens.fy, 1.0])
    ray /= np.linalg.norm(ray)
    right, down, ahead = ray
    cross = np.array([[0, 0, -right], [0, 0, -down], [right, down, 0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + ahead))


def axes_of(setup: Setup) -> tuple[Values, Values]:
    """Return where in the image travel and clockwise (on a flat wall: up, or right) point."""
    along = np.array(_TRAVEL_XY[setup.travel])
    if setup.mode == "wall":
        return along, np.array([abs(along[1]), -abs(along[0])])
    return along, np.array([along[1], -along[0]])


def _radius(setup: Setup) -> float:
    if setup.diameter_mm is None:
        raise ConfigError(f"mode {setup.mode!r} needs diameter_mm")
    return setup.diameter_mm / 2
