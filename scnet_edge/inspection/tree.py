"""The shortest tree over the points of a crack: its length, its trunk, its outline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.inspection.geometry import wrap
from scnet_edge.inspection.skeleton import Points
from scnet_edge.inspection.spine import Values

Nodes: TypeAlias = list[int]


@dataclass(frozen=True, slots=True)
class Tree:
    """The shortest tree over n places.

    Attributes:
        places_mm: (n, 2), unwrapped: along the tree, no place jumps around the pipe.
        routes: the trunk, which is the longest route there is, then each branch from the node
            where it leaves an earlier route to its end.
        length_mm: of all of it.
        trunk_mm: of the trunk.
    """

    places_mm: Points
    routes: list[Nodes]
    length_mm: float
    trunk_mm: float


def tree_of(places_mm: Points, around_mm: float | None) -> Tree:
    """Return the shortest tree over (n, 2) places, n >= 1."""
    parents, steps_mm = _shortest(places_mm, around_mm)
    order = _from_the_root(parents)
    places = places_mm.copy()
    for node in order[1:]:
        before = parents[node]
        places[node] = places[before] + wrap(places_mm[node] - places_mm[before], around_mm)
    # The end furthest from any node is an end of the longest route; hang the tree up by it.
    end = int(_depths(parents, steps_mm, order).argmax())
    parents, steps_mm = _hung_by(end, parents, steps_mm)
    order = _from_the_root(parents)
    routes = _routes(parents, _depths(parents, steps_mm, order), order)
    trunk_mm = sum(math.dist(places[a], places[b]) for a, b in pairwise(routes[0]))
    return Tree(places, routes, float(steps_mm.sum()), trunk_mm)


def walk_of(tree: Tree, *, least_mm: float) -> Points:
    """Return the places of one walk over the tree, (m, 2): the trunk, and each branch and back.

    Bends and branches smaller than `least_mm` are left out.
    """
    walk: Points = _simple(tree.places_mm[tree.routes[0]], least_mm)
    for route in tree.routes[1:]:
        branch = tree.places_mm[route]
        if math.dist(branch[0], branch[-1]) < 4 * least_mm:
            continue
        at = int(np.hypot(*(walk - branch[0]).T).argmin())
        out = _simple(branch, least_mm)
        walk = np.concatenate([walk[: at + 1], out, out[-2::-1], walk[at:]])
    return walk


def _simple(places: Points, least_mm: float) -> Points:
    line = places[:, None].astype(np.float32)
    return np.asarray(cv2.approxPolyDP(line, least_mm, False)[:, 0], np.float64)


def _shortest(places: Points, around_mm: float | None) -> tuple[npt.NDArray[np.intp], Values]:
    """Return the parent of each node and its distance (Prim): the nearest outside joins next."""
    count = len(places)
    parents = np.full(count, -1, np.intp)
    steps_mm = np.zeros(count)
    nearest = np.full(count, np.inf)
    outside = np.ones(count, bool)
    node = 0
    for _ in range(count - 1):
        outside[node] = False
        nearest[node] = np.inf
        way = wrap(places - places[node], around_mm)
        distance = np.hypot(way[:, 0], way[:, 1])
        closer = outside & (distance < nearest)
        nearest[closer], parents[closer] = distance[closer], node
        node = int(nearest.argmin())
        steps_mm[node] = nearest[node]
    return parents, steps_mm


def _from_the_root(parents: npt.NDArray[np.intp]) -> Nodes:
    """Return the nodes, each after its parent."""
    children: list[Nodes] = [[] for _ in parents]
    order: Nodes = []
    for node, before in enumerate(parents.tolist()):
        (order if before < 0 else children[before]).append(node)
    for node in order:  # grows as it is read
        order += children[node]
    return order


def _depths(parents: npt.NDArray[np.intp], steps_mm: Values, order: Nodes) -> Values:
    depth_mm = np.zeros(len(parents))
    for node in order[1:]:
        depth_mm[node] = depth_mm[parents[node]] + steps_mm[node]
    return depth_mm


def _hung_by(
    root: int, parents: npt.NDArray[np.intp], steps_mm: Values
) -> tuple[npt.NDArray[np.intp], Values]:
    """Return the same tree with another root: the parents on the way to it turn round."""
    parents, steps_mm = parents.copy(), steps_mm.copy()
    node, before, step = root, -1, 0.0
    while node >= 0:
        parents[node], before, node = before, node, int(parents[node])
        steps_mm[before], step = step, steps_mm[before]
    return parents, steps_mm


def _routes(parents: npt.NDArray[np.intp], depth_mm: Values, order: Nodes) -> list[Nodes]:
    """Return the way to the deepest node, then what leaves it, the deepest ends first."""
    leaves = sorted(set(order) - set(parents.tolist()), key=lambda node: -depth_mm[node])
    taken = np.zeros(len(parents), bool)
    routes = []
    for node in leaves or order[:1]:
        route = [node]
        while not taken[route[-1]] and parents[route[-1]] >= 0:
            taken[route[-1]] = True
            route.append(int(parents[route[-1]]))
        taken[route[-1]] = True
        routes.append(route[::-1])
    return routes
