"""What a survey says of itself: where, with what, how far it has come, what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

import msgspec

from scnet_edge.inspection.records import Observation
from scnet_edge.inspection.setup import Site

SurveyId: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z_-]{1,64}(?!\n)$")]


class BundleIdentity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which bundle looked at the frames, and what is known of its accuracy.

    Attributes:
        sha256: of the fused graph.
        f1: pixel F1 with the name of the data it was measured on; None where it was not.
    """

    model: str
    precision: str
    threshold: float
    seed: float = 0.0
    sha256: str
    f1: float | None = None
    f1_data: str | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A survey's identity, written when it starts and never changed.

    Attributes:
        survey_id: letters and digits, for files are called after it.
        created: ISO 8601, UTC.
        source: what was filmed or read, without user name and password.
        mode: the geometry: `side`, `forward` or `wall`.
        geometry: the geometry's own settings, as its file gives them.
        fps: frames per second of the source; None where it has no rate.
        simulated: the footage was rendered, not filmed.
    """

    survey_id: SurveyId
    created: str
    source: str
    mode: str
    bundle: BundleIdentity
    engine: str
    machine: str
    version: str
    site: Site = Site()
    geometry: dict[str, Any] = {}
    odometry: str | None = None
    fps: float | None = None
    simulated: bool = False


class Progress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a survey has come; committed together with what was found on the way.

    Attributes:
        frame_id: the last frame that is done with.
        resume_frame_id: where to look again from, after a crash: the first frame of the oldest
            crack that was still in view. What is found again up to `frame_id` is recorded already.
        frames: how many were looked at.
        chainage_m: the furthest place seen.
        finished: the source had ended.
    """

    frame_id: int
    resume_frame_id: int
    frames: int
    chainage_m: float | None = None
    finished: bool = False


def progress_behind(found: Sequence[Observation]) -> Progress:
    """Return a progress that goes on behind the last of some observations, at least one."""
    frame_id = max(observation.last_frame_id for observation in found)
    return Progress(
        frame_id=frame_id,
        resume_frame_id=frame_id + 1,
        frames=frame_id + 1,
        chainage_m=max((o.end_m for o in found if o.end_m is not None), default=None),
    )


class SeenPicture(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A picture file that was looked at; by its name it is known again when the folder has grown.

    Attributes:
        file: as its `Photograph` calls it.
        frame_id: its number in this survey.
    """

    file: str
    frame_id: int


class Alarm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that a person must know of: a full disk, a damaged journal, a lost picture."""

    utc: str
    reason: str
    detail: str


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person has changed of an observation; changes are added, and never taken away.

    Attributes:
        utc: ISO 8601.
        before: the observation as it was.
        undoes: the change that this one takes back.
    """

    by: str
    utc: str
    before: Observation
    undoes: int | None = None
