"""A crack as points gathered over frames: on the wall, or in a film without an odometer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scnet_edge.inspection.geometry import wrap
from scnet_edge.inspection.localization import Placed
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.skeleton import Points
from scnet_edge.inspection.spine import Values
from scnet_edge.types import Mask

_FINER = 0.85  # so much finer a view replaces what was seen
_FEW, _ROUNDS, _ENOUGH, _STILL_MM = 150, 8, 0.4, 0.02  # of the search for a slip
_ACROSS = 0.2  # of a crack must lie across the pipe to tell of a slip
_RIM_COST = 4.0  # what is seen at the border of the view counts as so much coarser


@dataclass(frozen=True, slots=True)
class Cloud:
    """Points of one crack, n of them.

    Attributes:
        wall_mm, width_mm, width_px, scale: as `Placed` has them.
        cost: (n,), how coarsely it was seen: its scale, and more at the border of the view.
        rim: (n,) bool, True where it was only ever seen at the border of the view.
    """

    wall_mm: Points
    width_mm: Values
    width_px: Values
    scale: Values
    cost: Values
    rim: Mask

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.wall_mm)

    def where(self, keep: Mask | npt.NDArray[np.intp]) -> Cloud:
        """Return the points that are kept."""
        return Cloud(
            self.wall_mm[keep],
            self.width_mm[keep],
            self.width_px[keep],
            self.scale[keep],
            self.cost[keep],
            self.rim[keep],
        )


def cloud_of(placed: Placed, *, every: int = 2) -> Cloud:
    """Return the cloud of one sighting, every so many of its points."""
    cost = np.where(placed.rim, _RIM_COST, 1.0) * placed.scale
    cloud = Cloud(placed.wall_mm, placed.width_mm, placed.width_px, placed.scale, cost, placed.rim)
    return cloud.where(np.arange(0, len(cloud), every))


def join(clouds: list[Cloud]) -> Cloud:
    """Return all points of several clouds."""
    return Cloud(
        np.concatenate([c.wall_mm for c in clouds]),
        np.concatenate([c.width_mm for c in clouds]),
        np.concatenate([c.width_px for c in clouds]),
        np.concatenate([c.scale for c in clouds]),
        np.concatenate([c.cost for c in clouds]),
        np.concatenate([c.rim for c in clouds]),
    )


def merge(old: Cloud, new: Cloud, near_mm: Values, around_mm: float | None) -> Cloud:
    """Return both clouds as one; of what lies at one place, what was seen in more detail stays.

    Args:
        old, new: the clouds.
        near_mm: (len(new),), how close to a new point an old one is at its place.
        around_mm: circumference of the pipe, None for a flat wall.
    """
    close = distances(new.wall_mm, old.wall_mm, around_mm) <= near_mm[:, None]
    finer = new.cost[:, None] < _FINER * old.cost
    stays = np.asarray(~(close & finer).any(axis=0))
    fresh = np.asarray(~(close & stays).any(axis=1))
    inside = close & ~(
        new.rim[:, None] & old.rim
    )  # seen there away from the border, by one of both
    old = replace(old, rim=old.rim & ~inside.any(axis=0))
    new = replace(new, rim=new.rim & ~inside.any(axis=1))
    return join([old.where(stays), new.where(fresh)])


def slip_mm(
    known: Points, places: Points, start_mm: float, reach_mm: float, around_mm: float | None
) -> float:
    """Return how far along the pipe places must be moved to lie on known ones of the same crack.

    An odometer that is a few percent wrong puts each frame elsewhere. Of a line along the pipe
    nothing tells, and the odometer is believed.

    Args:
        known: (m, 2), where the crack was seen before.
        places: (n, 2), where it is seen now.
        start_mm: what it was lately.
        reach_mm: how far a place may be from its own among the known ones, once moved by that.
        around_mm: as `merge` has it.
    """
    few = places[:: max(1, len(places) // _FEW)]
    normals = _normals(few, places, reach_mm, around_mm)
    moved_mm = start_mm
    for _ in range(_ROUNDS):
        moved = few + np.array([moved_mm, 0.0])
        low, high = moved[:, 0].min() - reach_mm, moved[:, 0].max() + reach_mm
        here = known[(known[:, 0] >= low) & (known[:, 0] <= high)]
        if not len(here):
            return start_mm
        way = wrap(here[None] - moved[:, None], around_mm)  # (n, m, 2)
        nearest = np.hypot(way[..., 0], way[..., 1]).argmin(axis=1)
        steps = way[np.arange(len(few)), nearest]
        close = np.hypot(steps[:, 0], steps[:, 1]) <= reach_mm
        along = normals[:, 0] * close
        if close.mean() < _ENOUGH or np.mean(along**2) < _ACROSS:
            return start_mm
        step_mm = float((along * (normals * steps).sum(axis=1)).sum() / (along**2).sum())
        moved_mm += step_mm
        if abs(step_mm) < _STILL_MM:
            break
    return moved_mm


def _normals(few: Points, places: Points, reach_mm: float, around_mm: float | None) -> Points:
    """Return the unit direction across the crack at few of its places."""
    way = wrap(places[None] - few[:, None], around_mm)
    near = np.hypot(way[..., 0], way[..., 1]) <= reach_mm
    x, y = (np.where(near, way[..., i], 0.0) for i in (0, 1))
    along = 0.5 * np.arctan2(2 * (x * y).sum(axis=1), (x * x - y * y).sum(axis=1))
    return np.stack([-np.sin(along), np.cos(along)], axis=1)


def distances(one: Points, other: Points, around_mm: float | None) -> Values:
    """Return the distances in mm between n and m places, (n, m), the shorter way around."""
    way = wrap(one[:, None] - other[None], around_mm)
    return np.hypot(way[..., 0], way[..., 1])


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
