"""INT8 ranges of a shipped model from frames, with their provenance."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from scnet_edge.backends.base import Array, default_engine, open_backend
from scnet_edge.bundle.build import open_chain, weights_of
from scnet_edge.bundle.recipe import Recipe
from scnet_edge.graph.calibrate import Run, calibrate_chain
from scnet_edge.graph.ranges import SCHEMA, CalibrationFile
from scnet_edge.graph.rewrite import exportable
from scnet_edge.graph.trace import trace_chain
from scnet_edge.models.cards import find_card
from scnet_edge.types import Frame


def collect_ranges(
    recipe: Recipe, frames: Sequence[tuple[str, Frame]], *, source: str
) -> CalibrationFile:
    """Return the min-max ranges of a recipe's model over named frames of its frame size.

    The engine of this machine runs the FP32 graph; SCNet's ranges are collected behind the
    edge map of the quantised HED.

    Raises:
        GraphError: there are no frames.
    """
    card = find_card(recipe.model)
    fused = trace_chain(exportable(open_chain(card, recipe)))
    with tempfile.TemporaryDirectory() as folder:
        ranges = calibrate_chain(
            fused, lambda: (frame for _, frame in frames), lambda g: _in_engine(g, Path(folder))
        )
    return CalibrationFile(
        schema=SCHEMA,
        model=card.name,
        weights_sha256=weights_of(card),
        method="minmax",
        source=source,
        frames={name: hashlib.sha256(frame.tobytes()).hexdigest() for name, frame in frames},
        ranges=ranges,
    )


def _in_engine(graph: onnx.ModelProto, folder: Path) -> Run:
    path = folder / "observed.onnx"
    onnx.save(graph, path)
    backend = open_backend(default_engine(), path)

    def run(feeds: Mapping[str, npt.NDArray[np.uint8]]) -> dict[str, Array]:
        return backend.run(feeds)

    return run
