"""One crack while it is followed, and the observation that it becomes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from scnet_edge.inspection.cloud import Cloud, RecentPlaces, cloud_of, distances, merge, slip_mm
from scnet_edge.inspection.geometry import Geometry
from scnet_edge.inspection.localization import Placed, clock_h, direction_deg, outline
from scnet_edge.inspection.measure import area_figure, length_figure, width_figures
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.records import Figure, Kind, Observation
from scnet_edge.inspection.setup import Setup
from scnet_edge.inspection.skeleton import Points
from scnet_edge.inspection.spine import Values
from scnet_edge.inspection.tree import Tree, tree_of, walk_of
from scnet_edge.types import Captured

_SLIP_SHARE = 0.5  # of what counts as one place; less is the odometer's own noise
_MOST_NODES = 1500  # of a tree
_BESIDE_MM, _BESIDE_PX = 5.0, 6.0  # so near, what another frame shows is the same place
_ELSEWHERE = 0.03  # of a crack that may lie elsewhere for a frame to show all of it
_PROFILE_POINTS = 200
_OUTLINE_MM = 1.0  # bends smaller than this are not drawn
_ALONG_DEG, _AROUND_DEG = 30.0, 60.0
SHORT_SHARE = 0.05  # of a frame's diagonal: what is shorter is flagged
_LOOKED = 2  # frames that had its place in view and did not show it
_MULTIPLE = 1.2  # so much longer than its trunk, with two forks, a crack is several


class Track:
    """What has been seen of one crack.

    Attributes:
        first: the frame in which it appeared.
        best: the sighting that shows it best: nearest, and most of it.
        whole: the best of those that show all of it, away from the border; None before one does.
        cloud: its points on the wall.
        places: (n, 2), where it is looked for on the wall in the next frame.
        recent: where it was in the film, for want of a wall.
        frame_ids: the frames that have shown it; pieces of it in one frame are one sighting.
        slip_mm: how far the odometer has slipped since the first sighting.
        unseen: frames after its only sighting that had its place in view and did not show it.
    """

    def __init__(
        self, captured: Captured, placed: Placed, pose: Pose, *, recent: RecentPlaces
    ) -> None:
        self.first, self.best = captured, placed
        self.whole: Placed | None = None
        self.cloud = cloud_of(placed)
        self.places = self.cloud.wall_mm
        self.recent = recent
        self.segment = pose.segment
        self.frame_ids: set[int] = set()
        self.unseen = 0
        self.slip_mm = 0.0
        self._before: list[Points] = []  # where its pieces lay in the frame before the last
        self._now: list[Points] = []  # and in the last
        self.branches = 0
        self.flags: dict[str, None] = {}
        self.sigma_m = 0.0
        self.located = pose.chainage_m is not None
        self.last_frame_id, self.last_chainage_m = captured.frame_id, 0.0

    def see(
        self,
        placed: Placed,
        cloud: Cloud,
        pose: Pose,
        near_mm: Values,
        *,
        around_mm: float | None,
        slips: bool = False,
    ) -> None:
        """Take in a sighting, and lay it upon those before where the odometer `slips`.

        `near_mm` is as `merge` has it, of the cloud's points.
        """
        if slips and self.frame_ids and self.located:
            placed, cloud = self._put_right(placed, cloud, float(near_mm.min()), around_mm)
        if not placed.rim.any() and (self.whole is None or _merit(placed) > _merit(self.whole)):
            self.whole = placed
        if self.frame_ids:
            better = _merit(placed) > _merit(self.best)
            self.best = placed if better else self.best
            if self.located:
                self.cloud = merge(self.cloud, cloud, near_mm, around_mm)
            elif better:
                self.cloud = cloud
        # The cloud drops what lies beside its points; the last two frames have all of it.
        if placed.sighting.frame_id != self.last_frame_id:
            self._before, self._now = self._now, []
        self._now.append(cloud.wall_mm)
        self.places = np.concatenate([self.cloud.wall_mm, *self._before, *self._now])
        self.frame_ids.add(placed.sighting.frame_id)
        self.branches = max(self.branches, placed.sighting.branches)
        self.flags |= dict.fromkeys(pose.flags)
        self.sigma_m = max(self.sigma_m, pose.sigma_m or 0.0)
        self.last_frame_id = placed.sighting.frame_id
        self.last_chainage_m = pose.chainage_m or 0.0

    def _put_right(
        self, placed: Placed, cloud: Cloud, near_mm: float, around_mm: float | None
    ) -> tuple[Placed, Cloud]:
        """Return a sighting where the crack was seen before: the odometer may have slipped."""
        found = slip_mm(self.cloud.wall_mm, cloud.wall_mm, self.slip_mm, near_mm, around_mm)
        if abs(found - self.slip_mm) > _SLIP_SHARE * near_mm:
            self.slip_mm = found
        return (
            replace(placed, wall_mm=placed.wall_mm + self.slip_here_mm),
            replace(cloud, wall_mm=cloud.wall_mm + self.slip_here_mm),
        )

    @property
    def slip_here_mm(self) -> Values:
        """By how much places are moved, (2,): along the pipe, and not around it."""
        return np.array([self.slip_mm, 0.0])

    @property
    def sightings(self) -> int:
        """How many frames have shown it."""
        return len(self.frame_ids)

    def join(self, other: Track, around_mm: float | None) -> None:
        """Take in another track of what has turned out to be the same crack."""
        near_mm = np.maximum(10 * other.cloud.scale, 5.0)
        if self.located:
            self.cloud = merge(self.cloud, other.cloud, near_mm, around_mm)
        elif _merit(other.best) > _merit(self.best):
            self.cloud = other.cloud
        self.recent.join(other.recent)
        self.first = min(self.first, other.first, key=lambda captured: captured.frame_id)
        self.best = max(self.best, other.best, key=_merit)
        self.whole = max(filter(None, (self.whole, other.whole)), key=_merit, default=None)
        self.last_frame_id = max(self.last_frame_id, other.last_frame_id)
        self.frame_ids |= other.frame_ids
        self.branches = max(self.branches, other.branches)
        self.flags |= other.flags
        self.sigma_m = max(self.sigma_m, other.sigma_m)


def _merit(placed: Placed) -> float:
    """Return how well a sighting shows its crack: the length in pixels that is not at the rim."""
    return float(placed.sighting.length_px * (1 - placed.rim.mean()))


def observation_of(track: Track, seq: int, setup: Setup, geometry: Geometry) -> Observation:
    """Return what is recorded of a crack."""
    cloud = _points_to_measure(track, geometry)
    tree = tree_of(cloud.wall_mm, geometry.around_mm)
    best = track.best.sighting
    angle_deg = direction_deg(tree.places_mm) if geometry.scaled else best.angle_deg
    on_wall = track.located and geometry.scaled
    low_m, high_m = tree.places_mm[:, 0].min() / 1000, tree.places_mm[:, 0].max() / 1000
    clock, figures = _clock(tree, geometry), _figures(track, cloud, tree, geometry)
    chord_mm = math.dist(*tree.places_mm[[tree.routes[0][0], tree.routes[0][-1]]])
    return Observation(
        seq=seq,
        segment=track.segment,
        kind=_kind(angle_deg, track.branches, tree),
        first_frame_id=track.first.frame_id,
        last_frame_id=track.last_frame_id,
        best_frame_id=best.frame_id,
        bbox_xyxy=best.bbox_xyxy,
        sightings=track.sightings,
        mono_ns=track.first.mono_ns,
        utc_ns=track.first.utc_ns,
        clock_synced=track.first.utc_ns is not None,
        start_m=float(low_m) if on_wall else None,
        end_m=float(high_m) if on_wall else None,
        start_sigma_m=math.hypot(track.sigma_m, 0.001) if on_wall else None,
        clock_from=clock[0] if clock else None,
        clock_to=clock[1] if clock else None,
        outline_m_h=outline(walk_of(tree, least_mm=_OUTLINE_MM), geometry.around_mm)
        if on_wall
        else (),
        angle_deg=angle_deg,
        branches=track.branches,
        tortuosity=max(1.0, tree.trunk_mm / chord_mm) if chord_mm else 1.0,
        confidence=best.confidence,
        length_px=best.length_px,
        width_mean_px=best.width_mean_px,
        width_p95_px=best.width_p95_px,
        width_max_px=best.width_max_px,
        area_px=best.area_px,
        mm_per_px=best.mm_per_px,
        length_mm=figures["length_mm"],
        width_mean_mm=figures["width_mean_mm"],
        width_p95_mm=figures["width_p95_mm"],
        width_max_mm=figures["width_max_mm"],
        area_mm2=figures["area_mm2"],
        width_profile_mm=_width_profile(cloud, tree) if geometry.scaled else (),
        flags=_flags(track, setup, geometry),
        snapshot=None,
    )


def _points_to_measure(track: Track, geometry: Geometry) -> Cloud:
    """Return the points to measure: of the frame that shows all of the crack, else of all frames.

    One frame has no seams; what is gathered from several is uncertain by the odometer at each.
    """
    cloud = track.cloud
    if track.whole is not None:
        seen = cloud_of(track.whole, every=1)
        apart = distances(cloud.wall_mm, seen.wall_mm, geometry.around_mm).min(axis=1)
        if np.mean(apart > _BESIDE_MM + _BESIDE_PX * cloud.scale) < _ELSEWHERE:
            cloud = seen
    return cloud.where(np.arange(0, len(cloud), max(1, -(-len(cloud) // _MOST_NODES))))


def _figures(
    track: Track, cloud: Cloud, tree: Tree, geometry: Geometry
) -> dict[str, Figure | None]:
    names = ("length_mm", "area_mm2", "width_mean_mm", "width_p95_mm", "width_max_mm")
    if not geometry.scaled:
        return dict.fromkeys(names)
    scale, share = float(cloud.scale.mean()), geometry.sigma_share
    area = track.best.sighting.area_mm2
    known = ~np.isnan(cloud.width_mm)
    if known.any():
        area_mm2 = float(cloud.width_mm[known].mean()) * tree.length_mm
        area = area_figure(area_mm2, tree.length_mm, scale, share)
    return {
        "length_mm": length_figure(tree.length_mm, scale, share),
        "area_mm2": area,
        **width_figures(cloud.width_mm, cloud.width_px, track.best.width_sigma_px, share),
    }


def _kind(angle_deg: float, branches: int, tree: Tree) -> Kind:
    if branches >= 2 and tree.length_mm > _MULTIPLE * tree.trunk_mm:
        return "multiple"
    folded = min(angle_deg, 180 - angle_deg)
    if folded < _ALONG_DEG:
        return "longitudinal"
    return "circumferential" if folded > _AROUND_DEG else "spiral"


def _clock(tree: Tree, geometry: Geometry) -> tuple[float, float] | None:
    """Return where around the pipe the crack begins and ends, clockwise."""
    if geometry.around_mm is None:
        return None
    low, high = tree.places_mm[:, 1].min(), tree.places_mm[:, 1].max()
    if high - low >= 0.98 * geometry.around_mm:
        return 0.0, 11.99
    start, end = clock_h(np.array([low, high]), geometry.around_mm).round(3) % 12
    return float(start), float(end)


def _width_profile(cloud: Cloud, tree: Tree) -> tuple[tuple[float, float], ...]:
    """Return (mm along the trunk, mm wide)."""
    trunk = np.array(tree.routes[0])
    steps = np.hypot(*np.diff(tree.places_mm[trunk], axis=0).T)
    at_mm = np.concatenate([[0.0], np.cumsum(steps)])
    known = np.flatnonzero(~np.isnan(cloud.width_mm[trunk]))
    few = known[:: max(1, -(-len(known) // _PROFILE_POINTS))]
    pairs = zip(at_mm[few].round(2), cloud.width_mm[trunk[few]].round(3), strict=True)
    return tuple((float(at), float(width)) for at, width in pairs)


def _flags(track: Track, setup: Setup, geometry: Geometry) -> tuple[str, ...]:
    flags = [] if geometry.scaled else ["no_scale"]
    if setup.roll == "none" and setup.mode != "wall":
        flags.append("no_roll")
    if not track.located and not {"odometry_lost", "visual_odometry"} & set(track.flags):
        flags.append("no_odometry")
    if track.cloud.rim.any():
        flags.append("edge_of_view")
    if track.best.sighting.length_px < SHORT_SHARE * math.hypot(*geometry.size_hw):
        flags.append("short")
    if track.sightings == 1 and track.unseen >= _LOOKED:
        flags.append("seen_once")
    return (*flags, *track.flags)
