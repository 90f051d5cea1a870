"""Cracks of a pipe's wall in millimetres, by kind, each with a width profile: the truth.

Places are (n, 2): mm along the pipe, and mm around it, clockwise from the crown as seen in the
direction of travel; around may run below 0 or past the circumference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.float64]
Kind = Literal["longitudinal", "circumferential", "spiral", "multiple"]
KINDS: tuple[Kind, ...] = ("longitudinal", "circumferential", "spiral", "multiple")

_STEP_MM = 1.5  # between the vertices of a crack
_BENDS = ((0.25, 0.035), (0.08, 0.014), (0.02, 0.004))  # length and size of bends, as shares
_LARGEST_BEND_MM = 14.0
_HEADING_DEG = {"longitudinal": 8, "circumferential": 82, "spiral": 45, "multiple": 15}
_SLOT_ENDS_MM = 45.0  # of a crack's slot left sound, so that no two cracks are near


@dataclass(frozen=True, slots=True, kw_only=True)
class WallStrand:
    """One unbranched stretch: places_mm (n, 2) and width_mm (n,), n >= 2."""

    places_mm: Places
    width_mm: Places

    def length_mm(self) -> float:
        """Return the length of the centre line."""
        return float(np.hypot(*np.diff(self.places_mm, axis=0).T).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """A crack, its trunk first."""

    number: int
    kind: Kind
    strands: list[WallStrand]

    def length_mm(self) -> float:
        """Return the length of all its strands."""
        return sum(strand.length_mm() for strand in self.strands)

    def places_mm(self) -> Places:
        """Return the places of all its strands."""
        return np.concatenate([strand.places_mm for strand in self.strands])

    def width_mm(self) -> Places:
        """Return the widths at those places."""
        return np.concatenate([strand.width_mm for strand in self.strands])


def scatter_defects(
    rng: np.random.Generator,
    *,
    count: int,
    from_mm: float,
    to_mm: float,
    band_mm: tuple[float, float],
    lanes: int,
    width_mm: tuple[float, float],
) -> list[Defect]:
    """Return cracks of all kinds, each in a slot of its own, in the order of their chainage.

    Args:
        rng: draws everything.
        count: how many.
        from_mm, to_mm: the chainage they lie in.
        band_mm: the part of the circumference they lie in, from and to.
        lanes: how many slots lie side by side around the pipe.
        width_mm: the least and the most that a crack's typical width may be.
    """
    rows = max(1, -(-count // lanes))
    slots = [(row, lane) for row in range(rows) for lane in range(lanes)]
    chosen = sorted(rng.permutation(len(slots))[:count].tolist())
    kinds = rng.permutation([KINDS[i % len(KINDS)] for i in range(count)])
    length, height = (to_mm - from_mm) / rows, (band_mm[1] - band_mm[0]) / lanes
    found = []
    for number, (at, kind) in enumerate(zip(chosen, kinds.tolist(), strict=True), 1):
        row, lane = slots[at]
        corner = np.array([from_mm + row * length, band_mm[0] + lane * height])
        size = np.array([length, height])
        found.append(_defect(rng, number, kind, corner, size, rng.uniform(*width_mm)))
    return found


def _defect(
    rng: np.random.Generator, number: int, kind: Kind, corner: Places, size: Places, width_mm: float
) -> Defect:
    room = np.maximum(size - 2 * np.minimum(_SLOT_ENDS_MM, 0.22 * size), 10.0)
    heading = np.radians(_HEADING_DEG[kind] + rng.uniform(-6, 6)) * rng.choice([-1, 1])
    way = np.array([np.cos(heading), np.sin(heading)])
    longest = float(np.min(room / np.maximum(np.abs(way), 1e-6)))
    way *= longest * rng.uniform(0.55, 0.9)
    spare = room - np.abs(way)
    middle = corner + size / 2 + rng.uniform(-0.4, 0.4, 2) * spare
    trunk = _strand(rng, middle - way / 2, middle + way / 2, width_mm, fades_in=True)
    strands = [trunk]
    if kind == "multiple":
        strands += _branches(rng, trunk, way, spare, width_mm)
    return Defect(number=number, kind=kind, strands=strands)


def _branches(
    rng: np.random.Generator, trunk: WallStrand, way: Places, spare: Places, width_mm: float
) -> list[WallStrand]:
    """Return thinner strands that leave the trunk to both sides, at least 20 mm apart."""
    count = int(np.clip(np.hypot(*way) / 25, 2, 5))
    found = []
    for i in range(count):
        at = int((i + 0.5 + rng.uniform(-0.2, 0.2)) / count * len(trunk.places_mm))
        start = trunk.places_mm[at]
        turn = (-1) ** i * rng.uniform(0.7, 1.2)
        reach = float(np.clip(0.45 * np.hypot(*way), 18, max(spare[1] * 0.5, 18)))
        heading = np.arctan2(way[1], way[0]) + turn
        end = start + reach * np.array([np.cos(heading), np.sin(heading)])
        found.append(_strand(rng, start, end, 0.65 * width_mm, fades_in=False))
    return found


def _strand(
    rng: np.random.Generator, start: Places, end: Places, width_mm: float, *, fades_in: bool
) -> WallStrand:
    """Return the straight way with bends of every size, and a width that swells and tapers."""
    way = end - start
    length_mm = max(float(np.hypot(*way)), 1.0)
    n = max(int(length_mm / _STEP_MM), 12)
    t = np.linspace(0, 1, n)
    aside = np.zeros(n)
    for share, size in _BENDS:
        largest_mm = min(size * length_mm, _LARGEST_BEND_MM)
        aside += largest_mm * _smooth(rng, n, max(share * n, 1.5))
    aside -= aside[0] + t * (aside[-1] - aside[0])  # so that it comes to the end
    normal = np.array([-way[1], way[0]]) / length_mm
    places = start + t[:, None] * way + aside[:, None] * normal
    swell = 1 + 0.22 * _smooth(rng, n, 12) + 0.07 * _smooth(rng, n, 2)
    taper = np.clip((1 - t) * length_mm / 12, 0.45, 1)
    if fades_in:
        taper *= np.clip(t * length_mm / 12, 0.45, 1)
    return WallStrand(places_mm=places, width_mm=width_mm * taper * np.clip(swell, 0.55, 1.6))


def _smooth(rng: np.random.Generator, n: int, sigma: float) -> Places:
    """Return n samples of smooth noise of deviation 1, about; `sigma` in samples."""
    noise = cv2.GaussianBlur(
        rng.normal(size=(n, 1)), (1, 0), 1, sigmaY=sigma, borderType=cv2.BORDER_REFLECT
    )
    return np.asarray(noise[:, 0] * np.sqrt(2 * np.sqrt(np.pi) * sigma), np.float64)
