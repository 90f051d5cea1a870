"""The one place that turns a frame into what the networks eat, and fits sizes."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

Image = TypeVar("Image", npt.NDArray[np.uint8], npt.NDArray[np.float32])

EDGE_THRESHOLD = 0.5  # the paper's edge map is binary; it names no threshold


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
