"""What of a survey a person should look at first, and what stands aside, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scnet_edge.inspection.records import Observation
from scnet_edge.inspection.structures import find_structures
from scnet_edge.survey.folder import Survey

MIN_CONFIDENCE = 0.7  # mean probability over a crack; on simulated rides every true crack has more
Reason = Literal["joint", "water_line", "short", "unsure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedRecords:
    """The records of a survey, each in one of two parts, in the order of the survey.

    Attributes:
        prominent: cracks that a person should look at.
        aside: the others, each with its reason.
    """

    prominent: tuple[Observation, ...]
    aside: tuple[tuple[Observation, Reason], ...]


def sort_records(survey: Survey, min_confidence: float = MIN_CONFIDENCE) -> SortedRecords:
    """Return the records that stand for cracks, and those that stand aside.

    What a person accepted is prominent, whatever it looks like.

    Args:
        survey: what `read_survey` gave.
        min_confidence: in [0, 1]; records less sure stand aside. With 0 nothing stands aside.
    """
    structures = find_structures(survey.observations) if min_confidence > 0 else {}
    prominent, aside = [], list[tuple[Observation, Reason]]()
    for one in survey.observations:
        reason: Reason | None = structures.get(one.seq)
        if reason is None and min_confidence > 0 and "short" in one.flags:
            reason = "short"
        if reason is None and one.confidence < min_confidence:
            reason = "unsure"
        if reason is None or one.review == "accepted":
            prominent.append(one)
        else:
            aside.append((one, reason))
    return SortedRecords(prominent=tuple(prominent), aside=tuple(aside))


def counted_reasons(records: SortedRecords) -> str:
    """Return how many stand aside, in words; empty where none does."""
    words = {
        "joint": "of joints",
        "water_line": "of water lines",
        "short": "short",
        "unsure": "unsure",
    }
    counts = {reason: 0 for reason in words}
    for _, reason in records.aside:
        counts[reason] += 1
    return ", ".join(f"{n} {words[reason]}" for reason, n in counts.items() if n)
