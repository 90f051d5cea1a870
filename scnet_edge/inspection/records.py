"""What an inspection records: the values that following, journal, report and export share.

Chainage is metres along the pipe from the start of the survey. Clock positions are hours in
[0, 12), 0 at the crown, clockwise as seen in the direction of travel; `clock_from` to `clock_to`
runs clockwise and may pass 12. Both are None where the geometry that gives them is not known.
On a flat wall there is no clock; outlines then hold metres along and metres across, upwards.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from scnet_edge.types import Photograph

Kind = Literal["longitudinal", "circumferential", "spiral", "multiple"]
Review = Literal["needs_review", "accepted", "rejected"]
Opening = Literal["surface", "crack", "open"]


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A measured value and its standard deviation, in the unit its field names."""

    value: float
    sigma: float


class CrackOnWall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a crack is and how large; in mm and on the wall where the geometry is known.

    Attributes:
        bbox_xyxy: where it is in its frame; right and bottom are the first pixels outside.
        outline_m_h: points of the crack's centre line as (chainage in m, clock in h); empty
            without a geometry.
        angle_deg: direction on the wall, 0 along the pipe and 90 around it; in the frame where
            there is no geometry.
        confidence: mean probability over the crack's pixels, in [0, 1].
    """

    bbox_xyxy: tuple[int, int, int, int]
    outline_m_h: tuple[tuple[float, float], ...]
    angle_deg: float
    branches: int
    tortuosity: float
    confidence: float
    length_px: float
    width_mean_px: float
    width_p95_px: float
    width_max_px: float
    area_px: int
    mm_per_px: float | None
    length_mm: Figure | None
    width_mean_mm: Figure | None
    width_p95_mm: Figure | None
    width_max_mm: Figure | None
    area_mm2: Figure | None


class Sighting(CrackOnWall, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One crack in one frame."""

    frame_id: int


class Observation(CrackOnWall, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One crack, followed over all frames that show it: what is recorded once.

    Its pixels are those of its best frame, its outline is one walk along all branches, there and
    back.

    Attributes:
        seq: counts up from 1 within a survey; with the survey's id it names the observation.
        segment: counts up from 0; a jump of the odometer starts another.
        best_frame_id: the frame whose picture and widths stand for it.
        time_s: when that frame is in its video, by the video's own clock; None for cameras and
            images.
        start_m, end_m: chainage, start <= end; start_sigma_m is that of both.
        width_profile_mm: (position along the crack in mm, width in mm), for the report's plot.
        flags: what weakens the record, by reason: `no_scale`, `no_roll`, `no_odometry`,
            `visual_odometry`, `odometry_jump`, `odometry_reset`, `odometry_nan`, `odometry_lost`,
            `odometry_disagrees` (it moved and the picture did not, or the other way round),
            `clock_unsynced`, `degraded`, `edge_of_view`, `short` (less than 5 % of the frame's
            diagonal), `seen_once` (in one frame, although two later ones had its place in view),
            `before_start` (it lies before 0 m, or begins there, and is given from 0 m on).
        snapshot: file name inside the survey's snapshots folder; None before it is written.
        photograph: of a picture file, what it says of itself.
        opening: as a person saw it; None where none has said, and the width suggests it.
        reviewed_by, reviewed_utc: who has last said something of it, and when (ISO 8601).
    """

    seq: int
    segment: int
    kind: Kind
    first_frame_id: int
    last_frame_id: int
    best_frame_id: int
    sightings: int
    mono_ns: int
    utc_ns: int | None
    time_s: float | None = None
    clock_synced: bool
    start_m: float | None
    end_m: float | None
    start_sigma_m: float | None
    clock_from: float | None
    clock_to: float | None
    width_profile_mm: tuple[tuple[float, float], ...]
    flags: tuple[str, ...]
    snapshot: str | None
    review: Review = "needs_review"
    remarks: str = ""
    photograph: Photograph | None = None
    opening: Opening | None = None
    reviewed_by: str = ""
    reviewed_utc: str = ""


class Gap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch that was not inspected, and why: `camera_lost`, `engine_crashed`, a fault, ...

    Attributes:
        file: of a picture that could not be read, the file.
        detail: what is wrong with it.
    """

    reason: str
    segment: int
    first_frame_id: int
    last_frame_id: int
    start_m: float | None
    end_m: float | None
    mono_from_ns: int
    mono_to_ns: int
    file: str = ""
    detail: str = ""
