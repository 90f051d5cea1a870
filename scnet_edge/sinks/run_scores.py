"""What a run scores, in pixels against known masks."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.errors import InputError
from scnet_edge.types import Mask, PixelCounts

TOLERANCES_PX = (0, 2)


def count_pixels(mask: Mask, truth: Mask, *, tolerance_px: int = 0) -> PixelCounts:
    """Return one frame's counts; a pixel matches another within `tolerance_px`, Euclidean.

    Args:
        mask: (h, w) bool, predicted.
        truth: (h, w) bool, known.
        tolerance_px: How far apart a match may lie; annotators differ by a pixel or two.
    """
    return PixelCounts(
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
        self.counts: dict[int, PixelCounts] = {}

    def add(self, mask: Mask, truth: Mask, *, where: str = "frame") -> None:
        """Count one frame.

        Raises:
            InputError: the masks differ in size.
        """
        if mask.shape != truth.shape:
            raise InputError(f"{where}: truth mask has shape {truth.shape}, expected {mask.shape}")
        for tolerance_px in TOLERANCES_PX:
            counts = count_pixels(mask, truth, tolerance_px=tolerance_px)
            self.counts[tolerance_px] = self.counts.get(tolerance_px, PixelCounts()) + counts


def _grown(mask: Mask, radius_px: int) -> Mask:
    if not radius_px:
        return mask
    y, x = np.ogrid[-radius_px : radius_px + 1, -radius_px : radius_px + 1]
    disc: npt.NDArray[np.uint8] = (x * x + y * y <= radius_px * radius_px).astype(np.uint8)
    return cv2.dilate(mask.view(np.uint8), disc).astype(np.bool_)
