"""Pictures of walls as the wall of a pipe that a camera looks along, with what is no crack there.

A photograph or a tone is laid on the pipe's wall, so the cracks that it has run along the pipe as
real ones do. Painted over it is what nets take for cracks in a sewer: joints, dark and ragged, of
which often only an arc is seen; pipes that end in the wall; ribs; what lies on the bottom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.simulation.joint_gaps import WallView, paint_gap, wavy
from scnet_edge.simulation.marks import paint_corrosion
from scnet_edge.simulation.pipe import Image
from scnet_edge.simulation.roots import paint_roots
from scnet_edge.types import Frame, Map, Mask

FARTHEST = 2.2  # pixels of the picture in one of the view: beyond it no crack is to be seen
HIDDEN = 0.2  # of the light; in darker places nobody would see a crack
_TURN = np.linspace(-math.pi, math.pi, 160, endpoint=False, dtype=np.float32)
PLAIN_RIB = 0.15  # of the light; in ribs that are deeper no crack is told apart
_COARSE = 3  # levels of the picture, each half as large as the one before


@dataclass(frozen=True, slots=True)
class _Section:
    """Where each pixel is: the angle around the pipe, and the distance from the middle in px."""

    angle: Map
    r: Map
    reference_px: float  # the distance at which the picture has about its own scale


def draw_pipe_view(
    picture: Frame, mask: Mask, rng: np.random.Generator, *, size_hw: tuple[int, int] = (384, 544)
) -> WallView:
    """Return a view along a pipe whose wall is a picture.

    Args:
        picture: (h, w, 3) uint8, BGR, of a wall.
        mask: (h, w) bool, True on its cracks.
        rng: Draws the pipe.
        size_hw: Of the view.
    """
    at = _place_camera(size_hw, rng)
    flat, cracked = picture.astype(np.float32), mask.astype(np.float32)
    if rng.random() < 0.35:
        flat, cracked = paint_corrosion(flat, cracked, rng)
    wall, crack, covered = _lay_on_wall(flat, cracked, at, rng)
    for paint in (_paint_ribs, _paint_joints, _paint_bottom):
        wall, crack = paint(wall, crack, at, rng)
    if rng.random() < 0.2:
        wall, crack = paint_roots(wall, crack, rng)
    light = _light_wall(at, rng)
    seen = wall * light[..., None] * rng.uniform(0.85, 1.1, 3).astype(np.float32)
    for _ in range(int(rng.choice([0, 0, 1, 2]))):
        seen, crack = _paint_lateral(seen, crack, at, light, rng)
    soft = cv2.GaussianBlur(seen, (0, 0), float(rng.uniform(0.3, 1.2)))
    noisy = soft + rng.normal(0, rng.uniform(0.5, 4), soft.shape)
    clear = (covered < FARTHEST) & (light > HIDDEN)
    frame = np.clip(noisy, 0, 255).astype(np.uint8)
    return WallView(frame=frame, mask=(crack > 0.5) & clear, ignored=(crack > 0.15) & ~clear)


def _place_camera(size_hw: tuple[int, int], rng: np.random.Generator) -> _Section:
    """Look along the pipe, at times turned to its wall; the pipe is round, oval or an egg."""
    h, w = size_hw
    turned = rng.random() < 0.3
    reach = rng.uniform(0.5, 1.2) if turned else rng.uniform(0, 0.3)
    way = rng.uniform(0, 2 * math.pi)
    x0, y0 = w / 2 * (1 + reach * math.cos(way)), h / 2 * (1 + reach * math.sin(way))
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    dx, dy = x - np.float32(x0), y - np.float32(y0)
    wide, lower = rng.uniform(0.7, 1.15), rng.uniform(0.75, 1.0)
    dx = dx / np.float32(wide)
    if rng.random() < 0.4:  # an egg: narrower below
        dx = dx / (1 - np.float32(1 - lower) * np.clip(dy / np.float32(h / 3), 0, 1))
    reference = float(rng.uniform(0.55, 0.9) * max(h, w) / 2 * (1 + 0.5 * turned))
    return _Section(np.arctan2(dx, -dy), np.maximum(np.hypot(dx, dy), 1.0), reference)


def _lay_on_wall(
    picture: Image, cracked: Map, at: _Section, rng: np.random.Generator
) -> tuple[Image, Map, Map]:
    """Return the wall, how much crack covers each pixel, and how many pixels of it one covers."""
    if rng.random() < 0.5:
        picture, cracked = picture.transpose(1, 0, 2), cracked.T
    h, w = cracked.shape
    scale = rng.uniform(0.6, 1.6)
    around_px = 2 * math.pi * at.reference_px * scale
    rounds = max(1, round(around_px / (2 * h)))  # mirrored, so that it closes
    v = _mirror(at.angle / np.float32(math.pi) * rounds * h + rng.uniform(0, h), h)
    along = scale * at.reference_px**2 / at.r
    u = _mirror(along + rng.uniform(0, 2 * w), w)
    covered = np.maximum(scale * (at.reference_px / at.r) ** 2, 1e-3)
    stack = np.dstack([picture, cracked])
    level = np.clip(np.log2(np.maximum(covered, 1)), 0, _COARSE - 1)
    looks = [
        cv2.remap(
            cv2.resize(stack, None, fx=0.5**n, fy=0.5**n, interpolation=cv2.INTER_AREA),
            u * np.float32(0.5**n),
            v * np.float32(0.5**n),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        for n in range(_COARSE)
    ]
    seen = looks[-1]
    for n in reversed(range(_COARSE - 1)):
        share = np.clip(level - n, 0, 1)[..., None]
        seen = looks[n] + share * (seen - looks[n])
    out = np.asarray(seen, np.float32)
    return out[..., :3], out[..., 3], covered.astype(np.float32)


def _mirror(place: npt.NDArray[np.floating], length: int) -> Map:
    return np.asarray(np.abs((place + length) % (2 * length) - length), np.float32)


def _paint_joints(
    wall: Image, crack: Map, at: _Section, rng: np.random.Generator
) -> tuple[Image, Map]:
    """Paint the gaps between pipes; at times what lies behind the farthest is of another tone."""
    nearest, spacing = rng.uniform(0.5, 1.1), rng.uniform(0.25, 1.5)
    for number in range(int(rng.integers(0, 5))):
        near = 1 / (1 / nearest + number * spacing)  # of the reference: rings crowd far away
        from_ring = at.r - np.float32(at.reference_px * near)
        if rng.random() < 0.12:  # a lid, a manhole, a bend
            tone = (rng.uniform(20, 240) * rng.uniform(0.8, 1.2, 3)).astype(np.float32)
            beyond = np.clip(0.5 - from_ring / 2, 0, 1)
            wall = wall + (rng.uniform(0.5, 1) * beyond)[..., None] * (tone - wall)
            crack = np.where(beyond > 0, 0, crack)
        wall, crack = paint_gap(wall, crack, from_ring, at.angle, rng, size=max(near, 0.15))
    return wall, crack


def _paint_ribs(
    wall: Image, crack: Map, at: _Section, rng: np.random.Generator
) -> tuple[Image, Map]:
    """Paint the ribs of a wound or corrugated pipe, or the rings that a spun pipe has."""
    if rng.random() > 0.22:
        return wall, crack
    depth = float(rng.uniform(0.02, 0.5)) * float(rng.uniform(0.3, 1))
    turns = at.reference_px / at.r * rng.uniform(8, 40) + at.angle / (2 * math.pi)
    sharp = rng.uniform(1, 6)
    wave = np.tanh(sharp * np.sin(2 * math.pi * turns)) / np.tanh(sharp)
    fade = np.clip(at.r / at.reference_px * 2 - 0.4, 0, 1)
    ribbed = wall * (1 + depth * fade * wave)[..., None]
    return ribbed, crack if depth < PLAIN_RIB else np.zeros_like(crack)


def _paint_bottom(
    wall: Image, crack: Map, at: _Section, rng: np.random.Generator
) -> tuple[Image, Map]:
    """Paint water or silt in the invert, with a shore that may be darker than both."""
    if rng.random() < 0.45:
        return wall, crack
    half = rng.uniform(0.1, 0.9)
    along = at.reference_px / at.r
    shore = half + 0.04 * np.sin(along * rng.uniform(2, 12) + rng.uniform(0, 6))
    ragged = rng.normal(size=(48, 68)).astype(np.float32)
    shore = shore + 0.03 * cv2.resize(ragged, at.r.shape[::-1], interpolation=cv2.INTER_CUBIC)
    from_shore = (shore - (math.pi - np.abs(at.angle))) * at.r  # px, positive inside
    inside = np.clip(from_shore / rng.uniform(1, 8) + 0.5, 0, 1)[..., None]
    colour = rng.uniform(0.15, 1.2) * rng.uniform(0.8, 1.2, 3)
    flat = wall.mean(axis=(0, 1)) * colour
    under = wall * rng.uniform(0, 0.5) + flat * rng.uniform(0.5, 1)
    wall = wall + inside * (under - wall)
    if rng.random() < 0.5:
        line = np.exp(-((from_shore / rng.uniform(1, 4)) ** 2)) * rng.uniform(0.2, 0.8)
        wall = wall * (1 - line)[..., None]
    return wall.astype(np.float32), np.where(from_shore > -3, 0, crack)


def _light_wall(at: _Section, rng: np.random.Generator) -> Map:
    """Return the light of a lamp beside the lens: less far away, none in the mouth."""
    share = at.r / at.reference_px
    light = np.clip(share, 0.02, 1.6) ** rng.uniform(0.2, 1.4)
    mouth = rng.uniform(0.02, 0.25)
    dark = np.clip((share - mouth) / rng.uniform(0.02, 0.2), 0, 1)
    light = light * (rng.uniform(0, 0.2) + dark)
    h, w = at.r.shape
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    side = 1 + rng.normal(0, 0.15) * x + rng.normal(0, 0.15) * y
    return np.asarray(np.clip(light * side * rng.uniform(0.6, 1.3), 0, 1.5), np.float32)


def _paint_lateral(
    seen: Image, crack: Map, at: _Section, light: Map, rng: np.random.Generator
) -> tuple[Image, Map]:
    """Paint a pipe that ends in the wall or sticks out of it, with a broken gap around it."""
    h, w = crack.shape
    middle = np.array([rng.uniform(0.1, 0.9) * w, rng.uniform(0.1, 0.9) * h])
    size = float(rng.uniform(0.06, 0.22) * h)
    axes = (size, size * float(rng.uniform(0.5, 1.0)))
    turn, way = float(rng.uniform(0, math.pi)), float(rng.uniform(0, 2 * math.pi))
    out_of = rng.uniform(0, 1.3) * size * np.array([math.cos(way), math.sin(way)])
    base = middle + _oval(axes, turn)
    end = middle + out_of + rng.uniform(0.85, 1.05) * _oval(axes, turn)
    broken = 1 + rng.uniform(0, 0.25) * wavy(_TURN, rng, finest=24)[:, None]
    around = middle + rng.normal(0, 2, 2) + rng.uniform(1.0, 1.35) * broken * _oval(axes, turn)
    gap, body = (
        _fill(around, (h, w)),
        _fill(np.asarray(cv2.convexHull(np.concatenate([base, end]).astype(np.float32))), (h, w)),
    )
    hole = _fill(middle + out_of + rng.uniform(0.7, 0.95) * (end - middle - out_of), (h, w))

    rough: Map = rng.normal(size=(h // 4, w // 4)).astype(np.float32)
    rough = np.asarray(cv2.resize(rough, (w, h), interpolation=cv2.INTER_CUBIC), np.float32)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    across = ((y - middle[1]) * math.cos(way) - (x - middle[0]) * math.sin(way)) / size
    round_ = 1 - rng.uniform(0.2, 0.7) * np.clip(np.abs(across + rng.uniform(-0.6, 0.6)), 0, 1.4)
    lit = float(np.clip(light[int(middle[1]), int(middle[0])], 0.15, 1.2))
    grey = rng.uniform(50, 230) * lit * round_ * (1 + rng.uniform(0, 0.12) * rough)
    surface = grey[..., None] * rng.uniform(0.85, 1.15, 3)
    inside = (
        surface
        * np.clip(rng.uniform(0.02, 0.6) + 0.4 * np.clip(across + 0.3, -0.5, 1), 0, 1)[..., None]
    )

    dark = rng.uniform(0.2, 0.95) * gap * np.clip(0.8 + 0.3 * rough, 0, 1)
    wall = seen * (1 - dark)[..., None]
    wall = wall + body[..., None] * (surface - wall)
    if rng.random() < 0.85:  # else its end is closed
        wall = wall + hole[..., None] * (inside - wall)
    hidden = np.maximum(cv2.dilate(gap, np.ones((5, 5))), body) > 0.05
    return wall.astype(np.float32), np.where(hidden, 0, crack).astype(np.float32)


def _oval(axes: tuple[float, float], turn: float) -> npt.NDArray[np.float64]:
    """Return the outline of an ellipse about 0 as (n, 2) xy."""
    c, s = math.cos(turn), math.sin(turn)
    points = np.stack([axes[0] * np.cos(_TURN), axes[1] * np.sin(_TURN)], axis=1)
    return np.asarray(points @ np.array([[c, s], [-s, c]]))


def _fill(outline: npt.NDArray[np.floating], size_hw: tuple[int, int]) -> Map:
    """Return how much of each pixel lies within an outline."""
    inside = np.zeros(size_hw, np.uint8)
    points = np.round(outline.reshape(-1, 2) * 8).astype(np.int32)
    cv2.fillPoly(inside, [points], (255.0,), cv2.LINE_AA, 3)
    return np.asarray(inside / 255, np.float32)
