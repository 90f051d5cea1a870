"""The same crack over many frames becomes one observation; so do pieces of it that are in line."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from scnet_edge.inspection.cloud import Cloud, RecentPlaces, cloud_of, distances, film_places
from scnet_edge.inspection.geometry import Geometry, mm_per_px, wrap
from scnet_edge.inspection.localization import Placed, shift_mm
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.records import Observation
from scnet_edge.inspection.setup import Setup
from scnet_edge.inspection.skeleton import Points
from scnet_edge.inspection.spine import Values
from scnet_edge.inspection.track import Track, observation_of
from scnet_edge.types import Captured

_EVERY_PX = 16  # of the grid that stands for the view
_NEAR_PX = 4.0  # how exactly two frames show one place
_NEAR_M = 0.0015  # and how exactly an odometer does from one frame to the next
_PLACE = 2.0  # so much further apart, points of one crack still show the same place of it
_SHAKY = 5.0  # deviations of the odometer
_NEAR_IN_FILM = 0.03  # of a frame's width, where only the frames say where a crack was
_GAP_IN_FILM = 0.06  # of a frame's width, between pieces in line
_SHARE = 0.4  # of the points that both have in view, for two sightings to be of one crack
_DOUBTED = 3  # frames that show the crack and not its one-time piece, for that to be none of it
_POSES = 1000  # that are remembered for this
_PASSED_M = 0.5  # a robot further away than this from a crack has passed it
_UNSEEN_FRAMES = 30  # the same where nothing says how far it went
_LOCAL_MM = 15.0  # of a piece that gives the direction of its end
_GAP_PX = 3.0
_LEAST_PX = 12.0  # of the wall, should the pixels be that coarse
_ONE_SIDED = 0.3  # at an end, the piece lies to one side; in its middle, to both
_STRAIGHT = 0.7  # cosine of how much the crack may turn in the gap


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


@dataclass(frozen=True, slots=True)
class _Space:
    """What places can be compared: those of one segment, on the wall or in the frame."""

    segment: int
    on_wall: bool


class Follower:
    """Cracks that are in view, or were a moment ago; give it every frame, in order.

    Attributes:
        geometry: how the camera sees the wall.
    """

    def __init__(self, setup: Setup, geometry: Geometry) -> None:
        self.geometry = geometry
        self._view = View(geometry)
        self._setup, self._next_seq = setup, 1
        self._open: list[Track] = []
        self._passed: list[Cloud] = []
        self._poses: deque[tuple[int, Pose]] = deque(maxlen=_POSES)  # with their frames' numbers
        self._space = _Space(0, True)

    def see(self, captured: Captured, placed: list[Placed], pose: Pose) -> list[Observation]:
        """Take in the cracks of a frame and return the observations that it closes.

        Args:
            captured: the frame.
            placed: its cracks on the wall, from `place` with the same pose.
            pose: where the robot was.
        """
        space = _Space(pose.segment, pose.chainage_m is not None)
        closed = self.finish() if space != self._space else []
        self._space = space
        if space.on_wall:
            self._poses.append((captured.frame_id, pose))
            for one in placed:
                self._take_in(one, captured, pose)
            self._look_again(captured, pose)
        else:
            self._take_in_film(placed, captured, pose)
        going = [track for track in self._open if self._is_passed(track, captured, pose)]
        if going:
            going = self._join(going)
        return [*closed, *self._close(going)]

    def finish(self) -> list[Observation]:
        """Return the observations of all cracks that are still followed, and begin anew."""
        closed = self._close(self._join(list(self._open)))
        self._passed = []
        self._poses.clear()
        return closed

    def best_frame_ids(self) -> set[int]:
        """Return the frames whose pictures the followed cracks need."""
        return {track.best.sighting.frame_id for track in self._open}

    def oldest_frame_id(self) -> int | None:
        """Return the first frame of the oldest crack that is followed; None without any.

        Frames given anew from there on, to another follower, give the same open cracks.
        """
        return min((track.first.frame_id for track in self._open), default=None)

    def _take_in(self, placed: Placed, captured: Captured, pose: Pose) -> None:
        near, cloud = self._near(placed, pose), cloud_of(placed)
        if any(self._same(cloud.wall_mm, near, known.wall_mm) for known in self._passed):
            return
        same = [
            track
            for track in self._open
            if self._same(cloud.wall_mm + track.slip_here_mm, near, track.places)
        ]
        track = self._track_of(same, placed, captured, pose)
        place_mm = np.hypot(_PLACE * near, 1000 * _SHAKY * pose.jitter_m)
        # Looking ahead, a place is seen ever nearer, and its nearest view replaces the others.
        slips = self._setup.mode != "forward"
        track.see(placed, cloud, pose, place_mm, around_mm=self._around_mm(), slips=slips)

    def _take_in_film(self, placed: list[Placed], captured: Captured, pose: Pose) -> None:
        """Take in the cracks of a frame where nothing but the film says where they are.

        All of them are compared with the frames before: a crack that falls apart in one frame
        stays one.
        """
        near_px = self._near_px()
        before = {track: track.recent.points(captured.frame_id) for track in self._open}
        for one in placed:
            places = film_places(one.frame_xy[::2], pose)
            near = np.full(len(places), near_px)
            same = [
                track
                for track, known in before.items()
                if track in self._open and self._same(places, near, known)
            ]
            track = self._track_of(same, one, captured, pose)
            before.setdefault(track, places)
            track.see(one, cloud_of(one), pose, near, around_mm=None)
            track.recent.add(places, captured.frame_id)

    def _track_of(self, same: list[Track], placed: Placed, captured: Captured, pose: Pose) -> Track:
        """Return the track of a sighting that lies where these tracks are: they are one crack."""
        if not same:
            recent = RecentPlaces(self._near_px() / 2, _UNSEEN_FRAMES)
            track = Track(captured, placed, pose, recent=recent)
            self._open.append(track)
            return track
        for other in same[1:]:
            same[0].join(other, self._around_mm())
            self._open.remove(other)
        return same[0]

    def _look_again(self, captured: Captured, pose: Pose) -> None:
        """Count, for what was seen once, the later frames that had its place in view."""
        for track in self._open:
            once = track.sightings == 1 and track.last_frame_id != captured.frame_id
            if once and self._space.on_wall and self._view.has(track.cloud.wall_mm, pose):
                track.unseen += 1

    def _near(self, placed: Placed, pose: Pose) -> Values:
        shaky_mm = 1000 * (_NEAR_M + 1.5 * pose.jitter_m)
        return np.hypot(_NEAR_PX * placed.scale[::2], shaky_mm)

    def _near_px(self) -> float:
        return _NEAR_IN_FILM * self.geometry.size_hw[1]

    def _same(self, places: Points, near: Values, known: Points) -> bool:
        """Return whether most of the points that one has where the other is are near the other."""
        reach = near.max()
        low, high = places[:, 0].min() - reach, places[:, 0].max() + reach
        here = known[(known[:, 0] >= low) & (known[:, 0] <= high)]
        if not len(here):
            return False
        close = distances(places, here, self._around_mm()) <= near[:, None]
        return bool(max(close.any(axis=1).mean(), close.any(axis=0).mean()) >= _SHARE)

    def _around_mm(self) -> float | None:
        return self.geometry.around_mm if self._space.on_wall else None

    def _join(self, going: list[Track]) -> list[Track]:
        """Return the tracks to close after pieces in line were joined; one may have to wait."""
        for track in going:
            for other in [other for other in self._open if other is not track]:
                if self._near_enough(track, other) and track in self._open:
                    other.join(track, self._around_mm())
                    self._open.remove(track)
        return [track for track in going if track in self._open]

    def _near_enough(self, one: Track, other: Track) -> bool:
        if one.segment != other.segment:
            return False
        if self._space.on_wall:
            if self._flickers(one, other) or self._flickers(other, one):
                return False
            pieces = Piece(one.cloud.wall_mm, one.cloud.scale)
            others = Piece(other.cloud.wall_mm, other.cloud.scale)
            return in_line(pieces, others, self._setup.join_mm, self._around_mm())
        frame_id = max(one.last_frame_id, other.last_frame_id) + 1
        here, there = one.recent.points(frame_id), other.recent.points(frame_id)
        if not len(here) or not len(there):
            return False
        gap_px = _GAP_IN_FILM * self.geometry.size_hw[1]
        return in_line(
            Piece(here, np.ones(len(here))), Piece(there, np.ones(len(there))), gap_px, None
        )

    def _flickers(self, one: Track, other: Track) -> bool:
        """Return whether one frame alone shows a piece, of several that show what it lies beside.

        Such a piece would lengthen a crack by what is none.
        """
        if one.sightings > 1:
            return False
        elsewhere = other.frame_ids - one.frame_ids
        looked = (
            frame_id in elsewhere and self._view.has(one.cloud.wall_mm, pose)
            for frame_id, pose in self._poses
        )
        return sum(looked) >= _DOUBTED

    def _is_passed(self, track: Track, captured: Captured, pose: Pose) -> bool:
        if pose.chainage_m is None:
            return captured.frame_id - track.last_frame_id > _UNSEEN_FRAMES
        away_m = abs(pose.chainage_m - track.last_chainage_m)
        return away_m > _PASSED_M and track.last_frame_id < captured.frame_id

    def _close(self, tracks: list[Track]) -> list[Observation]:
        tracks = sorted(tracks, key=lambda track: track.first.frame_id)
        closed = []
        for track in tracks:
            closed.append(observation_of(track, self._next_seq, self._setup, self.geometry))
            self._next_seq += 1
        if self._space.on_wall:
            self._passed += [track.cloud for track in tracks]
        self._open = [track for track in self._open if track not in tracks]
        return closed


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
