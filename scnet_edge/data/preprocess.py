"""The one place that turns a frame into what the networks eat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
