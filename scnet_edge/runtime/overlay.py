"""A result drawn on its frame, for people."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.types import Frame, Map, Mask

CRACK_BGR = (92, 38, 255)
TRUTH_BGR = (214, 214, 0)
IGNORED_BGR = (160, 160, 160)
HATCH_PX = 8  # from line to line
FILL_OPACITY = 0.62
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_overlay(
    frame: Frame,
    mask: Mask,
    *,
    caption: str = "",
    edges: Map | None = None,
    ignored: Mask | None = None,
) -> Frame:
    """Return a copy of the frame with the cracks filled and outlined, a caption and an inset.

    Args:
        frame: (h, w, 3) uint8 BGR.
        mask: (h, w) bool, of the frame's size.
        caption: One ASCII line along the bottom; empty for none.
        edges: (h, w) float32 in [0, 1], shown small in the upper right corner.
        ignored: (h, w) bool, hatched: nothing was inspected there.
    """
    drawn = frame.copy()
    if ignored is not None:
        drawn[_hatch(ignored)] = IGNORED_BGR
    fill = np.array(CRACK_BGR, np.float32) * FILL_OPACITY
    drawn[mask] = (frame[mask] * (1 - FILL_OPACITY) + fill).astype(np.uint8)
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, outlines, -1, CRACK_BGR, 1)
    if edges is not None:
        _draw_inset(drawn, edges)
    if caption:
        _draw_caption(drawn, caption)
    return drawn


def fill_layer(mask: Mask, ignored: Mask | None = None) -> npt.NDArray[np.uint8]:
    """Return (h, w, 4) uint8 BGRA to lay over a frame: cracks filled and outlined, else clear.

    What was ignored is hatched.
    """
    layer = np.zeros((*mask.shape, 4), np.uint8)
    if ignored is not None:
        layer[_hatch(ignored)] = (*IGNORED_BGR, 255)
    layer[mask] = (*CRACK_BGR, round(255 * FILL_OPACITY))
    return _outline(layer, mask, CRACK_BGR)


def outline_layer(mask: Mask) -> npt.NDArray[np.uint8]:
    """Return (h, w, 4) uint8 BGRA with the outline of the true cracks, else clear."""
    return _outline(np.zeros((*mask.shape, 4), np.uint8), mask, TRUTH_BGR)


def _hatch(ignored: Mask) -> Mask:
    """Return diagonal lines over what was ignored, and its outline."""
    y, x = np.ogrid[: ignored.shape[0], : ignored.shape[1]]
    within = cv2.erode(ignored.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
    lines = np.asarray((x + y) % HATCH_PX == 0)
    return np.asarray(ignored & (lines | ~within), np.bool_)


def _outline(
    layer: npt.NDArray[np.uint8], mask: Mask, colour_bgr: tuple[int, int, int]
) -> npt.NDArray[np.uint8]:
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(layer, outlines, -1, (*colour_bgr, 255), 1)
    return layer


def _draw_caption(drawn: Frame, caption: str) -> None:
    height_px, width_px = drawn.shape[:2]
    size = max(0.35, min(height_px, width_px) / 850)
    (text_width_px, text_height_px), _ = cv2.getTextSize(caption, FONT, size, 1)
    room_px = width_px - 2 * text_height_px
    size *= min(1.0, room_px / max(text_width_px, 1))
    bar_px = 2 * text_height_px + 2
    bar = drawn[-bar_px:]
    bar[:] = (bar * 0.28).astype(np.uint8)
    at = (text_height_px, height_px - (bar_px - text_height_px) // 2 - 1)
    thickness_px = max(1, round(size * 1.4))
    cv2.putText(drawn, caption, at, FONT, size, (255, 255, 255), thickness_px, cv2.LINE_AA)


def _draw_inset(drawn: Frame, edges: Map) -> None:
    """Put the edge map in the corner, a quarter of the frame's width, in a thin white border."""
    height_px, width_px = drawn.shape[:2]
    inset_hw = (max(1, height_px // 4), max(1, width_px // 4))
    small = cv2.resize(edges, inset_hw[::-1], interpolation=cv2.INTER_AREA)
    pixels = cv2.cvtColor((255 * small).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    cv2.rectangle(pixels, (0, 0), (inset_hw[1] - 1, inset_hw[0] - 1), (255, 255, 255), 1)
    gap_px = max(2, min(height_px, width_px) // 48)
    drawn[gap_px : gap_px + inset_hw[0], width_px - gap_px - inset_hw[1] : width_px - gap_px] = (
        pixels
    )
