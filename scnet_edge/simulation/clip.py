"""A robot's run along the pipe, frame by frame, and the truth that goes with it.

The camera looks sideways at the wall within a ring of LEDs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.arrays import read_arrays
from scnet_edge.errors import InputError
from scnet_edge.files import new_file
from scnet_edge.simulation.cracks import truth_mask
from scnet_edge.simulation.pipe import JOINT_PX, Section, make_section
from scnet_edge.types import Frame, Map, Mask

MARGIN_PX = 16  # of wall around the frame, for sway and roll
SMALLEST_PX = 64
SPEED = 1 / 30  # of the frame's width, per frame
SHUTTER = 0.1  # share of a frame's time that it is open

# What NumPy raises over a file that is none of its own, is cut short, or holds something else.
NOT_A_TRUTH = (OSError, ValueError, TypeError, KeyError, OverflowError)
MAX_TRUTH_BYTES = 128 * 2**20  # packed; eight times that as masks
GAIN, DIM_GAIN = 1.15, 0.45  # the exposure of a clip, and that of a lamp too weak
CRACKS = (1, 2, 3)
Image = npt.NDArray[np.float32]  # (h, w, 3), BGR, linear light in [0, 1]
LEVELS = 4096  # of the 12-bit converter
FULL_WELL = 9000  # electrons at white: the shot noise
READ_NOISE = 0.0022  # of white


def render_clip(
    frames: int, size_hw: tuple[int, int], *, seed: int
) -> Iterator[tuple[Frame, Mask]]:
    """Yield what a robot films on its way along a pipe, and where the cracks are.

    A frame is (h, w, 3) uint8 BGR, its mask (h, w) bool. The seed fixes every byte. Sections of
    pipe are made as the robot reaches them, so a long clip needs no more memory than a short one.

    Raises:
        InputError: no frames, or frames of under 64 pixels a side.
    """
    if frames < 1 or min(size_hw) < SMALLEST_PX:
        raise InputError(
            f"a clip needs at least 1 frame of at least {SMALLEST_PX}x{SMALLEST_PX} pixels, "
            f"got {frames} of {size_hw[0]}x{size_hw[1]}"
        )
    return _render(frames, size_hw, seed)


def _render(frames: int, size_hw: tuple[int, int], seed: int) -> Iterator[tuple[Frame, Mask]]:
    pipe_rng, ride_rng, noise_rng = np.random.default_rng(seed).spawn(3)
    sections = _sections(pipe_rng, size_hw)
    wall = next(sections)
    passed_px = 0  # how much of the pipe has been let go of
    light = ring_light(size_hw)
    for pose, speed_px, gain in _ride(ride_rng, frames, size_hw[1]):
        while pose.x_px - passed_px + size_hw[1] + MARGIN_PX > wall.coverage.shape[1]:
            wall = _join(wall, next(sections))
        behind = max(int(pose.x_px) - passed_px - MARGIN_PX, 0)
        wall = Section(wall=wall.wall[:, behind:], coverage=wall.coverage[:, behind:])
        passed_px += behind
        here = CameraPose(x_px=pose.x_px - passed_px, y_px=pose.y_px, roll_rad=pose.roll_rad)
        view, coverage = look(wall.wall, here, size_hw), look(wall.coverage, here, size_hw)
        smear_px = SHUTTER * speed_px
        frame = expose(view, light, gain=gain, smear_px=smear_px, rng=noise_rng)
        yield frame, truth_mask(coverage)


def _sections(rng: np.random.Generator, size_hw: tuple[int, int]) -> Iterator[Section]:
    """Yield the sections of one pipe; about every third is sound."""
    h, w = size_hw
    waterline = rng.uniform(0.62, 0.85)
    while True:
        length_px = int(rng.uniform(1.0, 1.3) * w)
        cracks = int(rng.choice([0, 1, 2, 3], p=[0.3, 0.2, 0.35, 0.15]))
        size = (h + 2 * MARGIN_PX, length_px)
        yield make_section(rng, size, cracks=cracks, waterline=waterline)


def _join(left: Section, right: Section) -> Section:
    return Section(
        wall=np.hstack([left.wall, right.wall]), coverage=np.hstack([left.coverage, right.coverage])
    )


def _ride(
    rng: np.random.Generator, frames: int, width_px: int
) -> Iterator[tuple[CameraPose, float, float]]:
    """Yield the pose, the speed in pixels per frame and the exposure of every frame."""
    sway, lean = rng.uniform(0, 2 * np.pi, 2)
    x_px = float(MARGIN_PX)
    for i in range(frames):
        speed_px = SPEED * width_px * (1 + 0.12 * np.sin(i / 9 + lean) + rng.normal(0, 0.02))
        y_px = MARGIN_PX + 5 * np.sin(i / 7 + sway) + rng.normal(0, 0.25)
        roll_rad = 0.006 * np.sin(i / 11 + lean)
        yield (
            CameraPose(x_px=x_px, y_px=y_px, roll_rad=roll_rad),
            speed_px,
            1.15 + rng.normal(0, 0.012),
        )
        x_px += speed_px


def write_truth(path: Path, masks: list[Mask]) -> None:
    """Write the masks of a clip, n of (h, w) bool, eight pixels to a byte."""
    truth = np.stack(masks)
    with new_file(path) as f:
        np.savez_compressed(f, masks=np.packbits(truth), shape=np.array(truth.shape))


def read_truth(path: Path) -> Mask:
    """Return the masks of a clip, (n, h, w) bool, one per frame.

    Raises:
        InputError: the file is missing or is not one that `write_truth` wrote.
    """
    try:
        arrays = read_arrays(path, most_bytes=MAX_TRUTH_BYTES)
        bits, shape = arrays["masks"], tuple(int(n) for n in arrays["shape"])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except NOT_A_TRUTH as e:
        raise InputError(f"{path}: expected the truth of a clip (masks, shape), found {e}") from e
    count = math.prod(shape)
    if (
        len(shape) != 3
        or min(shape) < 1
        or bits.dtype != np.uint8
        or bits.shape != (-(-count // 8),)
    ):
        raise InputError(
            f"{path}: expected packed masks of shape (n, h, w), found {bits.dtype} {bits.shape} "
            f"for {shape}; write it anew"
        )
    return np.unpackbits(bits, count=count).reshape(shape).astype(bool)


def render_stills(
    count: int, size_hw: tuple[int, int], *, seed: int
) -> Iterator[tuple[Frame, Mask]]:
    """Yield `count` walls with one to three cracks each, every third of them underexposed.

    A frame is (h, w, 3) uint8 BGR, its mask (h, w) bool. The seed fixes every byte.
    """
    h, w = size_hw
    light = ring_light(size_hw)
    for i, rng in enumerate(np.random.default_rng(seed).spawn(count)):
        size = (h + 2 * MARGIN_PX, w + 2 * MARGIN_PX + 2 * JOINT_PX)
        waterline = rng.uniform(0.62, 0.85)
        section = make_section(rng, size, cracks=CRACKS[i % len(CRACKS)], waterline=waterline)
        pose = CameraPose(
            x_px=MARGIN_PX + rng.uniform(1, 2) * JOINT_PX,
            y_px=float(MARGIN_PX),
            roll_rad=rng.normal(0, 0.006),
        )
        view, coverage = look(section.wall, pose, size_hw), look(section.coverage, pose, size_hw)
        gain = GAIN if i % 3 else DIM_GAIN
        frame = expose(view, light, gain=gain, smear_px=rng.uniform(0, 2), rng=rng)
        yield frame, truth_mask(coverage)


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
