"""The cement-mortar wall of a water pipe, unrolled, section by section, with its cracks.

x runs along the pipe and y around it, downwards. Everything but the cracks is there to be mistaken
for one: the joint, pores, drips, scratches and the line where the water stood.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.simulation.cracks import draw_crack, draw_strands, random_crack
from scnet_edge.types import Map

Image = npt.NDArray[np.float32]  # (h, w, 3), BGR, linear light in [0, 1]
JOINT_PX = 26  # width of the joint at the start of a section, bevels included
RUST = np.array([0.10, 0.22, 0.42], np.float32)
LIME = np.array([0.58, 0.62, 0.62], np.float32)
SILT = np.array([0.13, 0.17, 0.19], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One length of pipe: what the wall reflects, (h, w, 3), and where cracks cover it, (h, w)."""

    wall: Image
    coverage: Map


def make_section(
    rng: np.random.Generator, size_hw: tuple[int, int], *, cracks: int, waterline: float
) -> Section:
    """Return a section with a joint at its start and cracks side by side after it.

    Args:
        rng: draws everything.
        size_hw: height and width in pixels.
        cracks: how many; they never touch one another.
        waterline: where the water used to stand, as a share of the height.
    """
    coverage = _crack_coverage(rng, size_hw, cracks)
    pores, scratches, joint = _pores(rng, size_hw), _scratches(rng, size_hw), _joint(rng, size_hw)
    wall = _mortar(rng, size_hw)
    wall = _stain(wall, rng, waterline)
    wall *= (1 - 0.55 * pores)[..., None]
    wall = _mix(wall, LIME, 0.35 * scratches)
    wall *= (1 - 0.6 * joint)[..., None]
    wall = _open_cracks(wall, coverage, rng)
    height = _relief(rng, size_hw) - 1.6 * pores - 0.3 * scratches - 3 * joint - 2.2 * coverage
    return Section(wall=np.clip(wall * _shading(height)[..., None], 0, 1), coverage=coverage)


def fractal(
    rng: np.random.Generator,
    size_hw: tuple[int, int],
    cells_px: tuple[float, ...],
    *,
    stretch_y: float = 1,
) -> Map:
    """Return the sum of smooth noises, one per cell size, each weaker than the one before.

    The map is (h, w) float32 of mean 0 and deviation 1; `stretch_y` makes the cells taller.
    """
    h, w = size_hw
    out = np.zeros(size_hw, np.float32)
    for octave, cell in enumerate(cells_px):
        rows, columns = int(h / cell / stretch_y) + 3, int(w / cell) + 3
        grid = rng.standard_normal((rows, columns), np.float32)
        size_wh = int(columns * cell) + 1, int(rows * cell * stretch_y) + 1
        out += 0.65**octave * cv2.resize(grid, size_wh, interpolation=cv2.INTER_CUBIC)[:h, :w]
    return np.asarray((out - out.mean()) / out.std(), np.float32)


def _crack_coverage(rng: np.random.Generator, size_hw: tuple[int, int], cracks: int) -> Map:
    """Return cracks side by side, each across a slot of its own, around the pipe or along it."""
    h, w = size_hw
    coverage = np.zeros(size_hw, np.float32)
    edges = np.linspace(JOINT_PX + 10, w - 10, cracks + 1)
    for left, right in pairwise(edges):
        inset, end = 0.06 * (right - left) + 4, rng.uniform(0.6, 1.0)
        x = rng.uniform(left + 0.3 * (right - left), right - 0.3 * (right - left), 2)
        y = rng.uniform(0.2, 0.75, 2) * h
        if rng.random() < 0.5 and right - left > 0.4 * h:
            start_xy, end_xy = (left + inset, y[0]), (right - inset, y[1])
        else:
            start_xy, end_xy = (x[0], -8.0), (x[1], end * (h + 12))
        width_px, branches = rng.uniform(2.5, 6.5), int(rng.integers(0, 4))
        strands = random_crack(
            rng, start_xy=start_xy, end_xy=end_xy, width_px=width_px, branches=branches
        )
        np.maximum(coverage, draw_strands(strands, size_hw), out=coverage)
    return coverage


def _mortar(rng: np.random.Generator, size_hw: tuple[int, int]) -> Image:
    """Return bare cement mortar: cloudy, mottled, with sand of both shades in it."""
    clouds = fractal(rng, size_hw, (240, 120, 60, 30))
    mottle = fractal(rng, size_hw, (14, 7, 4))
    sand = fractal(rng, size_hw, (2.4, 1.4))
    grit = np.clip(np.abs(sand) - 1.7, 0, 2) * np.sign(sand)  # the odd grain that stands out
    grey = 0.37 * np.exp(0.13 * clouds + 0.08 * mottle + 0.13 * sand + 0.35 * grit)
    red_minus_blue = 0.03 * fractal(rng, size_hw, (180, 70, 20)) + rng.normal(0, 0.02)
    return np.asarray(
        np.dstack([grey * (0.93 - red_minus_blue), grey, grey * (1.03 + red_minus_blue)]),
        np.float32,
    )


def _stain(wall: Image, rng: np.random.Generator, waterline: float) -> Image:
    """Return the wall with drips, with rust by the joint and silt below the waterline."""
    h, w = size_hw = wall.shape[:2]
    uneven, fine = fractal(rng, size_hw, (90, 40, 16, 6)), fractal(rng, size_hw, (9, 4, 2))
    for colour, strength in ((RUST, 0.5), (LIME, 0.45), (SILT, 0.6)):
        drips = fractal(rng, size_hw, (34, 15, 6), stretch_y=14) + 0.7 * uneven
        wall = _mix(
            wall, colour, strength * np.clip((drips - 1) / 2.2, 0, 1) ** 1.3 * (1 + 0.3 * fine)
        )
    from_joint = np.exp(-np.arange(w, dtype=np.float32) / 30)[None, :]
    wall = _mix(wall, RUST, from_joint * np.clip(0.2 + 0.25 * uneven + 0.08 * fine, 0, 0.6))
    below = np.arange(h, dtype=np.float32)[:, None] - waterline * h + 5 * uneven
    silt = 0.35 / (1 + np.exp(-below / 7)) + 0.3 * np.exp(-((below / 4) ** 2))
    return _mix(wall, SILT, silt * np.clip(0.7 + 0.3 * uneven, 0, 1))


def _mix(wall: Image, colour: npt.NDArray[np.float32], share: npt.NDArray[np.floating]) -> Image:
    return np.asarray(wall + share[..., None] * (colour - wall), np.float32)


def _pores(rng: np.random.Generator, size_hw: tuple[int, int]) -> Map:
    """Return the air bubbles of the mortar: many small, few large."""
    h, w = size_hw
    pores = np.zeros(size_hw, np.float32)
    for _ in range(h * w // 2600):
        x, y = rng.uniform(0, w), rng.uniform(0, h)
        width = min(1.2 + rng.exponential(1.0), 7)
        ends = np.array([[x, y], [x + rng.normal(0, 0.8), y + rng.normal(0, 0.8)]])
        np.maximum(pores, draw_crack(ends, width, size_hw), out=pores)
    return pores


def _scratches(rng: np.random.Generator, size_hw: tuple[int, int]) -> Map:
    """Return what skids have scraped: thin, pale, almost straight lines along the pipe."""
    h, w = size_hw
    scratches = np.zeros(size_hw, np.float32)
    for _ in range(int(rng.integers(3, 8))):
        x, y, length = rng.uniform(0, w), rng.uniform(0, h), rng.uniform(0.08, 0.4) * w
        t = np.linspace(0, 1, 9)
        path = np.stack([x + length * t, y + rng.normal(0, 0.05) * length * t + 3 * t**2], 1)
        np.maximum(scratches, draw_crack(path, rng.uniform(0.5, 1.4), size_hw), out=scratches)
    faint = np.clip(0.5 + 0.5 * fractal(rng, size_hw, (24, 8, 3)), 0, 1)
    return np.asarray(scratches * faint, np.float32)


def _joint(rng: np.random.Generator, size_hw: tuple[int, int]) -> Map:
    """Return the groove between two pipes: wide, flat, with worn edges, packed with old mortar."""
    h, w = size_hw
    worn = 1.5 * fractal(rng, (h, 1), (60, 20, 7, 3))
    x = np.arange(w, dtype=np.float32)[None, :] - JOINT_PX / 2
    groove = np.clip(0.5 + (0.36 * JOINT_PX - np.abs(x) + worn) / 3, 0, 1)
    packed = np.clip(0.55 + 0.15 * fractal(rng, size_hw, (60, 25, 6, 2)), 0.15, 1)
    return np.asarray(groove * packed, np.float32)


def _open_cracks(wall: Image, coverage: Map, rng: np.random.Generator) -> Image:
    """Return the wall with its cracks open: dark, here and there choked, leaching at the lips."""
    uneven = fractal(rng, coverage.shape[:2], (60, 24, 8))
    lips = cv2.GaussianBlur(coverage, (0, 0), 5) * np.clip(0.5 + 0.7 * uneven, 0, 1.2)
    wall = _mix(wall, LIME if rng.random() < 0.5 else SILT, 0.8 * np.clip(lips, 0, 0.6))
    choked = np.clip(fractal(rng, coverage.shape[:2], (50, 20, 7, 3)) - 0.6, 0, 1.5)
    return np.asarray(wall * (1 - coverage * (0.94 - 0.4 * choked))[..., None], np.float32)


def _relief(rng: np.random.Generator, size_hw: tuple[int, int]) -> Map:
    """Return the height of sound mortar: the waves and ridges of the trowel, the grain of sand."""
    waves = 3.5 * fractal(rng, size_hw, (70, 30))
    ridges = 0.25 * fractal(rng, size_hw, (9, 5), stretch_y=9)
    grain = 0.22 * fractal(rng, size_hw, (5, 2.5, 1.5))
    return np.asarray(waves + ridges + grain, np.float32)


def _shading(height: Map) -> Map:
    """Return how bright a slope is, about 1, under lamps above and to the left of the lens."""
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    return np.asarray(np.clip(1 - 0.3 * slope_x - 0.45 * slope_y, 0.5, 1.6), np.float32)
