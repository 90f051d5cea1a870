"""Numbers and flags as a client reads them; nothing here is escaped, the page does that."""

from __future__ import annotations

from scnet_edge.inspection.records import Figure, Observation
from scnet_edge.survey.folder import Survey

FLAGS = {
    "no_scale": "no scale is known here, so sizes are in pixels",
    "no_roll": "the robot's roll is not known, so the clock position may be turned",
    "no_odometry": "no odometer, so no chainage is known",
    "visual_odometry": "no odometer: the way was taken from the pictures",
    "no_snapshot": "no picture: the disk had no room for it",
    "before_start": "it was seen before 0 m, too; its place is given from 0 m on",
    "odometry_jump": "the odometer jumped nearby",
    "odometry_reset": "the odometer was reset nearby",
    "odometry_nan": "the odometer gave no number nearby",
    "odometry_lost": "the odometer was silent here",
    "odometry_disagrees": "the odometer moved and the picture did not, or the other way round",
    "clock_unsynced": "the wall clock was not set",
    "degraded": "the machine ran at reduced quality",
    "mask_corrected": "a person corrected the mask; the figures are still the program's",
    "code_corrected": "a person corrected the code",
    "clock_corrected": "a person corrected the clock position",
    "edge_of_view": "the crack leaves the view, so it may be longer",
    "seen_once": "seen in one frame only, though others looked at its place: check it first",
}
KINDS = {
    "longitudinal": "Longitudinal crack",
    "circumferential": "Circumferential crack",
    "spiral": "Spiral crack",
    "multiple": "Branching cracks",
}
WALL_KINDS = {  # along and across the direction of travel
    "longitudinal": "Crack along the wall",
    "circumferential": "Crack across the wall",
    "spiral": "Diagonal crack",
    "multiple": "Branching cracks",
}
REASONS = {
    "camera_lost": "the camera was gone",
    "frozen": "the picture was frozen",
    "black": "the picture was black",
    "blank": "the picture was of one colour, as without a signal",
    "overexposed": "the picture was too bright",
    "underexposed": "the picture was too dark",
    "blurred": "the picture was blurred",
    "corrupt": "frames were damaged",
    "geometry": "frames had another size",
    "engine_crashed": "the model's engine crashed or hung",
    "no_picture": "the film holds no picture there",
    "cut": "the file is cut: its end is missing",
    "dropped": "frames were dropped for lack of time",
}
ALL_AROUND, RING_H = "all around", 11.9  # a crack all around is recorded from 0 to 11.99 h
REVIEWS = {"needs_review": "to review", "accepted": "accepted", "rejected": "rejected"}


def say_nothing_found(survey: Survey) -> str:
    """Return what may be said of a survey without a crack: nothing of what was not seen."""
    if survey.progress is not None and not survey.progress.frames:
        return "Nothing was inspected"
    return "No crack was found in what was seen" if survey.gaps else "No crack was found"


def with_sigma(figure: Figure | None, unit: str) -> str:
    """Return `1.24 ± 0.08 mm`, to the digits that the uncertainty allows."""
    if figure is None:
        return "\u2013"
    digits = _digits(figure.sigma)
    return f"{figure.value:.{digits}f} ± {figure.sigma:.{digits}f} {unit}"


def length_text(observation: Observation, *, sigma: bool = True) -> str:
    """Return the length in mm, or in m from one metre on; else in pixels."""
    length = observation.length_mm
    if length is None:
        return f"{observation.length_px:.0f} px"
    share, unit = (1e-3, "m") if length.value >= 1000 else (1.0, "mm")
    scaled = Figure(length.value * share, length.sigma * share)
    if sigma:
        return with_sigma(scaled, unit)
    return f"{scaled.value:.2f} m" if unit == "m" else f"{scaled.value:.0f} mm"


def width_text(observation: Observation) -> str:
    """Return the width that stands for the crack, its 95th percentile."""
    if observation.width_p95_mm is not None:
        return with_sigma(observation.width_p95_mm, "mm")
    return f"{observation.width_p95_px:.1f} px"


def place_text(observation: Observation) -> str:
    """Return where along the survey: `4.20 \u2013 4.61 m`; empty where that is not known."""
    if observation.start_m is None or observation.end_m is None:
        return ""
    start, end = f"{observation.start_m:.2f}", f"{observation.end_m:.2f}"
    return f"{start} m" if start == end else f"{start} \u2013 {end} m"


def clock_text(observation: Observation) -> str:
    """Return `2:30 \u2013 3:15` around the pipe, or `all around`; empty where that is not known."""
    if observation.clock_from is None or observation.clock_to is None:
        return ""
    if extent_h(observation.clock_from, observation.clock_to) >= RING_H:
        return ALL_AROUND
    start, end = _hours(observation.clock_from), _hours(observation.clock_to)
    return start if start == end else f"{start} \u2013 {end}"


def extent_h(clock_from: float, clock_to: float) -> float:
    """Return how many hours it is clockwise: two ends that round to one may be a circle apart."""
    return (clock_to - clock_from) % 12


def time_text(seconds: float) -> str:
    """Return `1:02:03.4`, without hours where there are none."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _hours(clock_h: float) -> str:
    minutes = round(clock_h * 60 / 5) * 5 % 720  # to five minutes, 2.5 degrees
    return f"{minutes // 60 or 12}:{minutes % 60:02d}"


def _digits(sigma: float) -> int:
    if sigma >= 10:
        return 0
    return 1 if sigma >= 1 else 2
