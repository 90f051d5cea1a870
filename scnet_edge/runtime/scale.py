"""How a frame is brought to the model: whole and made to fit, or at its own scale in tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from scnet_edge.data.preprocess import resized
from scnet_edge.errors import ConfigError
from scnet_edge.runtime.tiles import Grid, Maps, Place, blended, grid_of, padded
from scnet_edge.types import Frame, Map

Scale: TypeAlias = Literal["native", "fit", "auto"]
SCALES: tuple[Scale, ...] = ("native", "fit", "auto")
# (H, W, 3) uint8 tiles of the model's size -> their maps (k, H, W), in the same order
Run: TypeAlias = Callable[[Iterable[Frame]], Iterator[Maps]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The maps of a frame, (h, w) each, at what scale it was looked at and in how many tiles."""

    maps: Sequence[Map]
    scale: Literal["native", "fit"]
    tiles: int


def check_scale(scale: str) -> Scale:
    """Return a scale by its name."""
    for known in SCALES:
        if scale == known:
            return known
    raise ConfigError(f"scale {scale!r}: expected one of {', '.join(SCALES)}")


def look(frame: Frame, run: Run, tile_hw: tuple[int, int], scale: Scale) -> Looked:
    """Return the maps of a frame.

    Args:
        frame: (h, w, 3) uint8 BGR.
        run: Computes the maps of tiles.
        tile_hw: The size of these.
        scale: `fit`, the whole frame at once, its aspect ratio kept; `native`, in tiles at its own
            scale; `auto`, tiles only where the frame, made smaller, shows that something may be.
    """
    frame_hw = (frame.shape[0], frame.shape[1])
    if scale == "fit":
        return Looked(maps=_fitted(frame, run, tile_hw), scale="fit", tiles=1)
    grid = grid_of(frame_hw, tile_hw)
    full = padded(frame, tile_hw)
    places = grid.places
    maps = _joined(grid, places, full, run)[:, : frame_hw[0], : frame_hw[1]]
    return Looked(maps=list(maps), scale="native", tiles=len(places))


def _fitted(frame: Frame, run: Run, tile_hw: tuple[int, int]) -> list[Map]:
    """Return the maps of a whole frame scaled to the model; what it leaves free is mirrored."""
    frame_hw = (frame.shape[0], frame.shape[1])
    factor = min(t / f for t, f in zip(tile_hw, frame_hw, strict=True))
    height_px, width_px = (max(1, round(f * factor)) for f in frame_hw)
    small = padded(resized(frame, (height_px, width_px)), tile_hw)
    (maps,) = run([small])
    return [resized(m[:height_px, :width_px], frame_hw) for m in maps]


def _joined(grid: Grid, places: Sequence[Place], frame: Frame, run: Run) -> Maps:
    """Return the maps of a frame from those of some of its tiles; 0 where none was looked at."""
    tiles = (grid.crop(frame, place) for place in places)
    if len(grid.places) == 1:
        (maps,) = run(tiles)
        return maps
    strips = blended(grid, zip(places, run(tiles), strict=True))
    joined: Maps | None = None
    for top, strip in strips:
        if joined is None:
            joined = np.zeros((len(strip), grid.rows.length_px, grid.columns.length_px), np.float32)
        joined[:, top : top + strip.shape[1]] = strip
    assert joined is not None
    return joined
