"""`pipe.toml`: what was inspected and how the camera saw it; flat TOML in a frozen struct."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from scnet_edge.config import read_toml
from scnet_edge.errors import ConfigError
from scnet_edge.inspection.lens import Lens, read_lens
from scnet_edge.runtime.ignore import Polygon

Positive: TypeAlias = Annotated[float, msgspec.Meta(gt=0)]
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
Clock: TypeAlias = Annotated[float, msgspec.Meta(ge=0, lt=12)]

_NEEDS = {
    "side": ("diameter_mm", "mm_per_px"),
    "forward": ("diameter_mm",),
    "wall": (),
}


class Site(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was inspected, where and by whom, for the head of the report and of every export.

    Attributes:
        pipe_id: the pipe section, wall or structure: `Section 12`, `Pier 3, north face`.
        material: of the pipe or wall.
        place: where it is, for people.
        client: who ordered the inspection.
        operator: who drove the robot.
        from_node, to_node: such as manholes, in the direction of travel.
        line_lonlat: its course as WGS 84 longitude and latitude, in the direction of travel; it
            gives the GeoJSON its coordinates.
    """

    pipe_id: str = ""
    material: str = ""
    place: str = ""
    client: str = ""
    operator: str = ""
    from_node: str = ""
    to_node: str = ""
    line_lonlat: tuple[tuple[float, float], ...] = ()


class Setup(Site, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The pipe or wall with its `Site`, the camera and the robot; checked as it is read.

    Attributes:
        mode: `side`, a camera that looks at the pipe's wall; `forward`, one that looks along the
            pipe's axis; `wall`, one that looks at a flat wall (tunnel, bridge, gap).
        diameter_mm: inner diameter of the pipe; needed in `side` and `forward`.
        mm_per_px: at the wall in the middle of the frame; needed in `side`. In `wall` optional:
            without it there are pixels and no millimetres.
        scale_sigma_share: standard deviation of every scale, as a share of it.
        travel: where in the image the direction of travel points (`side`, `wall`).
        look_clock_h: clock position that a `side` camera looks at when the robot is level.
        roll: where the robot's roll comes from: `odometry`, or `fixed` at `roll_deg`; with `none`
            it is taken as 0 and every record says `no_roll`.
        roll_deg: positive is clockwise, seen in the direction of travel.
        camera: a file that `scnet-edge calibrate-camera` wrote, beside this one; or else the keys
            `lens` to `height_px` here.
        lens: the model of the lens; `fisheye` for more than about 120 degrees.
        fx, fy, cx, cy: focal lengths and principal point, in pixels.
        distortion: coefficients of the lens, as OpenCV orders them.
        width_px, height_px: size of the pictures that the camera was calibrated with.
        axis_x_px, axis_y_px: where a `forward` camera sees the far end of the pipe's axis, in the
            undistorted image; the principal point where it is not given.
        camera_right_mm, camera_below_mm: the camera's place beside the axis (`forward`).
        far_mm: a `forward` camera is not believed further ahead than this; where it is not given,
            than where one pixel is 2 % of the diameter along the pipe.
        camera_ahead_m: how far the camera is ahead of the point whose chainage the odometer gives.
        max_speed_mps: what moves faster is a jump of the odometer, not a robot.
        odometry_sigma_share: standard deviation of a travelled distance, as a share of it.
        join_mm: ends of two pieces this close, and in line, are one crack.
        ignore: regions not to look at, as in robot.toml: each a list of its corners [x, y], in
            pixels, or in shares of width and height where all are within 0 to 1.
        ignore_mask: a picture, beside this file, white where not to look.
        simulated: the footage was rendered; the report says so.
    """

    mode: Literal["side", "forward", "wall"]
    diameter_mm: Positive | None = None
    mm_per_px: Positive | None = None
    scale_sigma_share: Share = 0.02
    travel: Literal["right", "left", "up", "down"] = "right"
    look_clock_h: Clock = 9.0
    roll: Literal["none", "fixed", "odometry"] = "none"
    roll_deg: float = 0.0
    camera: str | None = None
    lens: Literal["pinhole", "fisheye"] = "pinhole"
    fx: Positive | None = None
    fy: Positive | None = None
    cx: float | None = None
    cy: float | None = None
    distortion: tuple[float, ...] = ()
    width_px: Annotated[int, msgspec.Meta(gt=0)] | None = None
    height_px: Annotated[int, msgspec.Meta(gt=0)] | None = None
    axis_x_px: float | None = None
    axis_y_px: float | None = None
    camera_right_mm: float = 0.0
    camera_below_mm: float = 0.0
    far_mm: Positive | None = None
    camera_ahead_m: float = 0.0
    max_speed_mps: Positive = 1.0
    odometry_sigma_share: Share = 0.005
    join_mm: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    ignore: tuple[Polygon, ...] = ()
    ignore_mask: str | None = None
    simulated: bool = False

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(n, float) and not math.isfinite(n) for n in numbers):
                raise ValueError(f"Expected a finite number - at `$.{name}`")
        for name in _NEEDS[self.mode]:
            if getattr(self, name) is None:
                raise ValueError(f"mode {self.mode!r} needs {name}, found none; measure and add it")
        if self.mode == "forward" and self.camera is None and self.fx is None:
            raise ValueError(
                "mode 'forward' needs the camera's calibration, found neither camera nor fx, fy, "
                'cx, cy; run scnet-edge calibrate-camera and name its file: camera = "camera.toml"'
            )
        self._check_camera()

    def _check_camera(self) -> None:
        keys = ("fx", "fy", "cx", "cy", "width_px", "height_px")
        given = [name for name in keys if getattr(self, name) is not None]
        if self.camera is not None and (given or self.distortion):
            raise ValueError("expected camera or fx, fy, cx, cy, ..., found both; drop one")
        if given and len(given) < len(keys):
            missing = ", ".join(name for name in keys if name not in given)
            raise ValueError(f"a calibration needs {', '.join(keys)} together, missing {missing}")
        self.optics()
        if self.distortion and not given:
            raise ValueError("distortion needs fx, fy, cx, cy, width_px and height_px beside it")
        if self.far_mm and self.diameter_mm and self.far_mm > 20 * self.diameter_mm:
            raise ValueError("far_mm must be at most 20 diameters")
        if (self.axis_x_px is None) != (self.axis_y_px is None):
            raise ValueError("expected axis_x_px and axis_y_px together, found one of them")

    def optics(self) -> Lens | None:
        """Return the lens that fx, fy, ... describe; None where they are not given."""
        if self.fx is None or self.fy is None or self.cx is None or self.cy is None:
            return None
        return Lens(
            lens=self.lens,
            fx=self.fx,
            fy=self.fy,
            cx=self.cx,
            cy=self.cy,
            distortion=self.distortion,
            width_px=self.width_px or 1,
            height_px=self.height_px or 1,
        )


def read_setup(path: Path) -> Setup:
    """Return the setup that a `pipe.toml` describes, its camera file read into it.

    Raises:
        ConfigError: missing, not TOML, an unknown key, a value out of range, or no calibration
            where the mode needs one; one line that names the key.
    """
    setup = read_toml(path, Setup)
    if setup.ignore_mask is not None:
        beside = str(path.parent / setup.ignore_mask)
        setup = msgspec.structs.replace(setup, ignore_mask=beside)
    if setup.camera is None:
        return setup
    lens = read_lens(path.parent / setup.camera)
    values = {name: getattr(lens, name) for name in lens.__struct_fields__ if name != "rms_px"}
    return msgspec.structs.replace(setup, camera=None, **values)


def lens_of(setup: Setup, size_hw: tuple[int, int]) -> Lens | None:
    """Return the lens of a setup, None where it has none; the frames must be of its size.

    Raises:
        ConfigError: the frames are of another size than the calibration's.
    """
    lens = setup.optics()
    if lens is None:
        return None
    if (lens.height_px, lens.width_px) != size_hw:
        raise ConfigError(
            f"the camera is calibrated for {lens.width_px}x{lens.height_px} px, the frames are "
            f"{size_hw[1]}x{size_hw[0]}; calibrate at that size or record at this one"
        )
    return lens
