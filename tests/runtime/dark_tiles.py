"""A net that sees how dark a neighbourhood is, for tiles of 64x96."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from scnet_edge.runtime.tiles import Maps
from scnet_edge.types import Frame, Map

TILE_HW = (64, 96)


def darkness(frame: Frame) -> Map:
    """Return how dark the 5x5 neighbourhood is, beyond the border taken as white, like padding."""
    dark = 1 - frame[..., 0].astype(np.float32) / 255
    return cv2.blur(dark, (5, 5), borderType=cv2.BORDER_CONSTANT)


def run(tiles: Iterable[Frame]) -> Iterator[Maps]:
    """Look at tiles, one map of one look each."""
    for tile in tiles:
        assert tile.shape == (*TILE_HW, 3)
        yield darkness(tile)[None]
