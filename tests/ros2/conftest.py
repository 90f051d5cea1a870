"""The node for rclpy, over a stand-in for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from stand_in import rclpy_stands_in

ROS = Path(__file__).parents[2] / "scnet_edge_ros"
SIZE_HW = (64, 96)


@pytest.fixture
def bundle(darkness_bundle: Callable[[tuple[int, int]], Path]) -> str:
    return str(darkness_bundle(SIZE_HW))


@pytest.fixture
def module(bundle: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Return a function that imports the node's module where these parameters are given."""
    monkeypatch.syspath_prepend(str(ROS))
    with ExitStack() as contexts:

        def imported(**parameters: Any) -> Any:
            given = {"bundle": bundle, "isolate": False, **parameters}
            logged = contexts.enter_context(rclpy_stands_in(**given))
            for name in [name for name in sys.modules if name.startswith("scnet_edge_ros")]:
                del sys.modules[name]
            import scnet_edge_ros.node

            scnet_edge_ros.node.logged = logged
            return scnet_edge_ros.node

        yield imported


@pytest.fixture
def make(module: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Return a function that makes a node with parameters; it is destroyed at the end."""
    nodes: list[Any] = []

    def making(**parameters: Any) -> Any:
        nodes.append(module(**parameters).Cracks())
        return nodes[-1]

    yield making
    for node in nodes:
        node.destroy_node()
        assert node.destroyed


@pytest.fixture
def start(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that makes a node and lets it start itself."""

    def starting(**parameters: Any) -> Any:
        node = make(**parameters)
        assert node.start()
        return node

    return starting
