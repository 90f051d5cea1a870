"""The mask of a large picture as a GeoTIFF, written from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from scnet_edge.orthophoto.raster import Raster
from scnet_edge.types import Mask

TILE_PX = 512  # the file's own tiles; written in whole rows of them, so that each is packed once


class MaskFile:
    """Takes strips; 255 is crack, 0 is none, and what was not inspected is without data."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._waiting = np.zeros((2, 0, dataset.width), bool)  # crack, inspected
        self._row = 0

    def write(self, mask: Mask, ignored: Mask) -> None:
        """Append a strip, (h, w) bool each."""
        self._waiting = np.concatenate([self._waiting, np.stack([mask, ~ignored])], axis=1)
        self._put(self._waiting.shape[1] // TILE_PX * TILE_PX)

    def end(self) -> None:
        """Write what waits for more."""
        self._put(self._waiting.shape[1])

    def _put(self, height_px: int) -> None:
        if not height_px:
            return
        ready, self._waiting = np.split(self._waiting, [height_px], axis=1)
        crack, inspected = ready.astype(np.uint8) * np.uint8(255)
        window = (self._row, self._row + height_px), (0, self._dataset.width)
        self._dataset.write(crack, 1, window=window)
        self._dataset.write_mask(inspected, window=window)
        self._row += height_px


@contextmanager
def open_mask_file(path: Path, raster: Raster) -> Iterator[MaskFile]:
    """Yield a file of a picture's size, in its coordinate system."""
    import rasterio

    height_px, width_px = raster.size_hw
    placed = {"transform": rasterio.Affine(*raster.transform), "crs": raster.crs}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=height_px,
            width=width_px,
            count=1,
            dtype="uint8",
            tiled=True,
            blockxsize=TILE_PX,
            blockysize=TILE_PX,
            compress="deflate",
            bigtiff="if_safer",
            **(placed if raster.crs else {}),
        ) as dataset,
    ):
        mask_file = MaskFile(dataset)
        yield mask_file
        mask_file.end()
