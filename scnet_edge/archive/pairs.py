"""Which records of two lists belong together: the likeliest pairs, and how sure each of them is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Costs = npt.NDArray[np.float64]
MOST_CELLS = 250_000  # of a group in which the second best way to pair is looked for


@dataclass(frozen=True, slots=True)
class LikelyPair:
    """A row and a column that belong together.

    Attributes:
        margin: by how much all pairs together would be less likely without this one, as the
            logarithm of a ratio; 0 where another way to pair is as likely, and in a group of
            hundreds that are all near to each other.
    """

    row: int
    column: int
    margin: float


def likeliest_pairs(
    costs: Costs, *, twins: npt.NDArray[np.bool_] | None = None
) -> list[LikelyPair]:
    """Return pairs, one to one, of the least cost together; what costs more than 0 stays alone.

    Args:
        costs: (rows, columns), the negative logarithm of how much likelier two belong together
            than not; infinite where they cannot.
        twins: (rows, rows), rows that are one thing: which of them a column has makes no margin.
    """
    alike = np.eye(costs.shape[0], dtype=bool) if twins is None else twins
    return [pair for group in _groups(costs) for pair in _pairs_of(costs, alike, *group)]


def _groups(costs: Costs) -> Iterator[tuple[list[int], list[int]]]:
    """Yield rows and columns that nothing connects with the others."""
    free = dict.fromkeys(range(costs.shape[0]))
    possible = costs < 0
    while free:
        rows, columns = [free.popitem()[0]], dict[int, None]()
        for row in rows:  # grows on the way
            for column in map(int, np.flatnonzero(possible[row])):
                if column not in columns:
                    columns[column] = None
                    more = [r for r in map(int, np.flatnonzero(possible[:, column])) if r in free]
                    rows += [r for r in more if free.pop(r, r) is None]
        if columns:
            yield sorted(rows), sorted(columns)


def _pairs_of(
    costs: Costs, alike: npt.NDArray[np.bool_], rows: list[int], columns: list[int]
) -> Iterator[LikelyPair]:
    part = np.minimum(costs[np.ix_(rows, columns)], 0.0)
    least, chosen = _solve(part)
    for i, j in chosen:
        if part.size > MOST_CELLS:
            yield LikelyPair(rows[i], columns[j], 0.0)
            continue
        without = part.copy()
        without[alike[rows[i], rows], j] = 0.0
        yield LikelyPair(rows[i], columns[j], _solve(without)[0] - least)


def _solve(costs: Costs) -> tuple[float, list[tuple[int, int]]]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(costs)
    pairs = [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if costs[i, j] < 0]
    return float(sum(costs[i, j] for i, j in pairs)), pairs
