"""The same crack over many frames becomes one observation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scnet_edge.inspection.cloud import Cloud, cloud_of, distances
from scnet_edge.inspection.geometry import Geometry
from scnet_edge.inspection.localization import Placed
from scnet_edge.inspection.merging import in_line
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.records import Observation
from scnet_edge.inspection.setup import Setup
from scnet_edge.inspection.skeleton import Points
from scnet_edge.inspection.spine import Values
from scnet_edge.inspection.track import Track, observation_of
from scnet_edge.inspection.view import View
from scnet_edge.types import Captured

_NEAR_PX = 4.0  # how exactly two frames show one place
_NEAR_M = 0.0015  # and how exactly an odometer does from one frame to the next
_PLACE = 2.0  # so much further apart, points of one crack still show the same place of it
_SHAKY = 5.0  # deviations of the odometer
_NEAR_IN_FRAME = 0.05  # of its width, where only the last frame says where a crack was
_SHARE = 0.4  # of the points that both have in view, for two sightings to be of one crack
_PASSED_M = 0.5  # a robot further away than this from a crack has passed it
_UNSEEN_FRAMES = 10  # the same where nothing says how far it went


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

    def __init__(self, setup: Setup, geometry: Geometry, *, next_seq: int = 1) -> None:
        """Begin with no crack; `next_seq` numbers the first observation."""
        self.geometry = geometry
        self._view = View(geometry)
        self._setup, self._next_seq = setup, next_seq
        self._open: list[Track] = []
        self._passed: list[Cloud] = []
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
        for one in placed:
            self._take_in(one, captured, pose)
        self._look_again(captured, pose)
        going = [track for track in self._open if self._is_passed(track, captured, pose)]
        if going and self._space.on_wall:
            going = self._joined(going)
        return [*closed, *self._close(going)]

    def finish(self) -> list[Observation]:
        """Return the observations of all cracks that are still followed, and begin anew."""
        going = list(self._open)
        if self._space.on_wall:
            going = self._joined(going)
        closed = self._close(going)
        self._passed = []
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
        near = self._near(placed, pose)
        cloud = cloud_of(placed)
        places = cloud.wall_mm if self._space.on_wall else placed.frame_xy[::2] + pose.drift_px
        if any(self._same(places, near, known.wall_mm) for known in self._passed):
            return
        same = [track for track in self._open if self._same(places, near, track.places)]
        track = same[0] if same else Track(captured, placed, pose, places=places)
        if not same:
            self._open.append(track)
        for other in same[1:]:
            track.join(other, self._around_mm())
            self._open.remove(other)
        place_mm = np.hypot(_PLACE * near, 1000 * _SHAKY * pose.jitter_m)
        track.see(placed, cloud, pose, place_mm, around_mm=self._around_mm())
        if not self._space.on_wall:
            track.places = places

    def _look_again(self, captured: Captured, pose: Pose) -> None:
        """Count, for what was seen once, the later frames that had its place in view."""
        for track in self._open:
            once = track.sightings == 1 and track.last_frame_id != captured.frame_id
            if once and self._space.on_wall and self._view.has(track.cloud.wall_mm, pose):
                track.unseen += 1

    def _near(self, placed: Placed, pose: Pose) -> Values:
        if not self._space.on_wall:
            return np.full(len(placed.frame_xy[::2]), _NEAR_IN_FRAME * self.geometry.size_hw[1])
        shaky_mm = 1000 * (_NEAR_M + 1.5 * pose.jitter_m)
        return np.hypot(_NEAR_PX * placed.scale[::2], shaky_mm)

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

    def _joined(self, going: list[Track]) -> list[Track]:
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
        return in_line(one.cloud, other.cloud, self._setup.join_mm, self._around_mm())

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
