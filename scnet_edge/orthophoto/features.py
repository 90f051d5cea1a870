"""Measured cracks as lines on a map: GeoPackage and GeoJSON in the picture's own system."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.inspection.measure import Crack, Scale, measure_crack
from scnet_edge.inspection.tracing import MIN_AREA_PX, trace_cracks
from scnet_edge.orthophoto.components import Component
from scnet_edge.orthophoto.raster import Raster

AROUND_PX = 32  # of the picture beside a crack, in which the wall is seen
PIECE_PX = 2048  # the side of the largest window that is measured at once
OFF_PX = 0.5  # that a line may be off its crack's middle where points are left out
LITTLE_ENDIAN, LINE_STRING, MULTI_LINE_STRING = 1, 2, 5  # of well-known binary


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A crack, or a piece of one that is larger than a window.

    Attributes:
        crack: its number from 1; pieces of one crack share it.
        lines: (n, 2) column and row of points along its middle, in pixels of the picture; 0, 0 is
            the outer corner of the first pixel.
        measures: its figures; `bbox_xyxy` in pixels of the picture.
    """

    crack: int
    lines: list[npt.NDArray[np.float64]]
    measures: Crack


def features_of(
    number: int, component: Component, raster: Raster, scale: Scale | None
) -> Iterator[Feature]:
    """Yield a component's features, measured on the picture; none of a speck."""
    if component.area_px() < MIN_AREA_PX:
        return
    for piece in component.pieces(PIECE_PX):
        rows, columns = (
            slice(max(0, side.start - AROUND_PX), min(side.stop + AROUND_PX, length_px))
            for side, length_px in zip(piece.box, raster.size_hw, strict=True)
        )
        frame, mask = raster.frame(rows, columns), piece.mask(rows, columns)
        for traced in trace_cracks(mask, frame=frame):
            crack = measure_crack(traced, scale)
            left, top, right, bottom = crack.bbox_xyxy
            x, y = columns.start, rows.start
            yield Feature(
                crack=number,
                lines=[_simpler(line) + np.array([x + 0.5, y + 0.5]) for line in traced.lines],
                measures=_move(crack, (left + x, top + y, right + x, bottom + y)),
            )


def write_features(
    path: Path, features: Sequence[Feature], transform: Sequence[float], crs: str
) -> None:
    """Write a GeoPackage or GeoJSON, by the suffix; without a known value a field is null.

    Args:
        path: A new file.
        features: What to write; may be none.
        transform: As `Raster.transform`.
        crs: Well-known text; empty for none.
    """
    from pyogrio.raw import write

    warnings.filterwarnings("ignore", "'crs' was not provided")  # then there is none
    rows = [_row(feature) for feature in features]
    names = list(rows[0]) if rows else ["crack"]
    columns, unknown = [], []
    for name in names:
        values = [row[name] for row in rows]
        missing = np.array([value is None for value in values], bool)
        kind = next((type(value) for value in values if value is not None), float)
        filled = [kind() if value is None else value for value in values]
        columns.append(np.array(filled, {int: np.int64, float: np.float64}.get(kind, object)))
        unknown.append(missing)
    shapes = [_wkb(_on_map(line, transform) for line in feature.lines) for feature in features]
    write(
        path,
        np.array([*shapes, None], object)[:-1],
        columns,
        names,
        field_mask=unknown,
        driver={".gpkg": "GPKG", ".geojson": "GeoJSON"}[path.suffix],
        geometry_type="MultiLineString",
        layer="cracks",
        crs=crs or None,
    )


def _row(feature: Feature) -> dict[str, Any]:
    row = asdict(feature.measures)
    left, top, right, bottom = row.pop("bbox_xyxy")
    box = {"left_px": left, "top_px": top, "right_px": right, "bottom_px": bottom}
    return {"crack": feature.crack, **row, **box}


def _move(crack: Crack, bbox_xyxy: tuple[int, int, int, int]) -> Crack:
    return Crack(**{**asdict(crack), "bbox_xyxy": bbox_xyxy})


def _simpler(line: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a line without the points that it does not need."""
    points = cv2.approxPolyDP(line.astype(np.float32)[:, None], OFF_PX, closed=False)
    return np.asarray(points[:, 0] if len(points) > 1 else line[[0, -1]], np.float64)


def _on_map(line: npt.NDArray[np.float64], transform: Sequence[float]) -> npt.NDArray[np.float64]:
    a, b, c, d, e, f = transform
    return np.asarray(line @ np.array([[a, d], [b, e]]) + (c, f), np.float64)


def _wkb(lines: Iterable[npt.NDArray[np.float64]]) -> bytes:
    """Return lines as a MultiLineString in well-known binary."""
    parts = [
        struct.pack("<BII", LITTLE_ENDIAN, LINE_STRING, len(line)) + line.astype("<f8").tobytes()
        for line in lines
    ]
    return struct.pack("<BII", LITTLE_ENDIAN, MULTI_LINE_STRING, len(parts)) + b"".join(parts)
