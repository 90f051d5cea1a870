"""What a run scores, in pixels against known masks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.errors import InputError
from scnet_edge.types import Mask

TOLERANCES_PX = (0, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Pixels counted over any number of frames; add them first, divide afterwards.

    Attributes:
        predicted: pixels called crack.
        right: those of them with true crack within the tolerance.
        true: pixels that are crack.
        found: those of them with predicted crack within the tolerance.
    """

    predicted: int = 0
    right: int = 0
    true: int = 0
    found: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return the counts of both together."""
        return Counts(
            predicted=self.predicted + other.predicted,
            right=self.right + other.right,
            true=self.true + other.true,
            found=self.found + other.found,
        )

    @property
    def precision(self) -> float:
        """Share of the predicted crack that is right; 1 when nothing is predicted."""
        return self.right / self.predicted if self.predicted else 1.0

    @property
    def recall(self) -> float:
        """Share of the true crack that is found; 1 when there is none."""
        return self.found / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in [0, 1]."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def count_pixels(mask: Mask, truth: Mask, *, tolerance_px: int = 0) -> Counts:
    """Return one frame's counts; a pixel matches another within `tolerance_px`, Euclidean.

    Args:
        mask: (h, w) bool, predicted.
        truth: (h, w) bool, known.
        tolerance_px: How far apart a match may lie; annotators differ by a pixel or two.
    """
    return Counts(
        predicted=int(mask.sum()),
        right=int((mask & _grown(truth, tolerance_px)).sum()),
        true=int(truth.sum()),
        found=int((truth & _grown(mask, tolerance_px)).sum()),
    )


class Scoreboard:
    """Running counts at each tolerance; empty until the first frame with a known mask.

    Attributes:
        counts: tolerance in pixels -> counts over the frames so far.
    """

    def __init__(self) -> None:
        self.counts: dict[int, Counts] = {}

    def add(self, mask: Mask, truth: Mask, *, where: str = "frame") -> None:
        """Count one frame.

        Raises:
            InputError: the masks differ in size.
        """
        if mask.shape != truth.shape:
            raise InputError(f"{where}: truth mask has shape {truth.shape}, expected {mask.shape}")
        for tolerance_px in TOLERANCES_PX:
            counts = count_pixels(mask, truth, tolerance_px=tolerance_px)
            self.counts[tolerance_px] = self.counts.get(tolerance_px, Counts()) + counts


def _grown(mask: Mask, radius_px: int) -> Mask:
    if not radius_px:
        return mask
    y, x = np.ogrid[-radius_px : radius_px + 1, -radius_px : radius_px + 1]
    disc: npt.NDArray[np.uint8] = (x * x + y * y <= radius_px * radius_px).astype(np.uint8)
    return cv2.dilate(mask.view(np.uint8), disc).astype(np.bool_)
