"""False alarms: what a model calls a crack in frames that have none, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.evaluation.bootstrap import interval_of_mean
from scnet_edge.types import Map, Mask

LEAST_PX = 20  # connected pixels that count as a crack, as in an inspection
GRID = np.arange(1, 20) / 20  # the thresholds that alarms are counted at: 0.05 to 0.95


class Alarms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model says of frames without a crack, at one threshold.

    Attributes:
        frames: How many there are.
        alarmed: Share of them with at least one alarm.
        alarmed_ci95: Its interval, by resampling frames.
        per_frame: Alarms a frame, each a connected area of `LEAST_PX` pixels or more.
        pixels: Share of all pixels that are called crack.
    """

    threshold: float
    frames: int
    alarmed: float
    alarmed_ci95: tuple[float, float]
    per_frame: float
    pixels: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameAlarms:
    """The alarms of one frame at each of `GRID`.

    Attributes:
        alarms: (19,) int64: connected areas that count.
        share: (19,) float64: of its pixels that are called crack.
    """

    alarms: npt.NDArray[np.int64]
    share: npt.NDArray[np.float64]


def count_alarms(probability: Map) -> FrameAlarms:
    """Return what a probability map (h, w) alarms at, threshold by threshold."""
    masks = [probability >= np.float32(threshold) for threshold in GRID]
    return FrameAlarms(
        alarms=np.array([count_areas(mask) for mask in masks], np.int64),
        share=np.array([mask.mean() for mask in masks], np.float64),
    )


def count_areas(mask: Mask) -> int:
    """Return how many connected areas of a mask count as a crack."""
    if not mask.any():
        return 0
    areas = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2]
    return int((areas[1:, cv2.CC_STAT_AREA] >= LEAST_PX).sum())


def alarmed(frames: Iterable[FrameAlarms]) -> npt.NDArray[np.float64]:
    """Return the share of frames that are alarmed at each of `GRID`, (19,)."""
    return np.asarray(np.mean([frame.alarms > 0 for frame in frames], 0), np.float64)


def summed(frames: list[FrameAlarms], threshold: float) -> Alarms:
    """Return the alarms of frames at one threshold of `GRID`."""
    at = int(np.argmin(np.abs(GRID - threshold)))
    counts = np.array([frame.alarms[at] for frame in frames])
    return Alarms(
        threshold=float(GRID[at]),
        frames=len(frames),
        alarmed=float((counts > 0).mean()),
        alarmed_ci95=interval_of_mean((counts > 0).astype(np.float64)),
        per_frame=float(counts.mean()),
        pixels=float(np.mean([frame.share[at] for frame in frames])),
    )
