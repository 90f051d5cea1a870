"""The centre line of a mask: thinned to one pixel, cut into smooth paths between nodes.

Points are (n, 2) float64 (x, y) in pixels; a pixel's centre has whole coordinates, y points down.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.types import Map, Mask

Points: TypeAlias = npt.NDArray[np.float64]  # (n, 2), (x, y)
Whole: TypeAlias = npt.NDArray[np.int32]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Indices: TypeAlias = npt.NDArray[np.intp]

# The eight neighbours, clockwise from north; neighbour k is bit k of a pixel's code.
_AROUND_YX = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
_SMOOTHING_PX = 2.0
_JUNCTION_RADII = 1.5  # past sqrt(2): from a square end's fork to its corners


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One stretch of the centre line, without forks.

    Attributes:
        points: (n, 2) xy in order, smoothed; n >= 1.
        nodes: the junctions where it starts and ends; None where it ends freely.
    """

    points: Points
    nodes: tuple[int | None, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Two nodes and the length of the centre line between them."""

    nodes: tuple[int, int]
    length_px: float


def thin(mask: Mask) -> Mask:
    """Return the one pixel wide skeleton of a mask, with its components and its holes.

    The two-subiteration thinning of Guo and Hall (CACM 32(3), 1989). Only the rim is looked at:
    each pixel carries the code of its neighbours, and a removal updates the codes around it.
    """
    alive = np.pad(mask, 1).astype(np.uint8)
    code = (_neighbour_code(alive) * alive).ravel()
    steps = [dy * alive.shape[1] + dx for dy, dx in _AROUND_YX]
    alive = alive.ravel()
    rim = np.flatnonzero(alive & (code < 255))
    idle, turn = 0, 0
    while idle < 2:
        hit = _REMOVABLE[turn][code[rim]]
        gone, rim = rim[hit], rim[~hit]
        alive[gone] = 0
        uncovered = [_uncover(code, gone - step, bit) for bit, step in enumerate(steps)]
        rim = np.concatenate([rim, *uncovered])
        idle, turn = (0 if gone.size else idle + 1), 1 - turn
    height, width = mask.shape
    return alive.reshape(height + 2, width + 2)[1:-1, 1:-1].astype(bool)


def trace(skeleton: Mask, radius_px: Map) -> list[Path]:
    """Return the paths of a skeleton; `radius_px` is each pixel's distance to the mask's outside.

    A junction is a disc, half as large again as the circle that fits there: a spur that does not
    leave it is roughness of the outline, discs that meet are one, and no path enters them.
    """
    junctions = (skeleton & _junction_discs(skeleton, radius_px)).astype(np.uint8)
    stretches = skeleton.astype(np.uint8) - junctions
    count, labels = cv2.connectedComponents(junctions, connectivity=8)
    nearby = np.asarray(cv2.copyMakeBorder(labels, 1, 1, 1, 1, cv2.BORDER_CONSTANT), np.int32)
    neighbours = _POPULATION[_neighbour_code(stretches)]
    paths: list[Path] = []
    for outline in _outlines(stretches):
        paths += _paths_along(outline, neighbours, nearby, free_node=count + 2 * len(paths))
    return paths


def arc_length(points: Points) -> float:
    """Return the length of a polyline in pixels."""
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def longest_route(edges: Sequence[Edge]) -> tuple[int, int, float]:
    """Return two nodes that lie as far apart as any, going along the edges, and their distance.

    Exact on trees; where there are loops, two sweeps give a close lower bound.
    """
    start, _ = _farthest(edges, edges[0].nodes[0])
    end, length_px = _farthest(edges, start)
    return start, end, length_px


def _farthest(edges: Sequence[Edge], origin: int) -> tuple[int, float]:
    roads: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for edge in edges:
        a, b = edge.nodes
        roads[a].append((b, edge.length_px))
        roads[b].append((a, edge.length_px))
    reached: dict[int, float] = {}
    queue = [(0.0, origin)]
    while queue:
        distance, node = heapq.heappop(queue)
        if node in reached:
            continue
        reached[node] = distance
        for other, length_px in roads[node]:
            heapq.heappush(queue, (distance + length_px, other))
    return max(reached.items(), key=lambda item: item[1])


def _junction_discs(skeleton: Mask, radius_px: Map) -> Mask:
    forks = skeleton & (_POPULATION[_neighbour_code(skeleton.astype(np.uint8))] >= 3)
    discs = np.zeros(skeleton.shape, np.uint8)
    for y, x in np.argwhere(forks):
        cv2.circle(
            discs,
            (int(x), int(y)),
            round(_JUNCTION_RADII * float(radius_px[y, x]) + 1),
            1,
            cv2.FILLED,
        )
    return discs.astype(bool)


def _outlines(stretches: Bytes) -> list[Whole]:
    found, tree = cv2.findContours(stretches, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    families = tree[0] if found else []
    pairs = zip(found, families, strict=True)
    return [np.asarray(c[:, 0], np.int32) for c, (*_, parent) in pairs if parent < 0]


def _paths_along(
    outline: Whole,
    neighbours: Bytes,
    labels: Whole,
    *,
    free_node: int,
) -> list[Path]:
    """Return the path whose there-and-back walk is `outline`; a closed ring gives two halves."""
    tips = np.flatnonzero(neighbours[outline[:, 1], outline[:, 0]] <= 1)
    if len(tips) == 0:
        half = len(outline) // 2
        ring = _smooth_ring(np.vstack([outline, outline[:1]]).astype(float))
        ends = (free_node, free_node + 1)
        return [
            Path(points=ring[: half + 1], nodes=ends),
            Path(points=ring[half:], nodes=ends[::-1]),
        ]
    there = np.roll(outline, -tips[0], axis=0)
    turn = int((tips[-1] - tips[0]) % len(outline))
    back = np.vstack([there[turn:], there[:1]])[::-1]
    # Where the walk cuts an inner corner one way, the other way has it.
    pixels = max(there[: turn + 1], back, key=len) if turn else there[:1]
    first, last = (
        set(labels[y : y + 3, x : x + 3].ravel().tolist()) for x, y in (pixels[0], pixels[-1])
    )
    start, end = sorted(first - {0}), sorted(last - {0})
    if len(pixels) == 1:
        end = end[1:]
    nodes = (start[0] if start else None, end[0] if end else None)
    return [Path(points=_smooth(pixels.astype(float)), nodes=nodes)]


def _smooth(points: Points) -> Points:
    """Return the points smoothed along the path, the two ends held in place."""
    reach = min(len(points) - 1, len(_BELL) // 2)
    before = 2 * points[0] - points[reach:0:-1]
    after = 2 * points[-1] - points[-2 : -2 - reach : -1]
    return _average(np.vstack([before, points, after]), reach)


def _smooth_ring(points: Points) -> Points:
    if len(points) <= 2 * len(_BELL):  # smoothing would shrink so small a ring
        return points
    reach = len(_BELL) // 2
    return _average(np.vstack([points[-1 - reach : -1], points, points[1 : 1 + reach]]), reach)


def _average(padded: Points, reach: int) -> Points:
    middle = len(_BELL) // 2
    bell = (
        _BELL[middle - reach : middle + reach + 1]
        / _BELL[middle - reach : middle + reach + 1].sum()
    )
    return np.stack([np.convolve(axis, bell, mode="valid") for axis in padded.T], axis=1)


def _neighbour_code(image: Bytes) -> Bytes:
    code: Any = cv2.filter2D(image, -1, _KERNEL, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(code, dtype=np.uint8)


def _uncover(code: Bytes, pixels: Indices, bit: int) -> Indices:
    """Clear `bit` in the codes of `pixels` and return those that lay inside until now."""
    before = code[pixels]
    code[pixels] = before & np.uint8(255 - (1 << bit))
    inner: Indices = pixels[before == 255]
    return inner


def _removable(odd_turn: bool) -> Callable[[list[int]], bool]:
    def rule(p: list[int]) -> bool:
        n, ne, e, se, s, sw, w, nw = p
        runs = sum(
            (not a) and (b or c) for a, b, c in ((n, ne, e), (e, se, s), (s, sw, w), (w, nw, n))
        )
        pairs = (
            (nw or n) + (ne or e) + (se or s) + (sw or w),
            (n or ne) + (e or se) + (s or sw) + (w or nw),
        )
        side = (s or sw or not nw) and w if odd_turn else (n or ne or not se) and e
        return runs == 1 and 2 <= min(pairs) <= 3 and not side

    return rule


def _table(rule: Callable[[list[int]], int]) -> npt.NDArray[Any]:
    return np.array([rule([code >> bit & 1 for bit in range(8)]) for code in range(256)])


_KERNEL = np.zeros((3, 3), np.float32)
for _bit, (_dy, _dx) in enumerate(_AROUND_YX):
    _KERNEL[1 + _dy, 1 + _dx] = 1 << _bit
_POPULATION = _table(sum).astype(np.uint8)
_REMOVABLE = (_table(_removable(False)).astype(bool), _table(_removable(True)).astype(bool))
_BELL = np.exp(-0.5 * (np.arange(-6, 7) / _SMOOTHING_PX) ** 2)
