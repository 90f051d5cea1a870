"""Distances from the database: where an operator noted both the time and the distance.

For films without an odometer. Between two notes the camera is taken to have moved evenly; what
that may be wrong by is in every chainage.
"""

from __future__ import annotations

from pathlib import Path

from scnet_edge.archive.coding import CodedInspection
from scnet_edge.files import write_file

_MOST = 2000  # conditions of one inspection that are looked at
LEAST_READINGS = 2  # one note alone says nothing of the rest


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
