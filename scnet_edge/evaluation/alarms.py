"""False alarms: what a model calls a crack in frames that have none, frame by frame."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.evaluation.bootstrap import interval_of_mean
from scnet_edge.models.decision import Decision
from scnet_edge.types import Map, Mask

LEAST_PX = 20  # connected pixels that count as a crack, as in an inspection


class Alarms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model says of frames without a crack, by one decision.

    Attributes:
        threshold, seed: The decision.
        frames: How many there are.
        alarmed: Share of them with at least one alarm.
        alarmed_ci95: Its interval, by resampling frames.
        per_frame: Alarms a frame, each a connected area of `LEAST_PX` pixels or more.
        pixels: Share of all pixels that are called crack.
    """

    threshold: float
    seed: float = 0.0
    frames: int
    alarmed: float
    alarmed_ci95: tuple[float, float]
    per_frame: float
    pixels: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameAlarms:
    """The alarms of one frame.

    Attributes:
        areas: Connected areas that count as a crack.
        pixels: Pixels that are called crack.
        size: All pixels.
    """

    areas: int
    pixels: int
    size: int


def count_alarms(mask: Mask) -> FrameAlarms:
    """Return the alarms of a mask (h, w) bool of a frame without a crack."""
    return FrameAlarms(areas=count_areas(mask), pixels=int(mask.sum()), size=mask.size)


def count_areas(mask: Mask) -> int:
    """Return how many connected areas of a mask count as a crack."""
    if not mask.any():
        return 0
    areas = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2]
    return int((areas[1:, cv2.CC_STAT_AREA] >= LEAST_PX).sum())


def alarm_levels(probability: Map, decisions: Sequence[Decision]) -> npt.NDArray[np.bool_]:
    """Return whether each decision alarms at a frame; they go from the loudest to the quietest."""

    def is_quiet(place: int) -> bool:
        return count_areas(decisions[place].mask_of(probability)) == 0

    places = range(len(decisions))
    return np.asarray(np.arange(len(decisions)) < bisect_left(places, True, key=is_quiet))


def add_alarms(frames: Iterable[FrameAlarms], decision: Decision) -> Alarms:
    """Return the alarms of many frames by one decision.

    Raises:
        InputError: there are no frames.
    """
    frames = list(frames)
    areas = np.array([frame.areas for frame in frames], np.int64)
    alarmed = (areas > 0).astype(np.float64)
    ci95 = interval_of_mean(alarmed)
    return Alarms(
        threshold=decision.threshold,
        seed=decision.seed,
        frames=len(frames),
        alarmed=float(alarmed.mean()),
        alarmed_ci95=ci95,
        per_frame=float(areas.mean()),
        pixels=sum(f.pixels for f in frames) / sum(f.size for f in frames),
    )
