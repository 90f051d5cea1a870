"""What of a survey a person should look at first, and what stands aside, with the reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from scnet_edge.inspection.records import Observation
from scnet_edge.inspection.structures import find_structures
from scnet_edge.survey.folder import Survey

MIN_CONFIDENCE = 0.7  # mean probability over a crack; on simulated rides every true crack has more
REASONS = {
    "joint": "joint of the pipe",
    "roots": "roots at a joint",
    "water_line": "water line",
    "short": "short",
    "unsure": "unsure",
}


def set_aside(survey: Survey, min_confidence: float = MIN_CONFIDENCE) -> Survey:
    """Return a survey whose observations are the cracks to look at; the others are `aside`.

    Joints, roots at them and water lines stand aside, and what is short or less sure. What a
    person accepted is looked at, whatever it looks like.

    Args:
        survey: what `read_survey` gave.
        min_confidence: in [0, 1], of a record's mean probability; with 0 nothing stands aside.
    """
    if min_confidence <= 0:
        return survey
    structures = find_structures(survey.observations)

    def reason(one: Observation) -> str | None:
        if one.review == "accepted":
            return None
        if one.seq in structures:
            return structures[one.seq]
        if "short" in one.flags:
            return "short"
        return "unsure" if one.confidence < min_confidence else None

    reasons = [(one, reason(one)) for one in survey.observations]
    return replace(
        survey,
        observations=tuple(one for one, why in reasons if why is None),
        aside=tuple((one, why) for one, why in reasons if why is not None),
    )


def count_aside(survey: Survey) -> str:
    """Return how many records stand aside and why, in words: `11 joint of the pipe, 3 short`."""
    counts = Counter(why for _, why in survey.aside)
    return ", ".join(f"{counts[why]} {words}" for why, words in REASONS.items() if counts[why])
