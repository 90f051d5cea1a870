"""Pictures of walls with what is no crack: joints of panels and blocks, strips, holes, marks."""

from __future__ import annotations

import math

import cv2
import numpy as np

from scnet_edge.simulation.joint_gaps import WallView, paint_gap
from scnet_edge.simulation.marks import paint_flakes, paint_scuffs, paint_stain
from scnet_edge.simulation.pipe import Image
from scnet_edge.simulation.roots import paint_roots
from scnet_edge.types import Frame, Map, Mask


def draw_wall_view(
    picture: Frame, mask: Mask, rng: np.random.Generator, *, size_hw: tuple[int, int] = (384, 544)
) -> WallView:
    """Return a wall with straight joints, and the pixels that are crack.

    Args:
        picture: (h, w, 3) uint8, BGR, of a wall.
        mask: (h, w) bool, True on its cracks.
        rng: Draws the joints.
        size_hw: Of the view.
    """
    wall, crack = _fill(picture, mask, size_hw, rng)
    if rng.random() < 0.3:
        wall, crack = paint_flakes(wall, crack, rng)
    if rng.random() < 0.3:
        wall, crack = _add_strips(wall, crack, rng)
    if rng.random() < 0.25:
        wall, crack = _add_holes(wall, crack, rng)
    if rng.random() < 0.1:
        wall, crack = _add_herringbone(wall, crack, rng)
    for _ in range(int(rng.integers(0, 4))):
        wall, crack = _add_joints(wall, crack, rng)
    if rng.random() < 0.3:
        wall, crack = _add_courses(wall, crack, rng)
    if rng.random() < 0.3:
        wall, crack = paint_scuffs(wall, crack, rng)
    if rng.random() < 0.35:
        wall, crack = paint_roots(wall, crack, rng)
    if rng.random() < 0.35:
        wall, crack = paint_stain(wall, crack, rng)
    soft = cv2.GaussianBlur(wall, (0, 0), float(rng.uniform(0.3, 1.0)))
    frame = np.clip(soft, 0, 255).astype(np.uint8)
    return WallView(frame=frame, mask=crack > 0.5, ignored=np.zeros(size_hw, np.bool_))


def _fill(
    picture: Frame, mask: Mask, size_hw: tuple[int, int], rng: np.random.Generator
) -> tuple[Image, Map]:
    """Return the picture at a scale of its own, mirrored until it fills the view."""
    h, w = size_hw
    scale = rng.uniform(0.7, 1.6)
    matrix = np.array([[scale, 0, -rng.uniform(0, w)], [0, scale, -rng.uniform(0, h)]])
    stack = np.dstack([picture, mask.astype(np.uint8) * 255])
    seen = cv2.warpAffine(stack, matrix, (w, h), borderMode=cv2.BORDER_REFLECT)
    wall = np.asarray(seen[..., :3] * rng.uniform(0.7, 1.3), np.float32)
    return wall, np.asarray(seen[..., 3] / 255, np.float32)


def _across(size_hw: tuple[int, int], angle: float) -> tuple[Map, Map]:
    """Return how far each pixel lies from the middle, along a direction and across it, in px."""
    h, w = size_hw
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    dx, dy = x - np.float32(w / 2), y - np.float32(h / 2)
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return dx * c + dy * s, dy * c - dx * s


def _add_joints(wall: Image, crack: Map, rng: np.random.Generator) -> tuple[Image, Map]:
    """Add some parallel joints; of blocks also those across, each course with its own."""
    h, w = crack.shape
    upright = math.pi / 2 * rng.integers(0, 2)
    angle = upright + rng.normal(0, 0.06) if rng.random() < 0.8 else rng.uniform(0, math.pi)
    along, off = _across((h, w), angle)
    turn = along / np.float32(max(h, w)) * np.float32(math.pi)
    spacing = rng.uniform(0.15, 1.0) * h
    first = rng.uniform(-0.5, 0.5) * h
    fine = rng.random() < 0.4  # seams and shadows of boards
    size, darkest = (rng.uniform(0.15, 0.5), 0.5) if fine else (rng.uniform(0.4, 1.6), 0.97)
    alike = int(rng.integers(2**31))
    for number in range(int(rng.integers(1, 5))):
        seed = np.random.default_rng(alike) if rng.random() < 0.5 else rng  # of one kind
        line = off - np.float32(first + number * spacing)
        wall, crack = paint_gap(wall, crack, line, turn, seed, size=size, darkest=darkest)
    if rng.random() < 0.3:
        long = spacing * rng.uniform(1.2, 3)
        course = np.floor((off - np.float32(first)) / np.float32(spacing))
        shifted = along + course * np.float32(long / 2)
        butt = (shifted % np.float32(long)) - np.float32(long / 2)
        wall, crack = paint_gap(wall, crack, butt, turn, np.random.default_rng(alike), size=size)
    return wall, crack


def _add_courses(wall: Image, crack: Map, rng: np.random.Generator) -> tuple[Image, Map]:
    """Add courses of brick or block: mortar of another tone, loose in lines along its edges."""
    h, w = crack.shape
    along, off = _across((h, w), math.pi / 2 * rng.integers(0, 2) + rng.normal(0, 0.05))
    high = rng.uniform(0.15, 0.6) * h
    long = high * rng.uniform(1.3, 4)
    course = np.floor(off / np.float32(high))
    bed = off - (course + np.float32(0.5)) * np.float32(high)
    butt = (along + course * np.float32(rng.uniform(0.3, 0.5) * long)) % np.float32(long)
    from_edge = np.minimum(high / 2 - np.abs(bed), np.minimum(butt, long - butt))
    half = rng.uniform(1.5, 10)
    tone = rng.uniform(0.5, 1.6) * rng.uniform(0.92, 1.08, 3).astype(np.float32)
    mortar = np.clip(half - from_edge + 0.5, 0, 1)
    wall = np.asarray(wall * (1 + mortar[..., None] * (tone - 1)), np.float32)
    crack = np.where(mortar > 0.3, 0, crack).astype(np.float32)
    turn = (along + off) / np.float32(h + w) * np.float32(2 * math.pi)
    edge = (from_edge - np.float32(half)).astype(np.float32)
    return paint_gap(wall, crack, edge, turn, rng, size=rng.uniform(0.2, 0.7))


def _add_herringbone(wall: Image, crack: Map, rng: np.random.Generator) -> tuple[Image, Map]:
    """Add the joints of bricks laid in herringbone: each lies across the end of the one before."""
    h, w = crack.shape
    px, long = rng.uniform(0.12, 0.35) * h, int(rng.integers(2, 5))  # width, and length in widths
    across, down = (each / np.float32(px) for each in _across((h, w), rng.uniform(0, math.pi)))
    i, j = np.floor(across), np.floor(down)
    step = (i - j) % (2 * long)
    x, y = across - i, down - j
    flat = step < long
    at = np.where(flat, step + x, 2 * long - 1 - step + y)
    side = np.where(flat, y, x)
    edge = np.minimum(np.minimum(at, long - at), np.minimum(side, 1 - side)) * px
    turn = across / np.float32(max(h, w) / px) * np.float32(math.pi)
    return paint_gap(wall, crack, edge.astype(np.float32), turn, rng, size=rng.uniform(0.4, 1.2))


def _add_strips(wall: Image, crack: Map, rng: np.random.Generator) -> tuple[Image, Map]:
    """Add a strip, post or rail of another tone, at times round, with its shadow."""
    h, w = crack.shape
    angle = math.pi / 2 * rng.integers(0, 2) + rng.normal(0, 0.15)
    _, off = _across((h, w), angle)
    off = off - np.float32(rng.uniform(-0.45, 0.45) * h)
    half = rng.uniform(3, 60)
    inside = np.clip(half - np.abs(off) + 0.5, 0, 1)[..., None]
    tone = rng.uniform(10, 250) * rng.uniform(0.9, 1.1, 3)
    round_ = 1 - rng.uniform(0, 0.6) * np.clip(np.abs(off / half + rng.uniform(-0.5, 0.5)), 0, 1)
    strip = tone * round_[..., None] if rng.random() < 0.7 else wall * rng.uniform(0.4, 1.5)
    wall = np.asarray(wall + inside * (strip - wall), np.float32)
    if rng.random() < 0.6:
        side = off * rng.choice([-1.0, 1.0]) - half
        shadow = np.where(side > 0, np.exp(-np.maximum(side, 0) / rng.uniform(1, 12)), 0)
        wall = wall * np.asarray(1 - rng.uniform(0.2, 0.9) * shadow, np.float32)[..., None]
    return wall, np.where(np.abs(off) < half + 3, 0, crack).astype(np.float32)


def _add_holes(wall: Image, crack: Map, rng: np.random.Generator) -> tuple[Image, Map]:
    """Add holes of a formwork, plugged or open, with what has run out of them."""
    h, w = crack.shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    size = rng.uniform(2, 14)
    for _ in range(int(rng.integers(1, 9))):
        dx, dy = x - np.float32(rng.uniform(0, w)), y - np.float32(rng.uniform(0, h))
        r = np.hypot(dx, dy * np.float32(rng.uniform(0.8, 1.2)))
        hole = np.clip((size - r) / 1.5 + 0.5, 0, 1)
        if rng.random() < 0.4:  # a plug: only its edge is dark
            hole = hole - 0.8 * np.clip((size * 0.75 - r) / 1.5 + 0.5, 0, 1)
        run = np.exp(-((dx / np.float32(size * 0.6)) ** 2)) * (dy > 0) * np.exp(-dy / (6 * size))
        dark = rng.uniform(0.2, 0.95) * hole + rng.uniform(0, 0.3) * run
        wall = wall * (1 - np.clip(dark, 0, 0.97))[..., None]
        crack = np.where(r < size + 2, 0, crack).astype(np.float32)
    return wall.astype(np.float32), crack
