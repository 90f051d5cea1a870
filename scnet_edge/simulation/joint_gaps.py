"""The gap of a joint, on any wall: dark, ragged, stained, at times only a part of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scnet_edge.simulation.pipe import Image
from scnet_edge.types import Frame, Map, Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class WallView:
    """A drawn view of a wall.

    Attributes:
        frame: (H, W, 3) uint8, BGR.
        mask: (H, W) bool, True on cracks.
        ignored: (H, W) bool, True where a crack may still be seen, too far away to tell.
    """

    frame: Frame
    mask: Mask
    ignored: Mask


def paint_gap(
    wall: Image,
    crack: Map,
    off: Map,
    along: Map,
    rng: np.random.Generator,
    *,
    size: float = 1.0,
    darkest: float = 0.97,
) -> tuple[Image, Map]:
    """Return a wall with a joint, and its cracks without what the joint hides.

    Args:
        wall: (H, W, 3) float32, BGR in [0, 255].
        crack: (H, W) float32 in [0, 1], how much of each pixel is crack.
        off: (H, W) float32, how far a pixel lies from the middle of the joint, with a sign, px.
        along: (H, W) float32 in [-pi, pi], where along the joint.
        rng: Draws how it looks.
        size: What its widths are multiplied with.
        darkest: The most of the light that it takes away.
    """
    rough = rng.uniform(0, 2.5) ** 1.5 * size
    off = off - np.float32(rough / 3) * wavy(along, rng, finest=60)
    if rng.random() < 0.5:
        off = off - np.float32(rng.uniform(0, 4) * size) * wavy(along, rng, finest=3)
    lean = np.cos(along - np.float32(rng.uniform(0, 2 * math.pi)))
    width = float(np.exp(rng.uniform(0, 2.5))) * size * (1 + rng.uniform(0, 0.95) * lean)
    width = np.maximum(width * (1 + rng.uniform(0, 0.4) * wavy(along, rng, finest=25)), 0.3)
    whole = rng.uniform(-0.5, 2.0)
    there = np.clip(whole + rng.uniform(0.3, 1.5) * wavy(along, rng, finest=6), 0, 1)
    gap = np.clip(0.5 + (width / 2 - np.abs(off)) / rng.uniform(0.6, 2.5), 0, 1) * there
    if rng.random() < 0.6:  # the light catches an edge of it
        edge = np.exp(-(((off + width / 2 + 1.5) / rng.uniform(0.8, 3)) ** 2))
        wall = wall * _weigh(1 + rng.uniform(0.1, 0.7) * edge * there)
    step = np.clip(off / 2, -0.5, 0.5)  # one side is brighter
    wall = wall * _weigh(1 + rng.normal(0, 0.12) * step)
    if rng.random() < 0.4:  # what has run out of it
        stain = np.exp(-np.abs(off) / (rng.uniform(4, 25) * size)) * there
        colour = rng.uniform(0.3, 1.1, 3).astype(np.float32)
        wall = wall * (1 + _weigh(rng.uniform(0.2, 0.7) * stain) * (colour - 1))
    wall = wall * _weigh(1 - rng.uniform(0.15, 1) * darkest * gap)
    return wall, np.where(gap > 0.3, 0, crack).astype(np.float32)


def _weigh(each: npt.NDArray[np.floating]) -> Image:
    return np.asarray(each[..., None], np.float32)


def wavy(along: Map, rng: np.random.Generator, *, finest: int) -> Map:
    """Return smooth noise of deviation about 1 along a closed line, up to `finest` waves a turn."""
    turn = np.linspace(-math.pi, math.pi, 1024)
    waves = np.arange(1, finest + 1)[:, None]
    sizes, phases = rng.normal(size=waves.shape), rng.uniform(0, 2 * math.pi, waves.shape)
    noise = (sizes / waves**0.6 * np.cos(waves * turn + phases)).sum(axis=0)
    return np.asarray(np.interp(along, turn, noise / max(noise.std(), 1e-6)), np.float32)
