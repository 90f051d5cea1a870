"""Marks on a wall that are no crack: ragged stains, flakes of plaster, scuffs, corrosion."""

from __future__ import annotations

import math

import cv2
import numpy as np

from scnet_edge.simulation.pipe import Image, fractal
from scnet_edge.types import Map


def paint_stain(wall: Image, crack: Map, rng: np.random.Generator) -> tuple[Image, Map]:
    """Return a wall with a dark, ragged stain that comes in from a border, as at a wall's foot.

    Cracks under it stay: a stain is transparent.

    Args:
        wall: (H, W, 3) float32, BGR in [0, 255].
        crack: (H, W) float32 in [0, 1], how much of each pixel is crack.
        rng: Draws the border, how far the stain comes in, and how dark it is.
    """
    h, w = crack.shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    turn = rng.integers(0, 4) * math.pi / 2 + rng.normal(0, 0.2)
    way = (x - w / 2) * np.float32(math.cos(turn)) + (y - h / 2) * np.float32(math.sin(turn))
    depth = float(rng.uniform(0.02, 0.35)) * h
    from_border = (way.max() - way) / np.float32(depth)
    noise = fractal(rng, (h, w), (depth * 3, depth, 12, 5), stretch_y=float(rng.uniform(0.5, 2)))
    inside = (1 - from_border + rng.uniform(0.15, 0.6) * noise) * rng.uniform(2, 12)
    cover = np.clip(inside, 0, 1) * rng.uniform(0.3, 0.95)
    colour = rng.uniform(0.05, 0.6) * rng.uniform(0.8, 1.2, 3).astype(np.float32)
    return np.asarray(wall * (1 + cover[..., None] * (colour - 1)), np.float32), crack


def paint_flakes(wall: Image, crack: Map, rng: np.random.Generator) -> tuple[Image, Map]:
    """Return a wall from which plaster or paint has come off in patches, with their thin shadows.

    Args and returned values are as of `paint_stain`; what has come off took its cracks with it.
    """
    h, w = crack.shape
    cell = float(rng.uniform(25, 160))
    noise = fractal(rng, (h, w), (cell, cell / 3, cell / 9, 4))
    patches = np.clip((noise - rng.uniform(0.5, 1.6)) * rng.uniform(4, 25) + 0.5, 0, 1)
    tone = rng.uniform(0.55, 1.6) * rng.uniform(0.92, 1.08, 3).astype(np.float32)
    smooth = rng.uniform(0, 0.8)  # another layer has less texture
    below = (wall + smooth * (cv2.GaussianBlur(wall, (0, 0), 6) - wall)) * tone
    wall = wall + patches[..., None] * (below - wall)
    step = rng.uniform(1, 4)
    turn = rng.uniform(0, 2 * math.pi)
    shift = np.array([[1, 0, step * math.cos(turn)], [0, 1, step * math.sin(turn)]])
    moved = cv2.warpAffine(patches, shift, (w, h), borderMode=cv2.BORDER_REPLICATE)
    rim = moved - patches  # the light comes from one side: one edge is dark, the other bright
    shade = (
        1 - rng.uniform(0.1, 0.8) * np.maximum(rim, 0) + rng.uniform(0, 0.4) * -np.minimum(rim, 0)
    )
    hidden = np.where(patches > 0.3, 0, crack)
    return np.asarray(wall * shade[..., None], np.float32), np.asarray(hidden, np.float32)


def paint_scuffs(wall: Image, crack: Map, rng: np.random.Generator) -> tuple[Image, Map]:
    """Return a wall with short strokes that something has left on it, in groups of one direction.

    Args and returned values are as of `paint_stain`; strokes hide nothing.
    """
    h, w = crack.shape
    drawn = np.zeros((h, w), np.uint8)
    for _ in range(int(rng.integers(1, 5))):
        middle, spread = rng.uniform((0, 0), (w, h)), rng.uniform(5, 60)
        turn, bent = rng.uniform(0, math.pi), rng.normal(0, 0.02)
        for _ in range(int(rng.integers(1, 7))):
            length = rng.uniform(4, 32)
            along = np.linspace(-length / 2, length / 2, 9)
            angle = turn + rng.normal(0, 0.15) + bent * along
            at = middle + rng.normal(0, spread, 2)
            line = at + np.stack([along * np.cos(angle), along * np.sin(angle)], axis=1)
            fixed = np.rint(line * 16).astype(np.int32)
            thick = int(rng.integers(1, 6))
            cv2.polylines(drawn, [fixed], False, int(rng.uniform(80, 255)), thick, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(drawn, (0, 0), float(rng.uniform(0.6, 2.5))) / np.float32(255)
    patchy = np.clip(0.7 + 0.5 * fractal(rng, (h, w), (9, 4)), 0, 1)
    tone = rng.uniform(0.2, 0.8) if rng.random() < 0.75 else rng.uniform(1.2, 1.7)
    cover = soft * patchy * np.float32(tone - 1)
    return np.asarray(wall * (1 + cover[..., None]), np.float32), crack


def paint_corrosion(wall: Image, crack: Map, rng: np.random.Generator) -> tuple[Image, Map]:
    """Return a wall that acid has eaten, as in old sewers: bright grains stand out of dark pits.

    Args and returned values are as of `paint_stain`; the cracks stay, some grains in them too.
    """
    h, w = crack.shape
    cell, stretch = float(rng.uniform(2, 5)), float(rng.uniform(0.5, 2.5))
    dense = float(rng.uniform(0, 0.6)) * fractal(rng, (h, w), (80, 30))
    for low, high in ((1.15, 2.4), (0.2, 0.8)):
        noise = fractal(rng, (h, w), (2 * cell, cell), stretch_y=stretch) + dense
        spots = np.clip((noise - rng.uniform(0.9, 2.2)) * rng.uniform(1.5, 5), 0, 1)
        cover = spots * (1 - rng.uniform(0.6, 1.0) * crack)
        tone = (rng.uniform(low, high) * rng.uniform(0.95, 1.05, 3)).astype(np.float32)
        wall = np.asarray(wall * (1 + cover[..., None] * (tone - 1)), np.float32)
    return wall, crack
