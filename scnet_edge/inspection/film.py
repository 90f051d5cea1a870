"""Where a crack was in a film whose camera has no odometer, in pixels of the film's first frame."""

from __future__ import annotations

import numpy as np

from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.skeleton import Points


def film_places(frame_xy: Points, pose: Pose) -> Points:
    """Return (n, 2) points of a frame in pixels of the segment's first frame."""
    if pose.film_from_frame is None:
        return frame_xy
    matrix = np.array(pose.film_from_frame)
    return np.asarray(frame_xy @ matrix[:, :2].T + matrix[:, 2])


class RecentPlaces:
    """The places of one crack in the last frames, one point a cell of a grid.

    Args:
        cell_px: side of a cell.
        frames: how many frames a place is remembered.
    """

    def __init__(self, cell_px: float, frames: int) -> None:
        self._cell_px, self._frames = cell_px, frames
        self._seen: dict[tuple[int, int], int] = {}

    def add(self, places: Points, frame_id: int) -> None:
        """Take in (n, 2) places of a frame."""
        cells = np.unique(np.floor(places / self._cell_px).astype(int), axis=0)
        self._seen.update(dict.fromkeys(map(tuple, cells.tolist()), frame_id))

    def join(self, other: RecentPlaces) -> None:
        """Take in those of another crack that has turned out to be the same."""
        for cell, frame_id in other._seen.items():
            self._seen[cell] = max(frame_id, self._seen.get(cell, frame_id))

    def points(self, frame_id: int) -> Points:
        """Return the places of the frames before this one that are remembered, (m, 2)."""
        oldest = frame_id - self._frames
        self._seen = {cell: seen for cell, seen in self._seen.items() if seen >= oldest}
        cells = np.array(list(self._seen), float).reshape(-1, 2)
        return np.asarray((cells + 0.5) * self._cell_px)
