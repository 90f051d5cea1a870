"""Where cracks are along the pipe, in a film that has distances but no scale.

Without a scale nothing says how far a metre is in the picture, so that distances cannot help to
follow a crack from frame to frame; the pictures themselves do. What the distances say is where the
camera was when it saw a crack best: what a person notes, too.

For films without an odometer, the distances are those of the database: where an operator noted both
the time and the distance. Between two notes the camera is taken to have moved evenly; what that may
be wrong by is in every chainage.
"""

from __future__ import annotations

from dataclasses import replace as replaced
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from scnet_edge.archive.coding import CodedInspection
from scnet_edge.files import write_file
from scnet_edge.inspection.odometry import Odometry, open_odometry
from scnet_edge.inspection.odometry_file import read_odometry
from scnet_edge.inspection.records import Observation
from scnet_edge.inspection.setup import Setup
from scnet_edge.survey.folder import Survey
from scnet_edge.types import Captured

_MOST = 2000  # conditions of one inspection that are looked at
LEAST_READINGS = 2  # one note alone says nothing of the rest
_OF_THE_PICTURES = {"visual_odometry", "no_odometry", "odometry_lost"}
_NO_FRAME = np.zeros((1, 1, 3), np.uint8)


def coded_readings(inspection: CodedInspection, max_speed_mps: float) -> list[tuple[float, float]]:
    """Return (seconds of the film, metres), times going up, without what no camera can do.

    Of notes that contradict each other the longest sequence is kept in which no step is faster
    than that speed: one wrong time does not take the right ones with it.
    """
    noted = sorted(
        {
            (c.film_s, c.distance_m)
            for c in inspection.conditions[:_MOST]
            if c.film_s is not None and c.distance_m is not None
        }
    )
    length, before = [1] * len(noted), [-1] * len(noted)
    for i, (time_s, metres) in enumerate(noted):
        for j, (earlier_s, from_m) in enumerate(noted[:i]):
            possible = 0 < time_s - earlier_s >= abs(metres - from_m) / max_speed_mps
            if possible and length[j] >= length[i]:
                length[i], before[i] = length[j] + 1, j
    kept, at = [], max(range(len(noted)), key=length.__getitem__, default=-1)
    while at >= 0:
        kept.append(noted[at])
        at = before[at]
    return kept[::-1]


def write_readings(path: Path, readings: list[tuple[float, float]]) -> None:
    """Write (seconds of the film, metres) as an odometry file."""
    lines = ["time_s,chainage_m", *(f"{time_s:g},{metres:.3f}" for time_s, metres in readings)]
    write_file(path, ("\n".join(lines) + "\n").encode())


def has_no_scale(setup: Setup) -> bool:
    """Return whether a geometry has no scale."""
    return setup.mode == "wall" and setup.mm_per_px is None


def with_chainage(survey: Survey, readings: Path, setup: Setup) -> Survey:
    """Return a survey whose records have the distances of their best frames.

    Args:
        survey: of a film.
        readings: an odometry file, in seconds of the film.
        setup: says how fast the camera may be.
    """
    with open_odometry(str(readings), setup) as odometry:
        observations = tuple(_place(o, odometry) for o in survey.observations)
    reached_m = max(row.chainage_m for row in read_odometry(readings).rows)
    progress = survey.progress and replace(survey.progress, chainage_m=reached_m)
    return replaced(survey, observations=observations, progress=progress)


def _place(o: Observation, odometry: Odometry) -> Observation:
    pose = odometry.at(_frame_at(o.time_s or 0.0))
    flags = [*(flag for flag in o.flags if flag not in _OF_THE_PICTURES), *pose.flags]
    return replace(
        o,
        start_m=pose.chainage_m,
        end_m=pose.chainage_m,
        start_sigma_m=pose.sigma_m,
        segment=pose.segment,
        flags=tuple(dict.fromkeys(flags)),
    )


def _frame_at(time_s: float) -> Captured:
    return Captured(frame_id=0, name="", frame=_NO_FRAME, mono_ns=0, time_s=time_s)
