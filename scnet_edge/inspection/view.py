"""Whether a place on the wall is in view: what was looked at, and seen once, is a weaker record."""

from __future__ import annotations

import numpy as np

from scnet_edge.inspection.cloud import distances
from scnet_edge.inspection.geometry import Geometry, mm_per_px
from scnet_edge.inspection.localization import shift_mm
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.skeleton import Points

_EVERY_PX = 16


class View:
    """The part of the wall that a camera has in view, as a grid of places."""

    def __init__(self, geometry: Geometry) -> None:
        """Look at the frame every few pixels, away from its border."""
        height, width = geometry.size_hw
        rows, columns = range(_EVERY_PX, height, _EVERY_PX), range(_EVERY_PX, width, _EVERY_PX)
        points = np.array([(x, y) for y in rows for x in columns], np.float64).reshape(-1, 2)
        places_mm, scale = geometry.project(points), mm_per_px(geometry, points)
        seen = ~np.isnan(places_mm[:, 0] + scale)
        self._geometry = geometry
        self._places_mm, self._reach_mm = places_mm[seen], _EVERY_PX * scale[seen]

    def has(self, places_mm: Points, pose: Pose) -> bool:
        """Return whether the middle of (n, 2) places, n >= 1, is in view from a pose."""
        here = self._places_mm + shift_mm(self._geometry, pose)
        middle = places_mm[len(places_mm) // 2][None]
        return bool(
            (distances(here, middle, self._geometry.around_mm)[:, 0] < self._reach_mm).any()
        )
