"""What the wall of a pipe looks like, unrolled: concrete, brick or steel, its joints and its dirt.

x runs along the pipe and y around it, clockwise from the crown; the last row goes on in the first.
Everything here is there to be mistaken for a crack: joints, stains, roots, drips, scratches.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.simulation.pipe import LIME, RUST, SILT, Image, fractal
from scnet_edge.simulation.roots import draw_roots
from scnet_edge.types import Map

Material = Literal["concrete", "brick", "steel"]
MATERIALS: tuple[Material, ...] = ("concrete", "brick", "steel")
SECTION_MM = {"concrete": 1000.0, "brick": 960.0, "steel": 1500.0}  # from joint to joint
_BRICK_MM = (240.0, 71.0)
_MORTAR_MM = 9.0
_ROOT = np.array([0.05, 0.09, 0.14], np.float32)
_FADE = 0.12  # of the circumference, over which the end is faded into the beginning


def make_wall(
    rng: np.random.Generator,
    material: Material,
    *,
    around_mm: float,
    band_mm: tuple[float, float],
    mm_per_px: float,
    waterline: float,
) -> Image:
    """Return one section of wall, (h, w, 3) linear light in [0, 1], a joint at its start.

    Args:
        rng: draws everything.
        material: of the wall.
        around_mm: circumference.
        band_mm: from where to where around the pipe.
        mm_per_px: of the picture; coarser than 2 mm shows little.
        waterline: how far below the crown the water used to stand, as a share of the diameter.
    """
    height = round((band_mm[1] - band_mm[0]) / mm_per_px)
    width = round(SECTION_MM[material] / mm_per_px)
    overlap = int(_FADE * height)
    size_hw = (height + overlap, width)
    px = 1 / mm_per_px
    if material == "concrete":
        wall, relief = _concrete(rng, size_hw, px)
    elif material == "brick":
        wall, relief = _brick(rng, size_hw, px, height)
    else:
        wall, relief = _steel(rng, size_hw, px)
    wall, relief = _close(wall, overlap), _close(relief, overlap)
    turn = np.linspace(*band_mm, height, endpoint=False, dtype=np.float32) / around_mm
    depth = (1 - np.cos(2 * np.pi * turn[:, None])) / 2  # 0 at the crown, 1 at the invert
    wall = _dirty(wall, rng, px, depth, waterline)
    wall, relief = _joint(wall, relief, rng, px, deep=0.35 if material == "brick" else 1.0)
    wall = _roots(wall, rng, px)
    return np.asarray(np.clip(wall * _lit(relief)[..., None], 0, 1), np.float32)


def _concrete(rng: np.random.Generator, size_hw: tuple[int, int], px: float) -> tuple[Image, Map]:
    clouds = fractal(rng, size_hw, _cells(px, 70, 35, 15))
    mottle = fractal(rng, size_hw, _cells(px, 5, 2.5, 1.3))
    sand = fractal(rng, size_hw, _cells(px, 0.9, 0.5))
    grit = np.clip(np.abs(sand) - 1.8, 0, 2) * np.sign(sand)
    grey = 0.36 * np.exp(0.12 * clouds + 0.08 * mottle + 0.09 * sand + 0.25 * grit)
    pores = np.clip(fractal(rng, size_hw, _cells(px, 1.6, 0.9)) - 2.5, 0, 1)
    wall = np.dstack([0.93 * grey, grey, 1.03 * grey]) * (1 - 0.7 * pores)[..., None]
    relief = 1.5 * fractal(rng, size_hw, _cells(px, 25, 9)) + 0.25 * mottle - 3 * pores
    return np.asarray(wall, np.float32), np.asarray(relief, np.float32)


def _brick(
    rng: np.random.Generator, size_hw: tuple[int, int], px: float, height: int
) -> tuple[Image, Map]:
    """Return stretchers along the pipe, each of its own shade, in whole courses around it."""
    courses = max(round(height / (_BRICK_MM[1] * px)), 3)
    y = np.arange(size_hw[0])[:, None] / (height / courses)
    course = np.floor(y).astype(int) % courses
    x = np.arange(size_hw[1])[None, :] / (_BRICK_MM[0] * px) + 0.5 * (course % 2)
    wobble = 0.015 * fractal(rng, size_hw, _cells(px, 30, 8))
    to_bed = np.minimum((y + wobble) % 1, 1 - (y + wobble) % 1) * _BRICK_MM[1]
    to_head = np.minimum((x + wobble / 4) % 1, 1 - (x + wobble / 4) % 1) * _BRICK_MM[0]
    rough = fractal(rng, size_hw, _cells(px, 4, 2, 1))
    face = np.clip((np.minimum(to_bed, to_head) - _MORTAR_MM / 2 + 0.8 * rough) / 1.5, 0, 1)
    shades = rng.normal(0, 0.16, (courses, int(x.max()) + 2))
    shade = np.exp(shades[course, np.floor(x).astype(int)] + 0.13 * rough)
    clay = np.array([0.10, 0.14, 0.27], np.float32) * shade[..., None]
    mortar = np.array([0.27, 0.30, 0.32], np.float32) * np.exp(0.14 * rough)[..., None]
    wall = mortar + face[..., None] * (clay - mortar)
    relief = 2.2 * cv2.GaussianBlur(face.astype(np.float32), (0, 0), max(0.6 * px, 0.5))
    return np.asarray(wall, np.float32), np.asarray(relief + 0.2 * rough, np.float32)


def _steel(rng: np.random.Generator, size_hw: tuple[int, int], px: float) -> tuple[Image, Map]:
    brushed = fractal(rng, size_hw, _cells(px, 30, 8, 2.5))
    scale = fractal(rng, size_hw, _cells(px, 40, 18, 6, 2))
    fine = fractal(rng, size_hw, _cells(px, 1.5, 0.7))
    grey = 0.30 * np.exp(0.10 * brushed + 0.06 * fine)
    wall = np.asarray(np.dstack([1.06 * grey, grey, 0.97 * grey]), np.float32)
    rust = np.clip(0.35 * (scale + 0.3 * fine) - 0.15, 0, 0.85)
    wall = _mix(wall, RUST, rust)
    pits = np.clip(fractal(rng, size_hw, _cells(px, 3, 1.5)) - 2.0, 0, 1)
    wall = wall * (1 - 0.6 * pits)[..., None]
    relief = 0.8 * fractal(rng, size_hw, _cells(px, 60, 20)) + 0.5 * rust + 0.15 * fine - 2 * pits
    return np.asarray(wall, np.float32), np.asarray(relief, np.float32)


def _dirty(wall: Image, rng: np.random.Generator, px: float, depth: Map, waterline: float) -> Image:
    """Return the wall with drips that run down both sides, and silt below the water's level."""
    size_hw = wall.shape[:2]
    uneven, fine = _ring(rng, size_hw, _cells(px, 45, 18, 6)), _ring(rng, size_hw, _cells(px, 3, 1))
    for colour, strength in ((RUST, 0.5), (LIME, 0.45), (SILT, 0.5)):
        drips = _ring(rng, size_hw, _cells(px, 12, 5), stretch_y=9) + 0.8 * uneven
        share = np.clip((drips - 1.3) / 2.2, 0, 1) ** 1.3 * np.clip(4 * depth, 0, 1)
        wall = _mix(wall, colour, strength * share * (1 + 0.3 * fine))
    below = (depth - waterline) * 12 + 0.35 * uneven
    silt = 0.5 / (1 + np.exp(-2.5 * below)) + 0.25 * np.exp(-((1.2 * below) ** 2))
    return _mix(wall, SILT, np.asarray(np.clip(silt * (1 + 0.2 * fine), 0, 0.9)))


def _joint(
    wall: Image, relief: Map, rng: np.random.Generator, px: float, *, deep: float
) -> tuple[Image, Map]:
    """Return the wall with a groove at its start, worn at its lips and stained beside."""
    h, w = relief.shape
    worn = 1.2 * _ring(rng, (h, 8), _cells(px, 25, 8, 3))[:, :1]
    x_mm = np.arange(w, dtype=np.float32)[None, :] / px
    groove = np.clip(0.5 + (5.0 + worn - np.abs(x_mm - 9)) / 1.2, 0, 1)
    packed = np.clip(0.6 + 0.15 * _ring(rng, (h, w), _cells(px, 20, 6, 2)), 0.2, 1)
    stain = np.exp(-x_mm / 25) * np.clip(0.25 + 0.3 * _ring(rng, (h, w), _cells(px, 30, 9)), 0, 0.6)
    wall = _mix(wall, RUST, np.asarray(deep * stain))
    wall = wall * (1 - 0.62 * deep * groove * packed)[..., None]
    return np.asarray(wall, np.float32), np.asarray(relief - 3 * deep * groove, np.float32)


def _roots(wall: Image, rng: np.random.Generator, px: float) -> Image:
    """Return the wall with, at two joints of three, fine roots that hang out of the joint."""
    if rng.random() < 0.33:
        return wall
    h, w = wall.shape[:2]
    at_xy = (9 * px, rng.uniform(0.15, 0.85) * h)
    roots = draw_roots(rng, (h, w), at_xy=at_xy, way=0.0, px=px)
    return _mix(wall, _ROOT, 0.8 * roots)


def _cells(px: float, *sizes_mm: float) -> tuple[float, ...]:
    """Return the sizes of noise cells in pixels, without those too small to be seen."""
    return tuple(size * px for size in sizes_mm if size * px >= 1.4) or (1.4,)


def _ring(
    rng: np.random.Generator,
    size_hw: tuple[int, int],
    cells_px: tuple[float, ...],
    *,
    stretch_y: float = 1,
) -> Map:
    """Return noise whose last row goes on in the first."""
    overlap = int(_FADE * size_hw[0])
    longer = (size_hw[0] + overlap, size_hw[1])
    return _close(fractal(rng, longer, cells_px, stretch_y=stretch_y), overlap)


def _close(image: npt.NDArray[np.float32], overlap: int) -> npt.NDArray[np.float32]:
    """Return the image without its last rows, which are faded into the first."""
    share = np.linspace(0, 1, overlap, dtype=np.float32)
    share = share.reshape(-1, *[1] * (image.ndim - 1))
    closed = image[:-overlap].copy()
    closed[:overlap] = share * image[:overlap] + (1 - share) * image[-overlap:]
    return closed


def _mix(wall: Image, colour: npt.NDArray[np.float32], share: npt.NDArray[np.floating]) -> Image:
    return np.asarray(wall + share[..., None].astype(np.float32) * (colour - wall), np.float32)


def _lit(relief: Map) -> Map:
    """Return how bright a slope is, about 1, under lamps before it and above."""
    slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    return np.asarray(np.clip(1 - 0.35 * slope_x - 0.3 * slope_y, 0.5, 1.5), np.float32)
