"""Stands in for rclpy, which no package index has: the calls that the node makes, no more.

Messages are those of rosbags, by the modules that ROS generates: `sensor_msgs.msg.Image`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

from wire import header

from scnet_edge.sinks.ros_types import types


class Publisher:
    """Keeps what was published; `listeners` is what `get_subscription_count` gives."""

    def __init__(self, kind: type, topic: str, depth: int) -> None:
        self.kind, self.topic, self.depth = kind, topic, depth
        self.published: list[Any] = []
        self.listeners = 1

    def publish(self, message: Any) -> None:
        assert type(message).__msgtype__ == self.kind.__msgtype__
        self.published.append(message)

    def get_subscription_count(self) -> int:
        return self.listeners


class Node:
    """What `rclpy.node.Node` is to the node."""

    parameters: ClassVar[dict[str, Any]] = {}

    def __init__(self, name: str) -> None:
        self.name = name
        self.declared: dict[str, Any] = {}
        self.subscriptions_made: dict[str, tuple[type, Callable[[Any], None], Any]] = {}
        self.publishers_made: dict[str, Publisher] = {}
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.errors: list[str] = []
        self.destroyed = False

    def declare_parameter(self, name: str, default: Any) -> Any:
        value = self.parameters.get(name, default)
        assert type(value) is type(default), name
        self.declared[name] = default
        return SimpleNamespace(value=value)

    def create_subscription(
        self, kind: type, topic: str, callback: Callable[[Any], None], quality: Any
    ) -> None:
        self.subscriptions_made[topic] = (kind, callback, quality)

    def create_publisher(self, kind: type, topic: str, depth: int) -> Publisher:
        self.publishers_made[topic] = Publisher(kind, topic, depth)
        return self.publishers_made[topic]

    def create_timer(self, period_s: float, callback: Callable[[], None]) -> None:
        self.timers.append((period_s, callback))

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(to_msg=lambda: header().stamp))

    def get_logger(self) -> Any:
        return SimpleNamespace(
            error=lambda text, throttle_duration_sec: self.errors.append(text),
            fatal=self.errors.append,
        )

    def destroy_node(self) -> None:
        self.destroyed = True


@contextmanager
def rclpy_stands_in(**parameters: Any) -> Iterator[None]:
    """Let `import rclpy` and the message modules succeed in this context."""
    made = {
        "rclpy": ModuleType("rclpy"),
        "rclpy.node": _module("rclpy.node", Node=Node),
        "rclpy.executors": _module("rclpy.executors", ExternalShutdownException=SystemExit),
        "rclpy.qos": _module(
            "rclpy.qos",
            QoSProfile=lambda **fields: SimpleNamespace(**fields),
            ReliabilityPolicy=SimpleNamespace(BEST_EFFORT="best effort", RELIABLE="reliable"),
            qos_profile_sensor_data=SimpleNamespace(history="keep last", reliability="best effort"),
        ),
    }
    for kind, message in types().types.items():
        package, _, name = kind.split("/")
        module = made.setdefault(f"{package}.msg", ModuleType(f"{package}.msg"))
        made.setdefault(package, ModuleType(package))
        setattr(module, name, message)
    before = {name: sys.modules.get(name) for name in made}
    Node.parameters = parameters
    sys.modules.update(made)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _module(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module
