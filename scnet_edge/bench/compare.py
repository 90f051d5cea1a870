"""Two results of one machine: what became worse beyond the noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scnet_edge.bench.schema import Result, Row
from scnet_edge.errors import ConfigError

SLOWER = 0.05  # runs of one program differ by some per cent, whatever their rounds say
F1_LOSS = 0.002  # the same weights on the same images differ by far less
RSS_GROWTH = 0.10
RESAMPLES, SEED = 2000, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row in both results.

    Attributes:
        speed: FPS after over FPS before, the medians over rounds.
        speed_ci95: Its interval over rounds.
        f1: After minus before; None where either is missing or of other images.
        rss: Resident memory after over before.
        worse: What became worse beyond the noise; empty when nothing did.
    """

    row: Row
    speed: float
    speed_ci95: tuple[float, float]
    f1: float | None
    rss: float
    worse: tuple[str, ...]


def compare(before: Result, after: Result) -> list[Change]:
    """Return what changed, row by row, in the order of `before`.

    Raises:
        ConfigError: they are of two machines, or have no row in common.
    """
    if before.environment.identity != after.environment.identity:
        names = [f"{r.environment.cores} cores of {r.environment.cpu}" for r in (before, after)]
        raise ConfigError(
            f"results of two machines cannot be compared: {names[0]} and {names[1]}; "
            "'bench report' shows both"
        )
    later = {row.key: row for row in after.rows}
    changes = [_change(row, later[row.key]) for row in before.rows if row.key in later]
    if not changes:
        raise ConfigError("the two results have no row in common; run the same suite twice")
    return changes


def missing(before: Result, after: Result) -> list[Row]:
    """Return the rows that only `before` has."""
    later = {row.key for row in after.rows}
    return [row for row in before.rows if row.key not in later]


def _change(before: Row, after: Row) -> Change:
    speed, low, high = ratio_of_medians(after.round_fps, before.round_fps)
    same_images = (before.data, before.images) == (after.data, after.images)
    f1 = None
    if before.f1 is not None and after.f1 is not None and same_images:
        f1 = after.f1 - before.f1
    rss = after.rss_mb / before.rss_mb
    worse = [
        name
        for name, found in (
            ("slower", high < 1 - SLOWER),
            ("less accurate", f1 is not None and f1 < -F1_LOSS),
            ("larger in memory", rss > 1 + RSS_GROWTH),
        )
        if found
    ]
    return Change(
        row=after, speed=speed, speed_ci95=(low, high), f1=f1, rss=rss, worse=tuple(worse)
    )


def ratio_of_medians(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Return median(ours) / median(theirs) and its 95 % interval; the rounds are not paired."""
    rng = np.random.default_rng(SEED)
    a, b = np.asarray(ours), np.asarray(theirs)
    draws_a = np.median(a[rng.integers(0, len(a), (RESAMPLES, len(a)))], axis=1)
    draws_b = np.median(b[rng.integers(0, len(b), (RESAMPLES, len(b)))], axis=1)
    low, high = np.percentile(draws_a / draws_b, (2.5, 97.5))
    return float(np.median(a) / np.median(b)), float(low), float(high)
