"""Ratings computed from suggested grades: as good as the suggestions are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from scnet_edge.survey.codes import Suggestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """PACP's three structural figures.

    Attributes:
        pipe_rating: sum over all occurrences of their grades.
        index: that sum over the number of occurrences; 0 without any.
        quick: highest grade, its count, next grade, its count; `3221` is two of grade 3, one of 2.
    """

    pipe_rating: int
    index: float
    quick: str


def rate(suggestions: Iterable[Suggestion]) -> Rating:
    """Return the ratings of a survey."""
    counts: Counter[int] = Counter()
    for suggestion in suggestions:
        counts[suggestion.grade] += suggestion.occurrences
    total = sum(grade * count for grade, count in counts.items())
    return Rating(
        pipe_rating=total,
        index=total / counts.total() if counts else 0.0,
        quick=quick_rating(counts),
    )


def quick_rating(counts: Counter[int]) -> str:
    """Return the quick rating; ten and more are letters, A for 10 to 14, B for 15 to 19, ..."""
    highest = sorted(counts.items(), reverse=True)[:2]
    return "".join(f"{grade}{_count(count)}" for grade, count in highest).ljust(4, "0")


def _count(count: int) -> str:
    return str(count) if count < 10 else chr(ord("A") + min((count - 10) // 5, 25))
