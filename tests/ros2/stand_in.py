"""Stands in for rclpy, which no package index has: the calls that the node makes, no more.

Messages are those of rosbags, by the modules that ROS generates: `sensor_msgs.msg.Image`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

from wire import header

from scnet_edge.sinks.ros_results import types


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


def arrived(publisher: Publisher, count: int = 1) -> list[Any]:
    """Return what was published once there is enough of it."""
    end_s = time.monotonic() + 60
    while len(publisher.published) < count and time.monotonic() < end_s:
        time.sleep(0.002)
    assert len(publisher.published) >= count
    return publisher.published


class LifecyclePublisher(Publisher):
    """Publishes while it is enabled; drops without a word otherwise, as the real one."""

    enabled = False

    def publish(self, message: Any) -> None:
        if self.enabled:
            super().publish(message)


class ParameterException(Exception):
    """What rclpy raises for a parameter of another type than its default."""


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

    def declare_parameter(self, name: str, default: Any) -> None:
        if type(self.parameters.get(name, default)) is not type(default):
            raise ParameterException(f"Trying to set parameter {name!r}")
        self.declared[name] = default

    def get_parameter(self, name: str) -> Any:
        return SimpleNamespace(value=self.parameters.get(name, self.declared[name]))

    def create_subscription(
        self, kind: type, topic: str, callback: Callable[[Any], None], quality: Any
    ) -> str:
        assert topic not in self.subscriptions_made
        self.subscriptions_made[topic] = (kind, callback, quality)
        return topic

    def destroy_subscription(self, topic: str) -> bool:
        return self.subscriptions_made.pop(topic, None) is not None

    def create_publisher(self, kind: type, topic: str, depth: int) -> Publisher:
        return self._offer(Publisher(kind, topic, depth))

    def _offer(self, publisher: Publisher) -> Publisher:
        assert publisher.topic not in self.publishers_made
        self.publishers_made[publisher.topic] = publisher
        return publisher

    def create_timer(self, period_s: float, callback: Callable[[], None]) -> Any:
        self.timers.append((period_s, callback))
        return self.timers[-1]

    def destroy_timer(self, timer: Any) -> bool:
        self.timers.remove(timer)
        return True

    def get_clock(self) -> Any:
        return SimpleNamespace(now=lambda: SimpleNamespace(to_msg=lambda: header().stamp))

    def get_logger(self) -> Any:
        return SimpleNamespace(
            error=lambda text, throttle_duration_sec=None: self.errors.append(text),
            fatal=self.errors.append,
        )

    def destroy_node(self) -> None:
        self.destroyed = True


class Answer(Enum):
    """What a callback of a transition answers: where it leads is in `GOALS`."""

    SUCCESS = 0
    FAILURE = 1
    ERROR = 2


# Transition -> from where, and by which state; that state -> where each answer leads.
TRANSITIONS = {
    "configure": (("unconfigured",), "configuring"),
    "cleanup": (("inactive",), "cleaningup"),
    "activate": (("inactive",), "activating"),
    "deactivate": (("active",), "deactivating"),
    "shutdown": (("unconfigured", "inactive", "active"), "shuttingdown"),
}
GOALS = {
    "configuring": ("inactive", "unconfigured", "errorprocessing"),
    "cleaningup": ("unconfigured", "inactive", "errorprocessing"),
    "activating": ("active", "inactive", "errorprocessing"),
    "deactivating": ("inactive", "active", "errorprocessing"),
    "shuttingdown": ("finalized", "finalized", "errorprocessing"),
    "errorprocessing": ("unconfigured", "finalized", "finalized"),
}


class LifecycleNode(Node):
    """The state machine of rcl_lifecycle, driven as rclpy drives it.

    An exception in a callback is an ERROR, of which nobody hears; `on_error` then decides.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.state = "unconfigured"

    def create_lifecycle_publisher(self, kind: type, topic: str, depth: int) -> Publisher:
        return self._offer(LifecyclePublisher(kind, topic, depth))

    def destroy_lifecycle_publisher(self, publisher: Publisher) -> bool:
        return self.publishers_made.pop(publisher.topic, None) is publisher

    def trigger_configure(self) -> Answer:
        return self._change("configure")

    def trigger_cleanup(self) -> Answer:
        return self._change("cleanup")

    def trigger_activate(self) -> Answer:
        return self._change("activate")

    def trigger_deactivate(self) -> Answer:
        return self._change("deactivate")

    def trigger_shutdown(self) -> Answer:
        return self._change("shutdown")

    def _change(self, transition: str) -> Answer:
        starts, during = TRANSITIONS[transition]
        before = SimpleNamespace(label=self.state)
        assert self.state in starts, f"no transition {transition} from {self.state}"
        self.state = during
        answer = self._answer(f"on_{transition}", before)
        self.state = GOALS[during][answer.value]
        if answer is Answer.ERROR:
            recovered = self._answer("on_error", before)
            self.state = GOALS[self.state][recovered.value]
        return answer

    def _answer(self, callback: str, before: Any) -> Answer:
        try:
            answer = getattr(self, callback)(before)
        except Exception:
            return Answer.ERROR
        assert isinstance(answer, Answer), callback
        return answer

    def _enable(self, enabled: bool) -> Answer:
        for publisher in self.publishers_made.values():
            if isinstance(publisher, LifecyclePublisher):
                publisher.enabled = enabled
        return Answer.SUCCESS

    def on_configure(self, state: Any) -> Answer:
        return Answer.SUCCESS

    def on_activate(self, state: Any) -> Answer:
        return self._enable(True)

    def on_deactivate(self, state: Any) -> Answer:
        return self._enable(False)

    def on_cleanup(self, state: Any) -> Answer:
        return Answer.SUCCESS

    def on_shutdown(self, state: Any) -> Answer:
        return Answer.SUCCESS

    def on_error(self, state: Any) -> Answer:
        return Answer.SUCCESS


@contextmanager
def rclpy_stands_in(
    spin: Callable[[Any], None] = lambda node: None, **parameters: Any
) -> Iterator[list[str]]:
    """Let `import rclpy` and the message modules succeed in this context.

    Args:
        spin: What happens to a node that spins.
        **parameters: Those that a launch file would give.

    Yields:
        What was logged without a node.
    """
    logged: list[str] = []
    logging = _module("rclpy.logging", get_logger=lambda name: SimpleNamespace(fatal=logged.append))
    made = {
        "rclpy": _module(
            "rclpy",
            init=lambda: None,
            spin=spin,
            try_shutdown=lambda: None,
            logging=logging,
        ),
        "rclpy.exceptions": _module("rclpy.exceptions", ParameterException=ParameterException),
        "rclpy.executors": _module("rclpy.executors", ExternalShutdownException=SystemExit),
        "rclpy.lifecycle": _module(
            "rclpy.lifecycle",
            LifecycleNode=LifecycleNode,
            LifecycleState=SimpleNamespace,
            TransitionCallbackReturn=Answer,
        ),
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
        yield logged
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
