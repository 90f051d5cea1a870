"""What may be compared, and by how much: F1 of the same images and weights, and ratios of speeds.

Ratios of rounds have 95 % intervals, by resampling the rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scnet_edge.bench.schema import BenchmarkResult, BenchmarkRow

F1_LOSS = 0.002  # the same weights on the same images differ by far less
Ratio = tuple[float, float, float]  # the median, and its 95 % interval over rounds
PAIRED, MEDIANS, SEED = 1000, 2000, 0


class Basis(NamedTuple):
    """What F1 of some rows is of."""

    at: int  # which result
    data: str | None
    images: int


def basis_of(at: int, row: BenchmarkRow) -> Basis:
    """Return what a row's F1 is of."""
    return Basis(at, row.data, row.images)


def comparable(results: Sequence[BenchmarkResult]) -> list[list[Basis]]:
    """Return groups of what may share an axis, in the order of the results."""
    groups: list[list[Basis]] = []
    for at, result in enumerate(results):
        for one in dict.fromkeys(basis_of(at, row) for row in result.rows if row.f1 is not None):
            fits = [g for g in groups if all(_alike(results, one, other) for other in g)]
            if fits:
                fits[0].append(one)
            else:
                groups.append([one])
    return groups


def same_images(
    a: BenchmarkResult, row: BenchmarkRow, b: BenchmarkResult, other: BenchmarkRow
) -> bool:
    """Return whether two rows were scored on the same images, as far as the results tell."""
    told = a.scored is not None and b.scored is not None
    return (row.data, row.images) == (other.data, other.images) and (
        not told or a.scored == b.scored
    )


def other_weights(row: BenchmarkRow, other: BenchmarkRow) -> bool | None:
    """Return whether two rows ran other weights or graphs; None where a row does not say."""
    hashes = (row.sha256, other.sha256)
    return None if None in hashes else hashes[0] != hashes[1]


def another_network(row: BenchmarkRow, other: BenchmarkRow) -> bool:
    """Return whether rows of one name are of two networks: by hash, or by an F1 that differs."""
    known = other_weights(row, other)
    if known is not None:
        return known
    if row.precision != "fp32" or row.f1 is None or other.f1 is None:
        return False  # machines may round INT8 differently
    return abs(row.f1 - other.f1) > F1_LOSS


def _alike(results: Sequence[BenchmarkResult], one: Basis, other: Basis) -> bool:
    if one.at == other.at:
        return one == other
    ours, theirs = (
        {row.case_key: row for row in results[b.at].rows if basis_of(b.at, row) == b}
        for b in (one, other)
    )
    a, b = results[one.at], results[other.at]
    if not same_images(a, next(iter(ours.values())), b, next(iter(theirs.values()))):
        return False
    return not any(another_network(ours[key], theirs[key]) for key in ours.keys() & theirs.keys())


def paired_ratio(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> Ratio:
    """Return the median of the ratio of paired rounds and its 95 % interval over rounds."""
    ratio = np.asarray(ours, float) / np.asarray(theirs, float)
    draws = np.random.default_rng(SEED).integers(0, len(ratio), (PAIRED, len(ratio)))
    low, high = _interval(np.median(ratio[draws], axis=1))
    return round(float(np.median(ratio)), 3), round(low, 3), round(high, 3)


def ratio_of_medians(ours: npt.ArrayLike, theirs: npt.ArrayLike) -> Ratio:
    """Return median(ours) / median(theirs) and its 95 % interval; the rounds are not paired."""
    rng = np.random.default_rng(SEED)
    a, b = np.asarray(ours, float), np.asarray(theirs, float)
    draws_a = np.median(a[rng.integers(0, len(a), (MEDIANS, len(a)))], axis=1)
    draws_b = np.median(b[rng.integers(0, len(b), (MEDIANS, len(b)))], axis=1)
    low, high = _interval(draws_a / draws_b)
    return float(np.median(a) / np.median(b)), low, high


def _interval(draws: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(draws, (2.5, 97.5))
    return float(low), float(high)
