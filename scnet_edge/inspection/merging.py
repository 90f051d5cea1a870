"""Whether two pieces are one crack that a thin place, or the border of the view, has parted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scnet_edge.inspection.cloud import distances
from scnet_edge.inspection.geometry import wrap
from scnet_edge.inspection.skeleton import Points
from scnet_edge.inspection.spine import Values

_LOCAL_MM = 15.0  # of a piece that gives the direction of its end
_GAP_PX = 3.0
_LEAST_PX = 12.0  # of the wall, should the pixels be that coarse
_ONE_SIDED = 0.3  # at an end, the piece lies to one side; in its middle, to both
_STRAIGHT = 0.7  # cosine of how much the crack may turn in the gap


@dataclass(frozen=True, slots=True)
class Piece:
    """Points of one piece, (n, 2) in mm or px, and what a pixel covers at each of them, (n,)."""

    wall_mm: Points
    scale: Values


def in_line(one: Piece, other: Piece, gap_mm: float, around_mm: float | None) -> bool:
    """Return whether an end of one points across a gap at the other, or at an end that points back.

    Args:
        one, other: the pieces.
        gap_mm: the widest gap; where the wall is seen coarsely, three pixels may be wider.
        around_mm: circumference of the pipe, None for a flat wall.
    """
    coarse = max(float(np.median(one.scale)), float(np.median(other.scale)))
    gap_mm = max(gap_mm, _GAP_PX * coarse)
    low, high = other.wall_mm[:, 0].min() - gap_mm, other.wall_mm[:, 0].max() + gap_mm
    near = one.wall_mm[(one.wall_mm[:, 0] >= low) & (one.wall_mm[:, 0] <= high)]
    if not len(near):
        return False
    apart = distances(near, other.wall_mm, around_mm)
    i, j = np.unravel_index(apart.argmin(), apart.shape)
    if apart[i, j] > gap_mm:
        return False
    local_mm = max(_LOCAL_MM, _LEAST_PX * coarse)
    inwards = _inwards(one.wall_mm, near[i], local_mm, around_mm)
    onwards = _inwards(other.wall_mm, other.wall_mm[j], local_mm, around_mm)
    if inwards is not None and onwards is not None:
        return float(inwards @ onwards) < -_STRAIGHT
    end = inwards if inwards is not None else onwards
    if end is None:
        return False
    across = wrap(other.wall_mm[j] - near[i], around_mm) * (1 if inwards is not None else -1)
    return float(end @ across) < -_STRAIGHT * float(apart[i, j])


def _inwards(
    places: Points, end: Values, local_mm: float, around_mm: float | None
) -> Values | None:
    """Return the unit direction from an end into its piece; None where it is no end."""
    way = wrap(places - end, around_mm)
    local = way[np.hypot(way[:, 0], way[:, 1]) <= local_mm]
    mean = local.mean(axis=0)
    length = float(np.hypot(*mean))
    reach = float(np.hypot(local[:, 0], local[:, 1]).max())
    return mean / length if length > _ONE_SIDED * max(reach, 1e-9) else None
