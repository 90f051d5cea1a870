"""Where not to look: what was drawn by people, and what stands still while the footage moves.

What is ignored is never crack, and counts as not inspected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.data.pictures import read_image
from scnet_edge.errors import ConfigError
from scnet_edge.types import Frame, Mask

# x and y of each corner; all within 0 to 1 are shares of width and height, else pixels
Corner: TypeAlias = tuple[
    Annotated[float, msgspec.Meta(ge=0, le=100_000)],
    Annotated[float, msgspec.Meta(ge=0, le=100_000)],
]
Polygon: TypeAlias = Annotated[tuple[Corner, ...], msgspec.Meta(min_length=3, max_length=1000)]

LEAST_FRAMES = 20  # before anything is said to stand still
FRAMES_BETWEEN = 10  # two looks at what stands still
STILL_LEVELS = 8  # grey levels by which a pixel that stands still may vary: noise, compression
MOVING_LEVELS = 40  # that half of all pixels have varied by, so that the camera has moved
GLYPH_GAP_PX = 9  # letters this close are one text
LEAST_SHARE = 2e-4  # of the frame; what is smaller is chance
LARGEST_SHARE = 0.7  # more than this cannot be border and text
MARGIN_PX = 4  # around it, which a network takes for an edge


class Ignore:
    """Call it on each frame, in order, for the pixels of it that are not to be looked at.

    Args:
        polygons: Regions to leave out.
        mask: A picture, white where it is not to be looked at, scaled to the frames.
        still: Also leave out what stands still while the rest moves.

    Raises:
        ConfigError: the mask is of another aspect ratio than the frames, or everything is ignored.
    """

    def __init__(
        self, polygons: Sequence[Polygon] = (), *, mask: Path | None = None, still: bool = False
    ) -> None:
        self._polygons = tuple(polygons)
        self._drawn_mask = None if mask is None else read_image(mask)[..., 0] > 127
        self._still = StandingStill() if still else None
        self._drawn: Mask | None = None
        if all(_relative(polygon) for polygon in polygons):  # of any frame, so known already
            size_hw = (256, 256) if self._drawn_mask is None else self._drawn_mask.shape
            self._draw((size_hw[0], size_hw[1]))

    def __call__(self, frame: Frame) -> Mask | None:
        """Return (h, w) bool, True where not to look; None where nothing is left out."""
        frame_hw = (frame.shape[0], frame.shape[1])
        if self._drawn is None or self._drawn.shape != frame_hw:
            self._drawn = self._draw(frame_hw)
        still = None if self._still is None else self._still.see(frame)
        ignored = self._drawn if still is None else self._drawn | still
        if ignored.all():  # what stands still is a guess, what was drawn is not
            ignored = self._drawn
        return ignored if ignored.any() else None

    def draw(self, frame_hw: tuple[int, int], rows: slice) -> Mask:
        """Return what people drew within some rows of a frame, (h, w) bool.

        Raises:
            ConfigError: the mask is of another aspect ratio than the frame.
        """
        ignored = np.zeros((rows.stop - rows.start, frame_hw[1]), np.uint8)
        for polygon in self._polygons:
            cv2.fillPoly(ignored, [_pixels(polygon, frame_hw) - (0, rows.start)], 1)
        if self._drawn_mask is not None:
            ignored |= _fit(self._drawn_mask, frame_hw, rows)
        return ignored.astype(bool)

    def _draw(self, frame_hw: tuple[int, int]) -> Mask:
        ignored = self.draw(frame_hw, slice(0, frame_hw[0]))
        if ignored.all():
            raise ConfigError(
                "ignore: covers the whole frame, so nothing would be inspected; draw less"
            )
        return ignored


class StandingStill:
    """What has stood still so far while the rest of the picture moved: borders, boxes, text."""

    def __init__(self) -> None:
        self._range: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]] | None = None
        self._frames = 0
        self._found: Mask | None = None

    def see(self, frame: Frame) -> Mask | None:
        """Take a frame and return (h, w) bool; None while nothing can be said or nothing stands."""
        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)
        if self._range is None or self._range[0].shape != grey.shape:
            self._range, self._frames, self._found = (grey.copy(), grey), 0, None
        least, most = self._range
        self._range = np.minimum(least, grey), np.maximum(most, grey)
        self._frames += 1
        if self._frames >= LEAST_FRAMES and self._frames % FRAMES_BETWEEN == 0:
            self._found = _find_still(self._range[1] - self._range[0])
        return self._found


def _find_still(spread: npt.NDArray[np.uint8]) -> Mask | None:
    """Return the parts of a picture that have not varied; None where there are none."""
    if np.median(spread[::4, ::4]) < MOVING_LEVELS:
        return None
    still = (spread <= STILL_LEVELS).astype(np.uint8)
    joined = cv2.morphologyEx(still, cv2.MORPH_CLOSE, _square(GLYPH_GAP_PX))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= max(LEAST_SHARE * spread.size, 2 * GLYPH_GAP_PX**2)
    large[0] = False  # the label of what moves
    if count == 1 or not large.any():
        return None
    grown = cv2.dilate(large[labels].astype(np.uint8), _square(2 * MARGIN_PX + 1)).astype(bool)
    return grown if grown.mean() <= LARGEST_SHARE else None


def _square(side_px: int) -> npt.NDArray[np.uint8]:
    return np.ones((side_px, side_px), np.uint8)


def _relative(polygon: Polygon) -> bool:
    return max(max(corner) for corner in polygon) <= 1


def _pixels(polygon: Polygon, frame_hw: tuple[int, int]) -> npt.NDArray[np.int32]:
    corners = np.array(polygon, np.float64)  # (n, 2) x, y
    if _relative(polygon):
        corners *= (frame_hw[1], frame_hw[0])
    return np.rint(corners).astype(np.int32)


def _fit(mask: Mask, frame_hw: tuple[int, int], rows: slice) -> npt.NDArray[np.uint8]:
    """Return some rows of a mask that is scaled to a frame."""
    (height, width), (frame_height, frame_width) = mask.shape, frame_hw
    if not math.isclose(height / width, frame_height / frame_width, rel_tol=0.02):
        raise ConfigError(
            f"ignore_mask: is of {width}x{height} px, the frames of {frame_width}x{frame_height}; "
            "expected the same aspect ratio, draw it on a frame"
        )
    down = np.arange(rows.start, rows.stop) * height // frame_height
    across = np.arange(frame_width) * width // frame_width
    return mask[np.ix_(down, across)].astype(np.uint8)
