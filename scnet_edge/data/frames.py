"""What a camera or a file gives, made a BGR frame or refused; a frame, made what networks eat."""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.errors import InputError
from scnet_edge.types import Frame

MIN_SIDE_PX = 16
MAX_PIXELS = 100_000_000
Image = TypeVar("Image", npt.NDArray[np.uint8], npt.NDArray[np.float32])

EDGE_THRESHOLD = 0.5  # the paper's edge map is binary; it names no threshold


def as_bgr(image: npt.NDArray[Any], *, where: str = "frame") -> Frame:
    """Return (h, w, 3) uint8 BGR, contiguous; a frame that is one already comes back uncopied.

    Rules: (h, w) and (h, w, 1) are grey, repeated in three channels; (h, w, 4) is BGRA, whose alpha
    is dropped; uint16 is full scale 0..65535, of which the high byte is kept (shift the frames of
    a 10- or 12-bit camera up first).

    Raises:
        InputError: another shape or dtype, a side under 16 px, or more than 100 megapixels.
    """
    if not isinstance(image, np.ndarray) or image.dtype not in (np.uint8, np.uint16):
        found = getattr(image, "dtype", type(image).__name__)
        raise InputError(f"{where}: expected a uint8 or uint16 array, found {found}")
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise InputError(f"{where}: expected (h, w), (h, w, 3) or (h, w, 4), found {image.shape}")
    check_size(image.shape[0], image.shape[1], where)
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.shape[2] == 1:
        image = np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(image[..., :3])  # (h, w, 3) uint8 BGR


def check_size(height_px: int, width_px: int, where: str, *, max_pixels: int = MAX_PIXELS) -> None:
    """Refuse an image that is too small to segment or too large to hold."""
    if min(height_px, width_px) < MIN_SIDE_PX:
        raise InputError(
            f"{where}: {width_px}x{height_px} px, expected sides of at least {MIN_SIDE_PX} px"
        )
    if height_px * width_px > max_pixels:
        raise InputError(
            f"{where}: {width_px}x{height_px} px, expected at most {max_pixels // 10**6} "
            "megapixels; scale it down, cut it into tiles, or give the file alone to 'run'"
        )


def scnet_input(
    frame: npt.NDArray[np.uint8], edges: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.float32]:
    """Return (3 or 4, H, W) float32: RGB in [-1, 1], then the edge map in {0, 1}.

    Args:
        frame: (H, W, 3) uint8, BGR.
        edges: (H, W) bool, the binarised HED map, or None for a model without the prior.
    """
    rgb = frame[..., ::-1].transpose(2, 0, 1).astype(np.float32) / 127.5 - 1  # (3, H, W)
    if edges is None:
        return rgb
    return np.concatenate([rgb, edges[None].astype(np.float32)])


def resize(image: Image, size_hw: tuple[int, int]) -> Image:
    """Return an image or map at `size_hw`: area-averaged when it shrinks, linear when it grows."""
    height_px, width_px = size_hw
    if image.shape[:2] == size_hw:
        return image
    shrinks = height_px * width_px < image.shape[0] * image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width_px, height_px), interpolation=how), image.dtype)
