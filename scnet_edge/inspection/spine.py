"""The centre line of one crack, cut where thinning frays it and led on to the mask's ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np

from scnet_edge.inspection.skeleton import Bytes, Edge, Path, Points, arc_length
from scnet_edge.types import Map

Values: TypeAlias = Points  # (n,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spine:
    """Lines (n, 2) in x, y from end to end, as edges of a graph whose nodes lie at `places`."""

    lines: list[Points]
    edges: list[Edge]
    places: dict[int, Values]
    branches: int


def spine_of(paths: list[Path], stencil: Map, radius_px: Map) -> Spine:
    """Return the paths cut where the thinning frays them, and led on to the mask's ends."""
    ends: dict[int, list[Values]] = {}
    for path in paths:
        for node, point in zip(path.nodes, (path.points[0], path.points[-1]), strict=True):
            if node is not None:
                ends.setdefault(node, []).append(point)
    places = {node: np.mean(points, axis=0) for node, points in ends.items() if len(points) > 1}
    branches = sum(len(points) > 2 for points in ends.values())
    lines, edges = [], []
    if sum(len(path.points) for path in paths) < 3:
        paths = []
    for path in paths:
        line = path.points
        nodes, extra_px = [], 0.0
        for node in path.nodes:
            # Each turn works at the front and turns the line round, so two turns do both ends.
            if node not in places:
                line, tip = _lead_out(line, stencil, radius_px)
                node = -1 - len(places)
                places[node] = tip
            extra_px += math.dist(places[node], line[0])
            nodes.append(node)
            line = line[::-1]
        lines.append(line)
        edges.append(Edge(nodes=(nodes[0], nodes[1]), length_px=arc_length(line) + extra_px))
    return Spine(lines=lines, edges=edges, places=places, branches=branches)


def _lead_out(line: Points, stencil: Map, radius_px: Map) -> tuple[Points, Values]:
    """Return the line without its frayed first radius, and where it then leaves the mask."""
    # The radius of the crack near its end, for at the end the line may have run into a corner.
    x, y = np.rint(line[: math.ceil(2 * radius_px.max())].T).astype(int)
    radius = float(radius_px[y, x].max())
    if len(line) > 4 * radius + 4:
        line = line[math.ceil(radius) :]
    heading = line[0] - line[min(len(line) - 1, round(2 * radius) + 4)]
    norm = float(np.hypot(*heading))
    if norm == 0:
        return line, line[0]
    reach_px = np.arange(0, 4 * radius + 6, 0.25)
    ray = line[:1], heading[None] / norm
    out = sample(stencil, grid_across(*ray, reach_px))[0] < 0.5
    return line, line[0] + heading / norm * reach_px[int(out.argmax())]


def grid_across(line: Points, across: Points, offsets: Values) -> tuple[Map, Map]:
    """Return x and y, each (n, m) float32, at m offsets along the normals of n points."""
    x, y = (line[:, i : i + 1] + across[:, i : i + 1] * offsets for i in (0, 1))
    return x.astype(np.float32), y.astype(np.float32)


def sample(
    image: Map | Bytes, grid_xy: tuple[Map, Map], *, border: int = cv2.BORDER_CONSTANT
) -> Any:
    """Return the image at the grid, linearly between pixels; outside it 0, or as `border` says."""
    return cv2.remap(image, *grid_xy, cv2.INTER_LINEAR, borderMode=border)
