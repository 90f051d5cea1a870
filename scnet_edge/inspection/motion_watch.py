"""Whether picture and odometer agree on when the robot moves.

Wheels spin, cables run out without the camera, encoders die, and people turn the camera while the
robot stands. Then cracks are put where they are not, and nothing else tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from scnet_edge.inspection.readings import Pose
from scnet_edge.inspection.setup import Setup
from scnet_edge.types import Captured, Frame, Map

Verdict: TypeAlias = Literal["still", "moves", "unclear"]
DISAGREES = "odometry_disagrees"  # the flag of what is seen meanwhile
WIDTH_PX, BLOCK_PX = 256, 32  # frames are compared at about this width, by blocks
FINE_PX, COARSE_PX = 1.5, 5.0  # details between these stand out of a sensor's noise
TEXTURE = 1.5  # grey levels that a block must vary by, to tell anything
LEAST_BLOCKS = 8
SAME, OTHER = 0.8, 0.4  # correlation of a block with itself, and of another place
STILL_SHARE, MOVES_SHARE = 0.8, 0.6  # of the blocks that tell
EVERY_S, STANDS_S = 0.5, 2.0  # how often pictures are compared; and where the odometer stands
STANDS_M = 0.002  # an encoder's flicker
SEEN_PX = 16  # that a wall must move, at that width, to be another picture
SEEN_DIAMETERS = 0.2  # that a camera must go along a pipe for the same
SEEN_M = 0.1  # where there is no scale; and what is worth a line
TOLD_S = 5.0  # as is this; counters in the picture have steps of 0.1 m


@dataclass(frozen=True, slots=True)
class _Look:
    """A picture at a time and a place."""

    detail: Map
    mono_ns: int
    time_s: float | None
    chainage_m: float
    segment: int


class MotionWatch:
    """Give it every frame with its pose, in order.

    Attributes:
        disagrees: picture and odometer disagree at the moment.
    """

    def __init__(self, setup: Setup) -> None:
        self.disagrees = False
        self._setup = setup
        self._before: _Look | None = None  # what pictures are compared with
        self._looked_ns: int | None = None
        self._verdict: Verdict = "unclear"
        self._first: _Look | None = None  # since which they disagree
        self._last: _Look | None = None

    def see(self, captured: Captured, pose: Pose) -> str:
        """Take a frame; return a line on the disagreement that it ends, empty where it ends none.

        Args:
            captured: the frame, (h, w, 3) uint8 BGR.
            pose: what an odometer says; one that was taken from the frames tells nothing.
        """
        if pose.chainage_m is None or "visual_odometry" in pose.flags:
            return self.end()
        looked_ns, now_ns = self._looked_ns, captured.mono_ns
        if looked_ns is not None and 0 <= now_ns - looked_ns < EVERY_S * 1e9:
            return ""
        self._looked_ns = now_ns
        detail = detail_of(captured.frame)
        look = _Look(detail, now_ns, captured.time_s, pose.chainage_m, pose.segment)
        return self._compare(look, self._way_m(captured.frame.shape[1]))

    def end(self) -> str:
        """Return a line on the disagreement that lasts, as `see`; the next frame begins anew."""
        said = self._agree()
        self._before = self._looked_ns = None
        return said

    def _compare(self, look: _Look, seen_m: float) -> str:
        before = self._before
        if before is None or not _are_comparable(before, look):
            said = self._agree()
            self._before = look
            return said
        way_m = abs(look.chainage_m - before.chainage_m)
        stands = way_m <= STANDS_M
        if not stands and way_m < seen_m:  # too little to be seen
            return self._agree() if self._verdict == "moves" else ""
        if stands and look.mono_ns - before.mono_ns < STANDS_S * 1e9:
            return ""
        odd: Verdict = "moves" if stands else "still"
        if compare(before.detail, look.detail) != odd:
            said = self._agree()
            self._before = look
            return said
        said = "" if self._verdict == odd else self._agree()
        self._verdict, self.disagrees = odd, True
        self._first, self._last = self._first or before, look
        if odd == "moves":
            self._before = look
        return said

    def _agree(self) -> str:
        """Return a line on what has ended now."""
        first, last, verdict = self._first, self._last, self._verdict
        self._first = self._last = None
        self._verdict, self.disagrees = "unclear", False
        if first is None or last is None:
            return ""
        seconds, when = (last.mono_ns - first.mono_ns) / 1e9, ""
        if first.time_s is not None and last.time_s is not None:
            when = f", from {first.time_s:.1f} s to {last.time_s:.1f} s of the film"
        if verdict == "still":
            way = f"from {first.chainage_m:.2f} m to {last.chainage_m:.2f} m"
            if abs(last.chainage_m - first.chainage_m) < SEEN_M:
                return ""
            return f"runs {way} while the picture stands still{when}: wheels or cable slip"
        if seconds < TOLD_S:
            return ""
        return (
            f"stands at {first.chainage_m:.2f} m while the picture moves{when}: the camera is "
            "turned, or the odometer stuck"
        )

    def _way_m(self, width_px: int) -> float:
        """Return how far the robot must go for another picture."""
        setup = self._setup
        if setup.mode == "forward" and setup.diameter_mm is not None:
            return SEEN_DIAMETERS * setup.diameter_mm / 1000
        if setup.mm_per_px is None:
            return SEEN_M
        return SEEN_PX * max(1.0, width_px / WIDTH_PX) * setup.mm_per_px / 1000


def detail_of(frame: Frame) -> Map:
    """Return the detail of a picture that is larger than noise, (h, w) float32, in grey levels."""
    shrink = max(1.0, frame.shape[1] / WIDTH_PX)
    size_wh = round(frame.shape[1] / shrink), round(frame.shape[0] / shrink)
    small = cv2.resize(frame, size_wh, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(grey, (0, 0), px) for px in (FINE_PX, COARSE_PX))
    return np.asarray(fine - coarse, np.float32)


def compare(before: Map, now: Map) -> Verdict:
    """Return whether most of a picture's detail is where it was before.

    Args:
        before, now: (h, w) float32, as `detail_of` gives it.
    """
    size_wh = max(1, now.shape[1] // BLOCK_PX), max(1, now.shape[0] // BLOCK_PX)
    both, one, other = (
        cv2.resize(product, size_wh, interpolation=cv2.INTER_AREA)
        for product in (before * now, before * before, now * now)
    )
    tells = np.minimum(one, other) >= TEXTURE**2
    if np.count_nonzero(tells) < LEAST_BLOCKS:
        return "unclear"
    alike = both[tells] / np.sqrt(one[tells] * other[tells])
    if np.mean(alike >= SAME) >= STILL_SHARE:
        return "still"
    return "moves" if np.mean(alike <= OTHER) >= MOVES_SHARE else "unclear"


def _are_comparable(one: _Look, other: _Look) -> bool:
    same = one.detail.shape == other.detail.shape and one.segment == other.segment
    return same and other.mono_ns >= one.mono_ns
