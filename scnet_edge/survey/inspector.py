"""The sink that makes an inspection of a run: cracks placed, followed, recorded as they pass."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace as replaced

from msgspec.structs import replace

from scnet_edge.errors import Incomplete
from scnet_edge.events import Event
from scnet_edge.inspection.geometry import geometry_of
from scnet_edge.inspection.localization import place
from scnet_edge.inspection.motion_watch import DISAGREES, MotionWatch
from scnet_edge.inspection.odometry import Odometry, pose_without_frame
from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.records import Gap, Observation
from scnet_edge.inspection.setup import Setup
from scnet_edge.inspection.tracing import trace_cracks
from scnet_edge.inspection.tracking import Follower
from scnet_edge.machine.clock import clock_synced
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.survey.begin import new_pictures, pictures_in, same_pictures
from scnet_edge.survey.facts import Progress, SeenPicture
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import crack_of, with_evidence
from scnet_edge.types import Captured, Mask

BEHIND_M = 0.05  # an odometer that reads less than 0 by more than this has begun elsewhere
COMMIT_EVERY_S = 1.0  # what a crash may cost a live survey, besides the cracks still in view


class Inspector:
    """Give it every frame in order, as a sink of `run_loop`; then `close` it.

    Attributes:
        exhausted: the source has ended, all of it was given; of a file that is cut what is there.

    After a crash a file is read again from the first frame of the oldest crack that was in view
    then; what is found again up to the last frame that was done with is in the journal already.
    """

    def __init__(
        self,
        journal: Journal,
        setup: Setup,
        odometry: Odometry,
        *,
        live: bool = False,
        separate: bool = False,
    ) -> None:
        """Begin, or go on where the journal stands.

        Args:
            journal: open; closed by whoever opened it.
            setup: the geometry.
            odometry: says where each frame was taken.
            live: a camera, whose frames cannot be asked for again.
            separate: photographs of different places, not of one drive.
        """
        self.exhausted = False
        self._broken = False  # a frame was begun and not done with
        before = journal.progress
        self.journal, self._setup, self._odometry = journal, setup, odometry
        self._live, self._separate = live, separate
        self._follower: Follower | None = None
        self._views: dict[int, tuple[Captured, Mask]] = {}  # of frames that cracks in view need
        self._pictures: list[SeenPicture] = []  # looked at since the last commit
        self._unread = {gap.file for gap in read_survey(journal.folder).gaps if gap.file}
        self._first_id = before.frame_id + 1 if before and live else 0
        self._known_to = before.frame_id if before and not live else -1
        self._resume_at = before.resume_frame_id if before and not live else 0
        self._frames = before.frames if before else 0
        self._furthest_m = before.chainage_m if before else None
        self._last_id = before.frame_id if before else -1
        self._pose = Pose()
        self._latest: Captured | None = None  # the last frame that was looked at
        self._gaps: list[tuple[Event, Pose]] = []  # and where each began
        self._went_behind = False  # 0 m
        self._motion = MotionWatch(setup)
        self._degraded_id: int | None = None
        self._degraded = False
        self._committed_s = time.monotonic()

    def unseen(self, items: Generator[Captured | Event]) -> Generator[Captured | Event]:
        """Yield a source's items without the frames that need not be looked at again.

        Raises:
            SurveyError: pictures were put between those of a drive.
            Incomplete: as the source.
        """
        try:
            with closing(items):
                if self._separate:
                    yield from new_pictures(items, self.journal.pictures, self._known_to + 1)
                for item in same_pictures(items, self.journal.pictures, self._known_to):
                    if isinstance(item, Captured) and item.frame_id < self._resume_at:
                        self._odometry.at(item)  # whose clock may start at the first frame
                    else:
                        yield item
        except Incomplete:
            self.exhausted = True
            raise
        self.exhausted = True

    def write(self, frame_result: FrameResult) -> None:
        """Take one frame's mask: place its cracks, follow them, record those that have passed."""
        self._broken = True
        self._look(frame_result)
        self._broken = False

    def note(self, event: Event) -> None:
        """Take what happened between two frames: gaps, engines that crash, degraded working."""
        if event.kind == "gap" and event.file not in self._unread:
            self._gaps.append((event, self._pose))
        elif event.kind in ("clock_jump", "deinterlaced"):
            self.journal.alarm(event.kind, event.detail, log=False)
        elif event.kind == "engine_crashed":
            detail = event.detail or "one frame was lost"
            self.journal.alarm("engine_crashed", detail, log=False)
        elif event.kind in ("degraded", "recovered"):
            self._degraded = event.kind == "degraded"

    def close(self, *, finished: bool = True) -> None:
        """Record what is still in view, unless the source is read again from there later.

        After an error in the midst of a frame nothing is: what is in memory is not to be trusted.
        """
        if self._broken:
            return
        ended = self._ended_gaps()
        self._say_motion(self._motion.end())
        closed = []
        if self._follower is not None and (finished or self._live):
            closed = self._follower.finish()
        self._commit(closed, ended, finished=finished)

    def _look(self, frame_result: FrameResult) -> None:
        captured, mask = self._number(frame_result.captured), frame_result.result.mask
        pose = self._watched(captured, self._odometry.at(captured))
        self._latest = captured
        ended = self._ended_gaps(pose)
        closed, follower = self._follow(captured)
        placed = place(
            captured.frame_id,
            trace_cracks(mask, frame=captured.frame),
            frame_result.result.probability,
            follower.geometry,
            pose,
        )
        closed += follower.see(captured, placed, pose)
        self._views[captured.frame_id] = (captured, mask)
        self._pictures += pictures_in(captured)
        if self._separate:
            closed += follower.finish()
        self._advance(captured.frame_id, pose)
        if closed or ended or time.monotonic() - self._committed_s > COMMIT_EVERY_S:
            self._commit(closed, ended)
        needed = follower.best_frame_ids()
        self._views = {i: view for i, view in self._views.items() if i in needed}

    def _watched(self, captured: Captured, pose: Pose) -> Pose:
        """Return the pose with what picture and odometer say of each other."""
        if self._separate:
            return pose
        line = self._motion.see(captured, pose)
        if captured.frame_id > self._known_to:
            self._say_motion(line)
        return replace(pose, flags=(*pose.flags, DISAGREES)) if self._motion.disagrees else pose

    def _say_motion(self, line: str) -> None:
        if line:
            self.journal.alarm("odometry", line)

    def _number(self, captured: Captured) -> Captured:
        if not self._first_id:
            return captured
        return replaced(captured, frame_id=captured.frame_id + self._first_id)

    def _follow(self, captured: Captured) -> tuple[list[Observation], Follower]:
        """Return the follower; another one, with what the last had open, for another frame size."""
        size_hw = (captured.frame.shape[0], captured.frame.shape[1])
        follower, closed = self._follower, list[Observation]()
        if follower is None or follower.geometry.size_hw != size_hw:
            closed = [] if follower is None else follower.finish()
            follower = self._follower = Follower(self._setup, geometry_of(self._setup, size_hw))
        return closed, follower

    def _advance(self, frame_id: int, pose: Pose) -> None:
        self._pose, self._last_id = pose, frame_id
        self._frames += frame_id > self._known_to
        if self._degraded:
            self._degraded_id = frame_id
        if pose.chainage_m is not None:
            self._furthest_m = max(pose.chainage_m, self._furthest_m or 0.0)
            if pose.chainage_m < -BEHIND_M and not self._went_behind:
                self._went_behind = True
                detail = f"reads {pose.chainage_m:.2f} m: what lies before 0 m is given at 0 m"
                self.journal.alarm("odometry", f"{detail}; let the odometer begin higher")

    def _commit(
        self, closed: list[Observation], gaps: list[Gap], *, finished: bool = False
    ) -> None:
        """Write what was found and how far we are as one: after a crash, both or neither."""
        if self._last_id <= self._known_to and not finished:
            closed, gaps = [], []  # found again
        observations = []
        for seq, observation in enumerate(closed, start=self.journal.next_seq):
            captured, mask = self._views.get(observation.best_frame_id, (None, None))
            crack = None if mask is None else crack_of(mask, observation)
            frame = captured.frame if captured else None
            numbered = replace(
                observation,
                seq=seq,
                time_s=captured.time_s if captured else None,
                photograph=captured.photograph if captured else None,
                **self._circumstances(observation),
            )
            observations.append(with_evidence(self.journal, numbered, frame, crack))
        self.journal.commit(
            observations=observations,
            gaps=gaps,
            pictures=self._pictures,
            progress=self._progress(finished=finished),
        )
        self._pictures = []
        self._committed_s = time.monotonic()

    def _circumstances(self, observation: Observation) -> dict[str, object]:
        flags = list(observation.flags)
        synced = observation.clock_synced and not (self._live and clock_synced() is False)
        if observation.clock_synced and not synced:
            flags.append("clock_unsynced")
        if self._degraded_id is not None and self._degraded_id >= observation.first_frame_id:
            flags.append("degraded")
        return {"flags": tuple(dict.fromkeys(flags)), "clock_synced": synced}

    def _progress(self, *, finished: bool = False) -> Progress:
        oldest = None if self._follower is None else self._follower.oldest_frame_id()
        return Progress(
            frame_id=max(self._last_id, self._known_to),
            resume_frame_id=self._last_id + 1 if oldest is None else oldest,
            frames=self._frames,
            chainage_m=self._furthest_m,
            finished=finished,
        )

    def _ended_gaps(self, pose: Pose | None = None) -> list[Gap]:
        """Return the gaps that this pose, the first after them, puts an end to; None at the end."""
        noted, self._gaps = self._gaps, []
        return [self._gap(event, before, pose) for event, before in noted]

    def _gap(self, event: Event, before: Pose, after: Pose | None) -> Gap:
        """Return a gap with the way it covers.

        Where no frame was looked at on one side of it, or its beginning was looked at before it
        was known for one, the odometer may still say where that was.
        """
        first, last = event.first_frame_id, event.last_frame_id
        earlier_id = self._last_id if first is None else max(0, first - 1) + self._first_id
        later_id = self._last_id + 1 if last is None else last + 1 + self._first_id
        if before.chainage_m is None or event.reason == "frozen":
            before = self._pose_at(event.from_mono_ns, earlier_id) or before
        after = after or self._pose_at(event.mono_ns, later_id) or self._pose
        ends = [before.chainage_m, after.chainage_m]
        if before.segment != after.segment:
            ends[0] = ends[1]
        known = sorted(end for end in ends if end is not None)
        return Gap(
            reason=event.reason or "camera_lost",
            segment=after.segment,
            first_frame_id=self._last_id + 1 if first is None else first + self._first_id,
            last_frame_id=self._last_id + 1 if last is None else last + self._first_id,
            start_m=known[0] if known else None,
            end_m=known[-1] if known else None,
            mono_from_ns=event.from_mono_ns or event.mono_ns,
            mono_to_ns=event.mono_ns,
            file=event.file,
            detail=event.detail if event.file else "",
        )

    def _pose_at(self, mono_ns: int | None, frame_id: int) -> Pose | None:
        if mono_ns is None or self._latest is None:
            return None
        return pose_without_frame(self._odometry, self._latest, mono_ns=mono_ns, frame_id=frame_id)
