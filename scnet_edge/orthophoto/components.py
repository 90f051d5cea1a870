"""The connected areas of a picture that comes strip by strip, each as runs of pixels.

Runs take as much memory as there is crack, not as the picture is large. A pixel has a level, 0 for
nothing; pixels of all other levels connect, and a run is of one level.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.types import Mask

Levels: TypeAlias = npt.NDArray[np.uint8]  # (h, w)
Runs: TypeAlias = npt.NDArray[np.int32]  # (n, 4): row, first column, first column behind, level
Labels: TypeAlias = npt.NDArray[np.int64]  # (w,), the component of each pixel; 0 for none


@dataclass(frozen=True, slots=True)
class Component:
    """One 8-connected component, or a piece of one.

    Attributes:
        runs: its pixels.
    """

    runs: Runs

    def area_px(self, least: int = 1) -> int:
        """Return how many pixels are of that level or a higher one."""
        runs = self.runs[self.runs[:, 3] >= least]
        return int((runs[:, 2] - runs[:, 1]).sum())

    @property
    def box(self) -> tuple[slice, slice]:
        """The rows and columns that it lies in."""
        rows, left, right, _ = self.runs.T
        return slice(int(rows.min()), int(rows.max()) + 1), slice(int(left.min()), int(right.max()))

    def mask(self, rows: slice, columns: slice) -> Mask:
        """Return it drawn into a window that holds it, (h, w) bool."""
        return draw(self.runs, rows, columns)

    def pieces(self, side_px: int) -> Iterator[Component]:
        """Yield it whole, where its box has no more pixels than such a square, or cut up so."""
        rows, columns = self.box
        height_px, width_px = rows.stop - rows.start, columns.stop - columns.start
        if height_px * width_px <= side_px**2:
            yield self
            return
        for top in range(rows.start, rows.stop, side_px):
            band = self.runs[(self.runs[:, 0] >= top) & (self.runs[:, 0] < top + side_px)]
            for left in range(columns.start, columns.stop, side_px):
                cut = band.copy()
                cut[:, 1:3] = cut[:, 1:3].clip(left, left + side_px)
                cut = cut[cut[:, 1] < cut[:, 2]]
                if len(cut):
                    yield Component(cut)


class Components:
    """Takes the strips of a picture from top to bottom and gives the areas that are complete."""

    def __init__(self) -> None:
        self._row = 0  # the first of the next strip
        self._edge: Labels | None = None  # of the last row so far
        self._open: dict[int, list[Runs]] = {}
        self._next = 1

    def push(self, strip: Levels) -> Iterator[Component]:
        """Take a strip; yield what ends above its last row."""
        _, found = cv2.connectedComponents(strip, connectivity=8)
        runs = _runs(strip)
        names = found[runs[:, 0], runs[:, 1]]
        order = np.argsort(names, kind="stable")
        runs, names = runs[order], names[order]
        runs[:, 0] += self._row
        count = int(found.max()) + 1
        starts = np.searchsorted(names, np.arange(1, count + 1))
        own = np.zeros(count, np.int64)  # the component of each name
        for name in range(1, count):
            own[name] = self._next
            self._open[self._next] = [runs[starts[name - 1] : starts[name]]]
            self._next += 1
        joined = self._join_across(own, found[0])
        own = np.array([_root(joined, int(label)) for label in own], np.int64)
        for label, root in joined.items():
            if (root := _root(joined, root)) != label:
                self._open[root] += self._open.pop(label)
        self._edge = own[found[-1]]
        self._row += len(strip)
        going_on = set(self._edge.tolist())
        for label in [label for label in self._open if label not in going_on]:
            yield Component(np.concatenate(self._open.pop(label)))

    def end(self) -> Iterator[Component]:
        """Yield what reaches the last row of the last strip."""
        for parts in self._open.values():
            yield Component(np.concatenate(parts))
        self._open = {}

    def _join_across(self, own: Labels, first_row: npt.NDArray[np.int32]) -> dict[int, int]:
        """Return which components touch across the border, each pointing to an older one."""
        joined: dict[int, int] = {}
        if self._edge is None:
            return joined
        below = own[first_row]
        above = np.pad(self._edge, 1)
        for shift in range(3):  # left above, above, right above
            beside = above[shift : shift + len(below)]
            touching = (beside > 0) & (below > 0)
            for pair in np.unique(np.stack([beside, below])[:, touching], axis=1).T.tolist():
                one, other = sorted(_root(joined, label) for label in pair)
                if one != other:
                    joined[other] = one
        return joined


def _root(joined: dict[int, int], label: int) -> int:
    while label in joined:
        label = joined[label]
    return label


def draw(runs: Runs, rows: slice, columns: slice) -> Mask:
    """Return runs drawn into a window that holds them, (h, w) bool."""
    steps = np.zeros((rows.stop - rows.start, columns.stop - columns.start + 1), np.int8)
    below = runs[:, 0] - rows.start
    np.add.at(steps, (below, runs[:, 1] - columns.start), 1)
    np.add.at(steps, (below, runs[:, 2] - columns.start), -1)
    return np.cumsum(steps, axis=1, dtype=np.int8)[:, :-1] > 0


def _runs(levels: Levels) -> Runs:
    """Return the runs of a strip, row by row."""
    padded = np.pad(levels, ((0, 0), (1, 1)))
    before, after = padded[:, :-1], padded[:, 1:]
    change = before != after
    rows, left = np.nonzero(change & (after > 0))
    right = np.nonzero(change & (before > 0))[1]
    return np.stack([rows, left, right, levels[rows, left]], axis=1).astype(np.int32)
