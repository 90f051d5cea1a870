"""A side-looking camera within a ring of LEDs: what it sees of a wall and what it makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.types import Frame, Map

Image = npt.NDArray[np.float32]  # (h, w, 3), BGR, linear light in [0, 1]
LEVELS = 4096  # of the 12-bit converter
FULL_WELL = 9000  # electrons at white: the shot noise
READ_NOISE = 0.0022  # of white


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraPose:
    """Where the upper left corner of the frame lies on the wall, and how the robot leans."""

    x_px: float
    y_px: float
    roll_rad: float


def look(wall: npt.NDArray[np.float32], pose: CameraPose, size_hw: tuple[int, int]) -> Image:
    """Return the part of a map or an image of the wall that the frame shows, as float32."""
    h, w = size_hw
    cos, sin = np.cos(pose.roll_rad), np.sin(pose.roll_rad)
    x, y = (w - 1) / 2, (h - 1) / 2  # the frame turns about its centre
    to_wall = np.array(
        [
            [cos, -sin, pose.x_px + x - cos * x + sin * y],
            [sin, cos, pose.y_px + y - sin * x - cos * y],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(wall, to_wall, (w, h), flags=flags), np.float32)


def ring_light(size_hw: tuple[int, int]) -> Map:
    """Return the light of the LED ring on the curved wall: 1 in the middle, less to the corners."""
    h, w = size_hw
    x = (np.arange(w, dtype=np.float32) - w * 0.5) / (w / 2)
    y = (np.arange(h, dtype=np.float32) - h * 0.48) / (h / 2)
    square = 0.42 * x[None, :] ** 2 + 0.30 * y[:, None] ** 2
    return np.asarray((1 + square) ** -1.7, np.float32)


def expose(
    view: Image, light: Map, *, gain: float, smear_px: float, rng: np.random.Generator
) -> Frame:
    """Return the frame, (h, w, 3) uint8 BGR, that the sensor makes of a view.

    Args:
        view: (h, w, 3), linear light in [0, 1].
        light: (h, w), what multiplies it.
        gain: exposure; 1 renders white as white.
        smear_px: how far the wall moves along x while the shutter is open.
        rng: draws the noise.
    """
    seen = _smear(view, smear_px) * (gain * light)[..., None]
    seen = cv2.GaussianBlur(seen, (0, 0), 0.55)  # lens and demosaicing
    deviation = np.sqrt(np.maximum(seen, 0) / FULL_WELL + READ_NOISE**2)
    seen = seen + deviation * rng.standard_normal(seen.shape, np.float32)
    levels = np.clip(seen * (LEVELS - 1), 0, LEVELS - 1).astype(np.uint16)
    return _tone_curve()[levels]


def _smear(view: Image, smear_px: float) -> Image:
    """Average along x over `smear_px`; the outermost taps carry the fraction."""
    reach = int(np.ceil(max(smear_px - 1, 0) / 2))
    offset = np.abs(np.arange(-reach, reach + 1))
    taps = np.clip((max(smear_px, 1) + 1) / 2 - offset, 0, 1)
    return np.asarray(cv2.filter2D(view, -1, (taps / taps.sum())[None, :]), np.float32)


def _tone_curve() -> npt.NDArray[np.uint8]:
    """Return the sRGB value of every level."""
    x = np.arange(LEVELS) / (LEVELS - 1)
    curve = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return np.asarray((curve * 255).round(), np.uint8)
